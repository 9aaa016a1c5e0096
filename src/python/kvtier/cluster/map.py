"""The map of a cluster: who holds which group at an epoch."""
from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from ..errors import ProtocolError
from .placement import hash_of, score, seed_of

_KNOWN_MAX = 65_536


@dataclass(frozen=True)
class SiloEntry:
    """A silo as the cluster knows it."""

    name: str
    endpoint: str
    capacity_bytes: int = 1
    zone: str = ""
    joined_epoch: int = 0
    draining: bool = False


class ClusterMap:
    """The cluster at one epoch. Who has the same map computes the same owners. Thread-safe."""

    def __init__(self, cluster: str, epoch: int, silos: Sequence[SiloEntry], replicas: int = 1,
                 replicas_of: Optional[Mapping[str, int]] = None, moved: Optional[Mapping[bytes, str]] = None) -> None:
        self.cluster = cluster
        self.epoch = epoch
        self.silos = sorted(silos, key=lambda silo: silo.name)
        self.replicas = replicas
        self.replicas_of = dict(replicas_of or {})
        self.moved = dict(moved or {})
        drains = all(silo.draining for silo in self.silos)
        self._may = [(i, seed_of(silo.name), float(max(1, silo.capacity_bytes)))
                     for i, silo in enumerate(self.silos) if drains or not silo.draining]
        self._has_zones = len({silo.zone for silo in self.silos}) > 1
        self._index = {silo.name: i for i, silo in enumerate(self.silos)}
        self._known: dict[tuple[bytes, int], list[int]] = {}

    def owner_of(self, group: bytes) -> int:
        """Index of the silo that owns a group."""
        return self.holders_of(group, 1)[0]

    def holders_of(self, group: bytes, count: int) -> list[int]:
        """Indexes of the silos that hold a group, the owner first: by score, each from a zone that has none yet as long as there is
        one. Draining silos hold nothing unless all drain."""
        known = self._known.get((group, count))
        if known is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known = {}
            known = self._known[(group, count)] = self._find(group, count)
        return known

    def replicas_for(self, namespace: str) -> int:
        """How many silos hold each group of a namespace (``tenant/profile``)."""
        return min(self.replicas_of.get(namespace, self.replicas), len(self.silos))

    def index_of(self, name: str) -> int:
        """Index of a silo; -1 when it is not in the map."""
        return self._index.get(name, -1)

    def _find(self, group: bytes, count: int) -> list[int]:
        scored = sorted(((-score(hash_of(seed, group), weight), i) for i, seed, weight in self._may))
        order = [i for _, i in scored]
        moved = self.index_of(self.moved[group]) if group in self.moved else -1
        found = [moved] if moved in order else []
        while len(found) < min(count, len(order)):
            left = [i for i in order if i not in found]
            zones = {self.silos[i].zone for i in found}
            found.append(next((i for i in left if self._has_zones and self.silos[i].zone not in zones), left[0]))
        return found[:count]


def read_map(cluster: str, epoch: int, fields: Any) -> ClusterMap:
    """Reads the map of an answer.

    :raises ProtocolError: it is none.
    """
    try:
        _, silos, replicas, replicas_of, moved_to, moved, moved_silos = fields[:7]
        entries = [SiloEntry(one[0], one[1], one[4], one[5], one[9], bool(one[10])) for one in silos]
        numbers = struct.unpack(f"<{len(moved_silos) // 4}i", moved_silos)
        groups = {moved[16 * i:16 * i + 16]: moved_to[number] for i, number in enumerate(numbers)}
        if not entries:
            raise ValueError("no silos")
        return ClusterMap(cluster, epoch, entries, replicas, replicas_of, groups)
    except (TypeError, ValueError, IndexError, struct.error) as error:
        raise ProtocolError("clusterMap", str(error), "[membersEpoch, silos, replicas, …]") from None

"""The silos of the map, and the newest map itself."""
from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import Optional, Sequence

from ..blocks import SiloBlocks
from ..errors import KvTierError, ProtocolError, Unreachable
from ..transport import clock
from ..transport.silo import Descriptor, Silo, SiloOptions
from ..wire import opcodes as op
from .map import ClusterMap, read_map

_SUSPICION_SECONDS = 0.25
_MAP_SECONDS = 0.5


class Link:
    """The way to one silo. Thread-safe."""

    def __init__(self, name: str, endpoint: str, options: SiloOptions) -> None:
        self.name = name
        self.endpoint = endpoint
        self.silo = Silo(endpoint, options)
        self.is_unix = self.silo.endpoint.is_unix
        self._blocks: dict[bytes, SiloBlocks] = {}
        self._suspect_until = 0.0

    def blocks(self, descriptor: Descriptor) -> SiloBlocks:
        """A namespace on the silo."""
        found = self._blocks.get(descriptor.fingerprint)
        if found is None:
            found = self._blocks.setdefault(descriptor.fingerprint, SiloBlocks(self.silo, descriptor))
            found.block_bytes = descriptor.profile.block_bytes
        return found

    @property
    def is_suspect(self) -> bool:
        """True for a while after it did not answer."""
        return clock.now() < self._suspect_until

    def suspect(self) -> None:
        """Notes that it did not answer."""
        self._suspect_until = clock.now() + _SUSPICION_SECONDS

    def trust(self) -> None:
        """Notes that it answered."""
        self._suspect_until = 0.0


class Table:
    """A map and the links to its silos, in its order."""

    def __init__(self, map_: ClusterMap, links: Sequence[Link]) -> None:
        self.map = map_
        self.links = links
        self.epoch = map_.epoch


class MapSource:
    """Knows the newest map. Thread-safe."""

    def __init__(self, endpoints: Sequence[str], options: SiloOptions) -> None:
        # What fails is routed anew, so that no silo is tried twice by itself.
        self._options = replace(options, retries_max=0, local="auto" if options.local == "require" else options.local)
        self._seeds = [Link("", endpoint, self._options) for endpoint in endpoints]
        self._socket_of: dict[str, str] = {}
        self._asking = threading.Lock()
        self._lock = threading.Lock()
        self._table: Optional[Table] = None
        self._is_closed = False
        self.changes = 0

    @property
    def table(self) -> Table:
        """The newest map and its links."""
        if self._table is None:
            raise Unreachable("map", "none", "a cluster with at least one silo")
        return self._table

    def start(self, deadline: float) -> bool:
        """Asks the silos to begin with until one has given a map. False when the silo is in no cluster."""
        last: Optional[KvTierError] = None
        for seed in self._seeds:
            try:
                return self._ask(seed, deadline)
            except KvTierError as error:
                last = error
        raise last or Unreachable("map", "none", "a silo that answers")

    def learn_sockets(self, deadline: float) -> None:
        """Asks the endpoints that are Unix sockets whose they are, so that those silos are reached through them."""
        for seed in self._seeds:
            if seed.is_unix and seed.endpoint not in self._socket_of.values():
                try:
                    self._ask(seed, min(deadline, clock.now() + _MAP_SECONDS))
                except KvTierError:
                    pass

    def refresh(self, seen: Table, hint: Optional[Link], deadline: float) -> bool:
        """Asks for a newer map than the one seen; who asks meanwhile waits for the same answer. True when there is one."""
        if not self._asking.acquire(timeout=max(0.0, deadline - clock.now())):
            return self._table is not seen
        try:
            if self._table is not seen:
                return True
            others = [link for link in seen.links if link is not hint]
            random.shuffle(others)
            others.sort(key=lambda link: link.is_suspect)
            for link in ([hint] if hint is not None else []) + others + self._seeds:
                left = deadline - clock.now()
                if left <= 0 or self._is_closed:
                    break
                try:
                    self._ask(link, clock.now() + min(_MAP_SECONDS, left))
                    break
                except KvTierError:
                    link.suspect()
            return self._table is not seen
        finally:
            self._asking.release()

    def close(self) -> None:
        """Closes all connections."""
        self._is_closed = True
        for link in [*self._seeds, *(self._table.links if self._table else ())]:
            link.silo.close()

    def _ask(self, link: Link, deadline: float) -> bool:
        known = 0 if self._table is None else self._table.epoch
        body = link.silo.attempt(lambda one: one.call(op.CLUSTER_MAP, [known], deadline), deadline)
        try:
            epoch, cluster, name, fields = body[:4]
        except ValueError:
            raise ProtocolError("clusterMap", f"{len(body)} fields", 4) from None
        with self._lock:
            if link.is_unix and link.endpoint and self._socket_of.get(name) != link.endpoint:
                self._socket_of[name] = link.endpoint
                if self._table is not None:
                    self._replace(self._table.map)
            if epoch == 0:
                return False
            if fields is not None and epoch > known and (self._table is None or self._table.map.cluster == cluster):
                self._replace(read_map(cluster, epoch, fields))
        return True

    def _replace(self, map_: ClusterMap) -> None:
        before: dict[tuple[str, str], Link] = {}
        if self._table is not None:
            before = {(link.name, link.endpoint): link for link in self._table.links}
        links: list[Link] = []
        for silo in map_.silos:
            endpoint = self._socket_of.get(silo.name, silo.endpoint)
            key = (silo.name, endpoint)
            links.append(before.pop(key) if key in before else Link(silo.name, endpoint, self._options))
        self._table = Table(map_, links)
        self.changes += 1
        for gone in before.values():
            threading.Thread(target=gone.silo.close, name="kvtier-close", daemon=True).start()


def any_link(table: Table) -> Link:
    """A silo that answers, as far as is known."""
    trusted = [link for link in table.links if not link.is_suspect]
    return random.choice(trusted or list(table.links))



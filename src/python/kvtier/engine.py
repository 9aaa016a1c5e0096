"""What an engine says of itself and its blocks, and what it asks before it loads."""
from __future__ import annotations

import os
import socket
from typing import Any, Mapping, Optional, Sequence

from .blocks import SiloBlocks
from .engine_types import EngineDifference, EngineReport, EventNote, Loadable, NotesTaken
from .errors import InvalidArgument
from .ids import Key, block_id
from .transport import clock
from .wire import engine as wire
from .wire.blocks import NO_ROUTE

__all__ = ["EngineDifference", "EngineMixin", "EngineReport", "EventNote", "Loadable", "NotesTaken", "hash_seed", "instance_name"]

_NOTES = 1024


def hash_seed() -> str:
    """The seed of this process's hashes as a hello says it: the value of PYTHONHASHSEED, or ``unset``."""
    value = os.environ.get("PYTHONHASHSEED", "")
    return value if value and value != "random" else "unset"


def instance_name(suffix: object = "") -> str:
    """A name of an engine that is the same after a restart: the host and, say, its rank or port."""
    host = os.environ.get("POD_NAME") or socket.gethostname()
    return f"{host}/{suffix}" if str(suffix) else host


class EngineMixin:
    """Hello, cost gate and event notes of a namespace."""

    client: Any
    profile: Any
    fingerprint: bytes
    descriptor: Any
    _blocks: Any
    _cluster: Any

    def hello(self, engine: str, version: str, fields: Mapping[str, object], *, instance: str = "",
              deadline_ms: Optional[int] = None) -> EngineReport:
        """Says how this engine makes keys and bytes, and hears in what it differs from others of the namespace.

        :param engine: such as ``vllm``.
        :param fields: ``hash_algorithm``, ``seed`` (:func:`hash_seed`), ``probe_hash`` (hash of the first block of a fixed list of tokens),
            ``model_digest``, ``dtype``, ``layout``, ``rank``, ``world_size``, ``block_tokens``, and what else must agree; as text. Leave
            out, or set to ``any``, what need not agree, such as the rank where keys have it. None is left out.
        :param instance: which engine of its kind, the same after a restart (:func:`instance_name`).

        Say it after each connect and every few minutes: the silo keeps it in memory only.
        """
        deadline = self._engine_deadline(deadline_ms)
        said = wire.hello_fields(0, engine, version, instance or instance_name(), fields)
        return wire.report_of(self._engine_call(wire.ENGINE_HELLO, said, deadline))

    def loadable(self, keys: Sequence[Key], *, prefill_tokens_per_second: float = 0.0, bytes_per_second: float = 0.0,
                 block_tokens: int = 0, block_bytes: int = 0, groups: Any = None, deadline_ms: Optional[int] = None) -> Loadable:
        """How many blocks of the prefix load sooner than they are computed; at most 4,096 keys are looked at.

        :param prefill_tokens_per_second: how fast this engine computes; 0 for what the silo was told.
        :param bytes_per_second: how fast blocks come; 0 for what the silo has measured.
        :param block_tokens: tokens of a block; 0 for the profile's.
        :param block_bytes: bytes of a block, used in a cluster; 0 for the profile's.
        """
        deadline = self._engine_deadline(deadline_ms)
        ids = [self.id_of(key) for key in keys[:4096]]  # type: ignore[attr-defined]
        tiers = None
        if self._cluster is not None:
            # Its silos have parts of the prefix; this one is told what they say.
            tiers = self.prefix(ids, groups=groups, deadline_ms=deadline_ms).tiers  # type: ignore[attr-defined]
        fields = [0, b"".join(ids), float(prefill_tokens_per_second), float(bytes_per_second), block_tokens,
                  block_bytes or self.profile.block_bytes if tiers is not None else 0, wire.tiers_bytes(tiers)]
        return wire.loadable_of(self._engine_call(wire.LOADABLE, fields, deadline))

    def event_notes(self, notes: Sequence[tuple[Key, EventNote]], *, block_tokens: int, lora_name: Optional[str] = None, groups: Any = None,
                    deadline_ms: Optional[int] = None) -> NotesTaken:
        """Says what routers are to be told of blocks, before they are put or after. Parents go before their children.

        :param block_tokens: tokens of a block in the engine.
        :param groups: as for the put, in a cluster: a note goes to the silo that owns the block.
        """
        if block_tokens < 1:
            raise InvalidArgument("block_tokens", block_tokens, "1 or more")
        deadline = self._engine_deadline(deadline_ms)
        ids = [self.id_of(key) for key, _ in notes]  # type: ignore[attr-defined]
        rows = [wire.note_fields(block_id, note) for block_id, (_, note) in zip(ids, notes)]
        taken = dropped = 0
        publishing = True
        for owner, some in self._by_owner(ids, rows, groups):
            for at in range(0, len(some), _NOTES):
                body = self._engine_call(wire.EVENT_NOTES, [block_tokens, lora_name, some[at:at + _NOTES]], deadline, owner)
                one = wire.taken_of(body)
                taken, dropped, publishing = taken + one.taken, dropped + one.dropped, publishing and one.publishing
        return NotesTaken(taken, dropped, publishing)

    def _by_owner(self, ids: Sequence[Any], rows: list[Any], groups: Any) -> list[tuple[Optional[bytes], list[Any]]]:
        """Notes by the silo that owns their blocks, named by a group that it owns; None outside of a cluster."""
        if self._cluster is None:
            return [(None, rows)]
        owner_of = self._cluster.source.table.map.owner_of
        parts: dict[int, tuple[Optional[bytes], list[Any]]] = {}
        for group, row in zip(self._groups(groups, ids) or ids, rows):  # type: ignore[attr-defined]
            parts.setdefault(owner_of(group), (bytes(group), []))[1].append(row)
        return list(parts.values())

    def _engine_call(self, opcode: int, fields: list[Any], deadline: float, group: Optional[bytes] = None) -> list[Any]:
        """Asks the silo, or in a cluster the owner of a group: the namespace's home, where none is given."""
        if self._cluster is None:
            return self._blocks._call(opcode, fields, deadline, NO_ROUTE)  # type: ignore[no-any-return]
        home = group or block_id(self.fingerprint, b"engines")
        return self._cluster.at_owner(  # type: ignore[no-any-return]
            home, "an engine's request", deadline,
            lambda silo, epoch, until: SiloBlocks(silo, self.descriptor)._call(opcode, fields, until, NO_ROUTE))

    def _engine_deadline(self, ms: Optional[int]) -> float:
        return clock.after(self.client.timeout_ms if ms is None else ms)

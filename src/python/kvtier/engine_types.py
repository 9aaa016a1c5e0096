"""What engines say and hear beside blocks."""
from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence


class EngineDifference(NamedTuple):
    """One thing in which two engines of a namespace differ."""

    field: str
    mine: str
    theirs: str
    whose: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: {self.mine} here, {self.theirs} at {self.whose}. {self.fix}"


class EngineReport(NamedTuple):
    """What the silo knows of the engines of a namespace.

    engines: how many it knows. complete: False when the silo of the cluster that knows all of them could not be asked.
    """

    engines: int
    complete: bool
    differences: tuple[EngineDifference, ...]


class Loadable(NamedTuple):
    """How many blocks of a prefix are worth loading, and why.

    blocks: to load. present: of the prefix that are there. load_ms, recompute_ms: what loading and computing ``blocks`` takes.
    """

    blocks: int
    present: int
    load_ms: float
    recompute_ms: float
    reason: str


class EventNote(NamedTuple):
    """What routers are to be told of a block.

    block_hash, parent_hash: the engine's, 1 to 64 bytes; None for the parent of the first block. extra_keys: what else went into the hash,
    of types that MessagePack knows. group_index: the group of layers, for engines that have several.
    """

    block_hash: bytes
    parent_hash: Optional[bytes]
    token_ids: Sequence[int]
    extra_keys: Optional[Any] = None
    group_index: Optional[int] = None


class NotesTaken(NamedTuple):
    """What became of notes. publishing: False when the silo publishes no events, so that a caller may save itself the notes."""

    taken: int
    dropped: int
    publishing: bool

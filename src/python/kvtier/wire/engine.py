"""Bodies of the requests of engines: hello, loadable blocks, event notes."""
from __future__ import annotations

import struct
from typing import Any, Mapping, Optional, Sequence

import msgpack  # type: ignore

from ..engine_types import EngineDifference, EngineReport, EventNote, Loadable, NotesTaken
from ..errors import InvalidArgument, ProtocolError

ENGINE_HELLO, LOADABLE, EVENT_NOTES = 64, 65, 66
_TEXT_MAX = 256
_FIELDS_MAX = 32


def hello_fields(deadline_ms: int, engine: str, version: str, instance: str, fields: Mapping[str, object]) -> list[Any]:
    """What stands after the namespace."""
    said = {str(name): str(value) for name, value in fields.items() if value is not None}
    if len(said) > _FIELDS_MAX:
        raise InvalidArgument("fields.count", len(said), _FIELDS_MAX)
    for name, text in [("engine", engine), ("version", version), ("instance", instance), *said.items()]:
        if len(text.encode()) > _TEXT_MAX:
            raise InvalidArgument(f"{name}.length", len(text.encode()), _TEXT_MAX)
    return [deadline_ms, engine, version, instance, said]


def report_of(body: Sequence[Any]) -> EngineReport:
    """The answer to a hello."""
    try:
        engines, complete, differences = body[:3]
        return EngineReport(int(engines), bool(complete), tuple(EngineDifference(*map(str, one[:5])) for one in differences))
    except (TypeError, ValueError) as error:
        raise ProtocolError("engineHello", str(error), "[engines, complete, differences]") from None


def loadable_of(body: Sequence[Any]) -> Loadable:
    """The answer to a question for loadable blocks."""
    try:
        blocks, present, load_ms, recompute_ms, reason = body[:5]
        return Loadable(int(blocks), int(present), float(load_ms), float(recompute_ms), str(reason))
    except (TypeError, ValueError) as error:
        raise ProtocolError("loadable", str(error), "[blocks, present, loadMs, recomputeMs, reason]") from None


def note_fields(block_id: bytes, note: EventNote) -> list[Any]:
    """A note as the wire has it."""
    if not 0 < len(note.block_hash) <= 64 or (note.parent_hash is not None and not 0 < len(note.parent_hash) <= 64):
        raise InvalidArgument("note.hash.length", len(note.block_hash), "1 to 64")
    extra = None if note.extra_keys is None else msgpack.packb(note.extra_keys, use_bin_type=True)
    tokens = struct.pack(f"<{len(note.token_ids)}i", *note.token_ids)
    return [bytes(block_id), bytes(note.block_hash), note.parent_hash, tokens, extra, note.group_index]


def taken_of(body: Sequence[Any]) -> NotesTaken:
    """The answer to notes."""
    try:
        return NotesTaken(int(body[0]), int(body[1]), bool(body[2]))
    except (TypeError, ValueError, IndexError) as error:
        raise ProtocolError("eventNotes", str(error), "[taken, dropped, publishing]") from None


def tiers_bytes(tiers: Optional[Sequence[Any]]) -> Optional[bytes]:
    """A byte for each block of a prefix."""
    return None if tiers is None else bytes(int(one) for one in tiers)

"""Bodies of the requests about blocks."""
from __future__ import annotations

import struct
from typing import Any, NamedTuple, Optional, Sequence

from ..errors import InvalidArgument, KvTierError, ProtocolError
from ..results import Description, Tier, miss_reason
from .frame import error_from

ACKS = {"memory": 0, "ssd": 1, "replica": 2}
OVERWRITE = 1
TOUCH = 1
CHECKS_BY_SILO = 1
CHECK_BY_SILO = 1
CLIENT, HEDGE = 0, 4


class Route(NamedTuple):
    """What a request says to a cluster: the epoch of the caller's map, its role, and the group of each block."""

    epoch: int = 0
    role: int = CLIENT
    groups: Optional[Sequence[bytes]] = None

    def fields(self) -> list[Any]:
        """What stands at the end of the body."""
        if not self.epoch and not self.role and self.groups is None:
            return []
        return self.all_fields()

    def all_fields(self) -> list[Any]:
        """What stands there when something follows it."""
        return [self.epoch, self.role, None if self.groups is None else b"".join(self.groups)]


NO_ROUTE = Route()
_HITS = (0, 128)
_RANGE = struct.Struct("<II")
_TIERS = [Tier(number) for number in range(8)]


def ack_number(ack: str) -> int:
    """Number of ``memory``, ``ssd`` or ``replica``."""
    if ack not in ACKS:
        raise InvalidArgument("ack", ack, ", ".join(ACKS))
    return ACKS[ack]


class GetItem(NamedTuple):
    """One item of an answer to a get."""

    status: int
    length: int
    codec: int
    check: int
    block_length: int


class LocalItem(NamedTuple):
    """One item of an answer to a local get."""

    status: int
    lease: int
    offset: int
    length: int
    codec: int
    check: int
    checked: int = 0
    """1 when the silo has computed the check of the bytes anew, as it was asked to."""


def is_hit(status: int) -> bool:
    """True for the statuses of hits."""
    return status in _HITS


def tier_of(status: int) -> str:
    """Where a hit came from."""
    return "ssd" if status == 128 else "host"


def tiers_of(number: int) -> Tier:
    """The tiers that hold a block; making one of its number anew takes longer than all else that is done for a block of a prefix."""
    return _TIERS[number] if number < len(_TIERS) else Tier(number)


def items_of(body: list[Any], at: int, count: int, what: str) -> list[Any]:
    """The list at a place of an answer, which must have as many items as were asked for."""
    if len(body) <= at or not isinstance(body[at], list) or len(body[at]) != count:
        raise ProtocolError(f"{what}.items", "another number", f"{count}, one for each block")
    return body[at]


def get_items(body: list[Any], count: int, payload_length: int, ranges: Optional[Sequence[tuple[int, int]]]) -> list[GetItem]:
    """Reads and checks the answer to a get."""
    try:
        items = [GetItem(*item[:5]) for item in items_of(body, 0, count, "get")]
        total = 0
        for i, item in enumerate(items):
            expected = 0
            if is_hit(item.status):
                offset, length = ranges[i] if ranges is not None else (0, 0)
                expected = length or item.block_length - offset
            if item.length != expected:
                raise ProtocolError(f"get.items[{i}].length", item.length, expected)
            total += item.length
    except TypeError as error:
        raise ProtocolError("get.items", str(error), "[status, length, codec, check, blockLength]") from None
    if total != payload_length:
        raise ProtocolError("get.payloadLength", payload_length, f"{total}, the sum of the items' lengths")
    return items


def local_items(body: list[Any], count: int, arena_bytes: int) -> tuple[int, list[LocalItem]]:
    """Reads and checks the answer to a local get: when the leases end (ns) and the items."""
    try:
        items = [LocalItem(*item[:7]) for item in items_of(body, 1, count, "localGet")]
        for i, (status, _, offset, length, _, _, _) in enumerate(items):
            if status in _HITS and not 0 <= offset <= offset + length <= arena_bytes:
                item = items[i]
                raise ProtocolError(f"localGet.items[{i}].offset", f"{item.offset} + {item.length}", f"within {arena_bytes} bytes")
        return int(body[0]), items
    except TypeError as error:
        raise ProtocolError("localGet.items", str(error), "[status, lease, offset, length, codec, check]") from None


def put_answer(body: list[Any], count: int, at: int = 0) -> tuple[bytes, Optional[KvTierError]]:
    """Reads and checks the answer to a put or commit: a status for each block, and why the first refused one was."""
    if len(body) < at + 2 or not isinstance(body[at], bytes) or len(body[at]) != count:
        raise ProtocolError("put.statuses", "another number", f"{count}, one for each block")
    return body[at], None if body[at + 1] is None else error_from(body[at + 1])


def statuses_of(body: list[Any], count: int, what: str) -> bytes:
    """Reads and checks an answer of statuses."""
    if not body or not isinstance(body[0], bytes) or len(body[0]) != count:
        raise ProtocolError(f"{what}.statuses", "another number", f"{count}, one for each block")
    return body[0]


def epoch_of(body: list[Any], at: int) -> int:
    """The silo's epoch at a place of an answer; 0 where it says none."""
    return body[at] if len(body) > at and isinstance(body[at], int) else 0


def description_of(item: list[Any]) -> Description:
    """Reads a description."""
    try:
        tiers, reason, length, codec, crc, expiry, pinned, durable = item[:8]
        return Description(Tier(tiers), miss_reason(reason), length, codec, crc, expiry, pinned, bool(durable))
    except (TypeError, ValueError) as error:
        raise ProtocolError("describe.items", str(error), "8 fields") from None


def pack_ranges(ranges: Sequence[tuple[int, int]]) -> bytes:
    """Ranges as requests carry them: (offset, length), length 0 to the end of the block."""
    for i, (offset, length) in enumerate(ranges):
        if not 0 <= offset < 1 << 32 or not 0 <= length < 1 << 32:
            raise InvalidArgument(f"ranges[{i}]", (offset, length), "0 or more")
    return b"".join([_RANGE.pack(*one) for one in ranges])

"""What operations on blocks with one silo take and make of answers."""
from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence

from .buffers import new_buffer, read_view
from .crc32c import crc32c
from .errors import InvalidArgument, KvTierError
from .ids import BlockId
from .results import PUT_STATUSES, GetResult, Hit, Miss, PutOutcome, PutStatus, miss_reason
from .wire import blocks as wire
from .wire.blocks import Route
from .wire.checks import block_checks


class PutBlock(NamedTuple):
    """A block of a put."""

    key: bytes
    data: memoryview
    block_id: BlockId
    group: Optional[bytes] = None


class PutOptions(NamedTuple):
    """How blocks are put."""

    ack: int
    flags: int
    ttl_ms: int


class Answer:
    """What a silo said of its cluster with an answer."""

    __slots__ = ("epoch", "copies", "moved")

    def __init__(self) -> None:
        self.epoch = 0
        self.copies = 1
        self.moved = False


def wire_check(block_id: BlockId, length: int, crc: int) -> int:
    """The check of a whole raw block."""
    return block_checks([(block_id, 0, 0, length, crc)])[0]


def put_block(key: bytes, value: Any, block_id: BlockId, group: Optional[bytes], field: str) -> PutBlock:
    """A block of a put, its bytes as a view."""
    return PutBlock(key, read_view(value, field), block_id, group)


def target_of(targets: Optional[Sequence[memoryview]], index: int, length: int) -> memoryview:
    if not length:
        return memoryview(b"")
    if targets is None or len(targets[index]) < length:
        return new_buffer(length)
    return targets[index][:length]


def checked_results(ids: Sequence[BlockId], items: Sequence[wire.GetItem], views: Sequence[memoryview],
                    targets: Optional[Sequence[memoryview]], ranges: Optional[Sequence[tuple[int, int]]],
                    checks: bool = True) -> list[GetResult]:
    """Results of what was received: what fails its check is a miss."""
    results: list[GetResult] = []
    hits = [i for i, item in enumerate(items) if wire.is_hit(item.status)]
    expected: dict[int, int] = {}
    if checks:
        parts = [(ids[i], items[i].codec, ranges[i][0] if ranges else 0, items[i].length, crc32c(views[i])) for i in hits]
        expected = dict(zip(hits, block_checks(parts)))
    for i, item in enumerate(items):
        if not wire.is_hit(item.status):
            results.append(Miss(miss_reason(item.status)))
        elif expected.get(i, item.check) != item.check:
            results.append(Miss("corrupt"))
        elif targets is not None and len(targets[i]) < item.length:
            raise InvalidArgument(f"into[{i}].length", len(targets[i]), f"{item.length} or more")
        else:
            results.append(Hit(views[i], wire.tier_of(item.status), item.codec, item.block_length))
    return results


def groups_of(blocks: Sequence[PutBlock], route: Route) -> Optional[list[bytes]]:
    if all(one.group is None for one in blocks):
        return None
    return [one.block_id if one.group is None else one.group for one in blocks]


def outcome_of(status: int, error: Optional[KvTierError]) -> PutOutcome:
    return PutOutcome(PUT_STATUSES[status] if status < len(PUT_STATUSES) else PutStatus.REFUSED, error)


def outcomes_of(statuses: bytes, error: Optional[KvTierError]) -> list[PutOutcome]:
    """An error is that of the refused blocks; where none was refused, it says why the ack could not be given."""
    refused = 2 in statuses
    return [outcome_of(status, error if status == 2 or (not refused and status in (0, 1)) else None) for status in statuses]


def numbers_of(body: list[Any], at: int) -> list[int]:
    """Numbers of what a late answer grants."""
    try:
        return [item[1] for item in body[at] if item[1]]
    except (IndexError, TypeError):
        return []

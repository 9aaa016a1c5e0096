"""Puts over shared memory: slots are reserved, written and committed."""
from __future__ import annotations

from typing import Any, Optional, Sequence

from ..block_parts import Answer, PutBlock, PutOptions, numbers_of, outcome_of, outcomes_of, wire_check
from ..buffers import copy
from ..crc32c import crc32c
from ..errors import KvTierError, ProtocolError
from ..ids import BlockId
from ..results import PutOutcome
from ..transport import clock
from ..transport.connection import Connection
from ..transport.pending import Pending
from ..wire import blocks as wire
from ..wire import opcodes as op
from ..wire.blocks import Route
from ..wire.frame import error_from

PART_BYTES = 8 << 20
_PARTS_OF_AN_ARENA = 4
_RESERVATIONS_MAX = 1024


class Reserve:
    """A request for slots, sent. ``finish`` must be called, or ``give_up``."""

    def __init__(self, connection: Connection, handle: int, blocks: Sequence[tuple[bytes, int, BlockId]], options: PutOptions,
                 lease_ms: int, deadline: float, route: Route) -> None:
        self._connection = connection
        self._blocks = blocks
        session = connection.local
        fields = [handle, options.flags, options.ttl_ms, clock.left_ms(deadline), lease_ms,
                  [[key, length, 0] for key, length, _ in blocks], *route.fields()]
        self._pending = connection.begin(op.LOCAL_RESERVE, fields, deadline, late=lambda late: session.abort(numbers_of(late, 1)))

    def finish(self, deadline: float, answer: Answer) -> tuple[int, list[Any], Optional[KvTierError]]:
        """When the slots end (ns), ``[status, number, offset, capacity]`` for each block, and why the first refused one was."""
        body = self._connection.finish(self._pending, deadline)
        slots = wire.items_of(body, 1, len(self._blocks), "localReserve")
        error = None if len(body) < 3 or body[2] is None else error_from(body[2])
        answer.epoch = max(answer.epoch, wire.epoch_of(body, 3))
        size = self._connection.local.arena.size
        for i, (slot, block) in enumerate(zip(slots, self._blocks)):
            if slot[0] == 0 and not (block[1] <= slot[3] and 0 <= slot[2] <= slot[2] + block[1] <= size):
                raise ProtocolError(f"localReserve.items[{i}]", slot, f"{block[1]} bytes within the arena")
        return int(body[0]), [slot[:4] for slot in slots], error

    def give_up(self) -> None:
        """What is granted after all goes back."""
        self._connection.give_up(self._pending)


class Commit:
    """A request that seals slots, sent. ``finish`` must be called, or ``give_up``."""

    def __init__(self, connection: Connection, items: list[list[Any]], ack: int, checks: bool, deadline: float) -> None:
        """
        :param items: ``[number, check]`` of each slot.
        :param checks: False to leave the checks to the silo.
        """
        self._connection = connection
        self._items = items
        flags = [] if checks else [wire.CHECKS_BY_SILO]
        self._pending: Optional[Pending] = None
        if items:
            with _Aborting(connection, items):
                self._pending = connection.begin(op.LOCAL_COMMIT, [ack, clock.left_ms(deadline), items, *flags], deadline)

    def finish(self, deadline: float, answer: Answer) -> tuple[bytes, Optional[KvTierError]]:
        """A status for each slot, and why the first refused one was."""
        if self._pending is None:
            return b"", None
        with _Aborting(self._connection, self._items):
            body = self._connection.finish(self._pending, deadline)
        answer.epoch = max(answer.epoch, wire.epoch_of(body, 2))
        return wire.put_answer(body, len(self._items))

    def give_up(self) -> None:
        """The slots are sealed, or end with their deadline."""
        if self._pending is not None:
            self._connection.give_up(self._pending)


class LocalPut:
    """Blocks of one put. They go part by part: while one is copied, the silo checks the one before, and the slots of the one after are
    being reserved. So a batch takes no more of the arena at a time than two parts, whatever its size."""

    def __init__(self, connection: Connection, handle: int, options: PutOptions, deadline: float, checks: bool, answer: Answer) -> None:
        self._connection = connection
        self._handle = handle
        self._options = options
        self._deadline = deadline
        self._checks = checks
        self._answer = answer

    def run(self, blocks: Sequence[PutBlock], route: Route) -> list[PutOutcome]:
        """Stores the blocks."""
        most = self._connection.limits.get("reservationsMax", _RESERVATIONS_MAX) // 2
        parts = _parts(blocks, min(PART_BYTES, self._connection.local.arena.size // _PARTS_OF_AN_ARENA), max(1, most))
        sent: list[Any] = []
        done: list[tuple[list[Any], Optional[KvTierError], Commit]] = []
        try:
            coming: Optional[Reserve] = self._reserve(blocks, parts[0], route)
            sent.append(coming)
            for i, part in enumerate(parts):
                _, slots, refusal = coming.finish(self._deadline, self._answer)  # type: ignore[union-attr]
                sent.remove(coming)
                with _Aborting(self._connection, [[slot[1]] for slot in slots if slot[0] == 0]):
                    coming = self._reserve(blocks, parts[i + 1], route) if i + 1 < len(parts) else None
                    if coming is not None:
                        sent.append(coming)
                    items = self._copy(blocks[part], slots)
                commit = Commit(self._connection, items, self._options.ack, self._checks, self._deadline)
                sent.append(commit)
                done.append((slots, refusal, commit))
            outcomes: list[PutOutcome] = []
            for slots, refusal, commit in done:
                statuses, error = commit.finish(self._deadline, self._answer)
                sent.remove(commit)
                committed = iter(outcomes_of(statuses, error))
                outcomes += [next(committed) if slot[0] == 0 else outcome_of(slot[0], refusal if slot[0] == 2 else None) for slot in slots]
            return outcomes
        except BaseException:
            for one in sent:
                one.give_up()
            raise

    def _reserve(self, blocks: Sequence[PutBlock], part: slice, route: Route) -> Reserve:
        sizes = [(one.key, len(one.data), one.block_id) for one in blocks[part]]
        some = route if route.groups is None else route._replace(groups=route.groups[part])
        return Reserve(self._connection, self._handle, sizes, self._options, self._connection.local.lease_ms, self._deadline, some)

    def _copy(self, blocks: Sequence[PutBlock], slots: list[Any]) -> list[list[Any]]:
        arena = self._connection.local.arena.writable
        items: list[list[Any]] = []
        for one, (status, number, offset, _) in zip(blocks, slots):
            if status == 0:
                length = len(one.data)
                copy(arena[offset:offset + length], one.data)
                items.append([number, wire_check(one.block_id, length, crc32c(one.data)) if self._checks else 0])
        return items


class _Aborting:
    """Gives slots back when what is done with them fails."""

    def __init__(self, connection: Connection, items: Sequence[Sequence[int]]) -> None:
        self._connection = connection
        self._items = items

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self._connection.local.abort([item[0] for item in self._items])


def _parts(blocks: Sequence[PutBlock], most_bytes: int, most: int) -> list[slice]:
    """Runs of blocks of at most so many bytes and so many blocks each, one block at least."""
    parts: list[slice] = []
    start = total = 0
    for i, one in enumerate(blocks):
        if i > start and (total + len(one.data) > most_bytes or i - start == most):
            parts.append(slice(start, i))
            start, total = i, 0
        total += len(one.data)
    parts.append(slice(start, len(blocks)))
    return parts

"""Operations on blocks with one silo."""
from __future__ import annotations

from typing import Any, Optional, Sequence

from .block_parts import (
    Answer, PutBlock, PutOptions, checked_results, groups_of, numbers_of, outcomes_of, target_of, wire_check,
)
from .buffers import copy, write_view
from .crc32c import IS_FAST as CRC_IS_FAST
from .crc32c import crc32c
from .errors import InvalidArgument, KvTierError, LeaseExpired, ProtocolError, Unsupported
from .ids import BlockId
from .local.leases import Leases
from .local.put import Commit, LocalPut, Reserve
from .local.reservations import Reservation
from .results import Description, GetResult, Miss, Prefix, PutOutcome, PutStatus, miss_reason
from .transport import clock
from .transport.connection import Connection
from .transport.silo import Descriptor, Silo
from .wire import blocks as wire
from .wire import opcodes as op
from .wire.blocks import Route
from .wire.checks import block_checks


class SiloBlocks:
    """Operations on the blocks of one namespace with one silo. Thread-safe."""

    def __init__(self, silo: Silo, descriptor: Descriptor) -> None:
        self.silo = silo
        self.descriptor = descriptor
        self.block_bytes = 0

    def put(self, blocks: Sequence[PutBlock], options: PutOptions, deadline: float, route: Route, answer: Answer) -> list[PutOutcome]:
        """Stores blocks, over shared memory where that is open and they are large."""
        route = route._replace(groups=groups_of(blocks, route))
        total = sum(len(one.data) for one in blocks)

        def work(connection: Connection) -> list[PutOutcome]:
            if connection.local is not None and total >= self.silo.options.local_bytes_min * len(blocks):
                return self._put_local(connection, blocks, options, deadline, route, answer)
            return self._put_wire(connection, blocks, options, deadline, route, answer, total)

        return self.silo.attempt(work, deadline)

    def get(self, ids: Sequence[BlockId], into: Optional[Sequence[Any]], ranges: Optional[Sequence[tuple[int, int]]], deadline: float,
            route: Route, answer: Answer) -> list[GetResult]:
        """Fetches blocks, or ranges of them."""
        least = self.silo.options.local_bytes_min
        targets = None if into is None else [write_view(one, f"into[{i}]") for i, one in enumerate(into)]
        if targets is not None and len(targets) != len(ids):
            raise InvalidArgument("into.length", len(targets), len(ids))
        large = (sum(map(len, targets)) >= least * len(ids)) if targets is not None else not 0 < self.block_bytes < least

        def work(connection: Connection) -> list[GetResult]:
            if connection.local is not None and ranges is None and large:
                return self._get_local(connection, ids, targets, deadline, route, answer)
            return self._get_wire(connection, ids, targets, ranges, deadline, route, answer)

        return self.silo.attempt(work, deadline)

    def lease(self, ids: Sequence[BlockId], lease_ms: int, deadline: float, route: Route, answer: Answer) -> Leases:
        """Leases blocks in the silo's shared memory."""

        def work(connection: Connection) -> Leases:
            deadline_ns, items = self._local_get(connection, ids, lease_ms, deadline, route, answer)
            return Leases.of(connection.local, ids, items, deadline_ns)

        return self.silo.attempt(work, deadline)

    def reserve(self, blocks: Sequence[tuple[bytes, int, BlockId]], options: PutOptions, lease_ms: int, deadline: float, route: Route,
                answer: Answer) -> list[Reservation]:
        """Reserves slots in the silo's shared memory."""

        def work(connection: Connection) -> list[Reservation]:
            return self._reserve(connection, blocks, options, lease_ms, deadline, route, answer)

        return self.silo.attempt(work, deadline)

    def commit(self, reservations: Sequence[Reservation], ack: int, checks: bool, deadline: float, answer: Answer) -> list[PutOutcome]:
        """Seals slots; ends them whatever the outcome."""
        outcomes: list[Optional[PutOutcome]] = [None] * len(reservations)
        sessions: dict[int, tuple[Connection, list[int], list[list[Any]]]] = {}
        taken: list[Reservation] = []
        try:
            for i, one in enumerate(reservations):
                if one.status == "present":
                    outcomes[i] = PutOutcome(PutStatus.PRESENT)
                    continue
                try:
                    number = one.take()
                except LeaseExpired as expired:
                    outcomes[i] = PutOutcome(PutStatus.MOVED if one.status == "moved" else PutStatus.REFUSED, one.error or expired)
                    continue
                taken.append(one)
                connection = one.session.connection  # type: ignore[union-attr]
                _, places, items = sessions.setdefault(id(connection), (connection, [], []))
                check = wire_check(one.block_id, one.length, one.crc()) if checks else 0
                places.append(i)
                items.append([number, check])
        finally:
            for one in reservations:
                one.close()
        for connection, places, items in sessions.values():
            statuses, error = self._commit(connection, items, ack, checks, deadline, answer)
            for place, made in zip(places, outcomes_of(statuses, error)):
                outcomes[place] = made
        return outcomes  # type: ignore[return-value]

    def prefix(self, ids: Sequence[BlockId], touch: bool, deadline: float, route: Route, answer: Answer) -> Prefix:
        """How many of the ordered blocks are here without a gap."""
        body = self._call(op.PREFIX, [wire.TOUCH if touch else 0, b"".join(ids)], deadline, route)
        if len(body) < 2 or not isinstance(body[0], int) or not 0 <= body[0] <= len(ids) or len(body[1]) != body[0]:
            raise ProtocolError("prefix.count", body[:1], f"0 to {len(ids)}, and as many tiers")
        answer.epoch = wire.epoch_of(body, 2)
        answer.moved = len(body) > 3 and bool(body[3])
        return Prefix(body[0], tuple(map(wire.tiers_of, body[1])))

    def change(self, opcode: int, ids: Sequence[BlockId], ms: Optional[int], deadline: float, route: Route, answer: Answer) -> bytes:
        """Deletes, pins, unpins, touches or prefetches: a status for each (1 done, 0 not here, 2 moved)."""
        body = self._call(opcode, [*([] if ms is None else [ms]), b"".join(ids)], deadline, route)
        answer.epoch = wire.epoch_of(body, 1)
        return wire.statuses_of(body, len(ids), op.name_of(opcode))

    def describe(self, ids: Sequence[BlockId], deadline: float, route: Route, answer: Answer) -> list[Description]:
        """What is known of blocks."""
        body = self._call(op.DESCRIBE, [b"".join(ids)], deadline, route)
        answer.epoch = wire.epoch_of(body, 1)
        return [wire.description_of(item) for item in wire.items_of(body, 0, len(ids), "describe")]

    def _call(self, opcode: int, fields: list[Any], deadline: float, route: Route) -> list[Any]:
        def work(connection: Connection) -> list[Any]:
            handle = self.silo.handle(connection, self.descriptor, deadline)
            return connection.call(opcode, [handle, *fields, *route.fields()], deadline)

        return self.silo.attempt(work, deadline)

    def _put_wire(self, connection: Connection, blocks: Sequence[PutBlock], options: PutOptions, deadline: float, route: Route,
                  answer: Answer, total: int) -> list[PutOutcome]:
        handle = self.silo.handle(connection, self.descriptor, deadline)
        checks = block_checks([(one.block_id, 0, 0, len(one.data), crc32c(one.data)) for one in blocks])
        items = [[one.key, len(one.data), 0, check] for one, check in zip(blocks, checks)]
        fields = [handle, options.ack, options.flags, options.ttl_ms, clock.left_ms(deadline), items, *route.fields()]
        body = connection.call(op.PUT, fields, deadline, payload=[one.data for one in blocks if len(one.data)], payload_length=total)
        answer.epoch = wire.epoch_of(body, 2)
        return outcomes_of(*wire.put_answer(body, len(blocks)))

    def _put_local(self, connection: Connection, blocks: Sequence[PutBlock], options: PutOptions, deadline: float, route: Route,
                   answer: Answer) -> list[PutOutcome]:
        handle = self.silo.handle(connection, self.descriptor, deadline)
        return LocalPut(connection, handle, options, deadline, self.silo.options.local_checks == "all", answer).run(blocks, route)

    def _commit(self, connection: Connection, items: list[list[Any]], ack: int, checks: bool, deadline: float,
                answer: Answer) -> tuple[bytes, Optional[KvTierError]]:
        commit = Commit(connection, items, ack, checks, deadline)
        return commit.finish(deadline, answer)

    def _reserve(self, connection: Connection, blocks: Sequence[tuple[bytes, int, BlockId]], options: PutOptions, lease_ms: int,
                 deadline: float, route: Route, answer: Answer) -> list[Reservation]:
        session = _session(connection)
        handle = self.silo.handle(connection, self.descriptor, deadline)
        reserve = Reserve(connection, handle, blocks, options, lease_ms or session.lease_ms, deadline, route)
        deadline_ns, slots, error = reserve.finish(deadline, answer)
        names = ("reserved", "present", "refused", "moved")
        return [
            Reservation.granted(session, block[2], block[1], slot[1], slot[2], deadline_ns) if slot[0] == 0
            else Reservation(names[slot[0]] if slot[0] < 4 else "refused", block[1], block[2], error if slot[0] == 2 else None)
            for slot, block in zip(slots, blocks)
        ]

    def _get_wire(self, connection: Connection, ids: Sequence[BlockId], targets: Optional[Sequence[memoryview]],
                  ranges: Optional[Sequence[tuple[int, int]]], deadline: float, route: Route, answer: Answer) -> list[GetResult]:
        handle = self.silo.handle(connection, self.descriptor, deadline)
        taken: dict[str, Any] = {}

        def sink(body: list[Any], payload_length: int) -> list[memoryview]:
            items = wire.get_items(body, len(ids), payload_length, ranges)
            views = [target_of(targets, i, item.length) for i, item in enumerate(items)]
            taken.update(items=items, views=views)
            return [view for view in views if len(view)]

        packed = None if ranges is None else wire.pack_ranges(ranges)
        fields = [handle, clock.left_ms(deadline), b"".join(ids), packed, *route.fields()]
        body = connection.call(op.GET, fields, deadline, sink=sink)
        answer.epoch, answer.copies = wire.epoch_of(body, 1), wire.epoch_of(body, 2) or 1
        return checked_results(ids, taken["items"], taken["views"], targets, ranges)

    def _get_local(self, connection: Connection, ids: Sequence[BlockId], targets: Optional[Sequence[memoryview]], deadline: float,
                   route: Route, answer: Answer) -> list[GetResult]:
        wanted = self.silo.options.local_checks
        by_silo = wanted == "silo" or (wanted == "auto" and not CRC_IS_FAST)
        deadline_ns, items = self._local_get(connection, ids, 0, deadline, route, answer, by_silo)
        session, arena = connection.local, connection.local.arena.readable
        views: list[memoryview] = []
        try:
            for i, item in enumerate(items):
                view = target_of(targets, i, item.length if wire.is_hit(item.status) else 0)
                if len(view):
                    copy(view, arena[item.offset:item.offset + item.length])
                views.append(view)
            # Only now is it known whether what was copied was still the blocks.
            is_valid = session.is_open and clock.now_ns() < deadline_ns
        finally:
            session.release([item.lease for item in items if item.lease])
        if not is_valid:
            return [Miss("deadline") if wire.is_hit(item.status) else Miss(miss_reason(item.status)) for item in items]
        whole = [wire.GetItem(item.status, item.length, item.codec, item.check, item.length) for item in items]
        is_checked = by_silo and all([item.checked for item in items if item.lease])  # One of before this flag doesn't say so.
        return checked_results(ids, whole, views, targets, None, not is_checked and wanted != "none")

    def _local_get(self, connection: Connection, ids: Sequence[BlockId], lease_ms: int, deadline: float, route: Route,
                   answer: Answer, by_silo: bool = False) -> tuple[int, list[wire.LocalItem]]:
        session = _session(connection)
        handle = self.silo.handle(connection, self.descriptor, deadline)
        fields = [handle, clock.left_ms(deadline), lease_ms or session.lease_ms, b"".join(ids),
                  *([*route.all_fields(), wire.CHECK_BY_SILO] if by_silo else route.fields())]
        body = connection.call(op.LOCAL_GET, fields, deadline, late=lambda late: session.release(numbers_of(late, 1)))
        answer.epoch, answer.copies = wire.epoch_of(body, 2), wire.epoch_of(body, 3) or 1
        return wire.local_items(body, len(ids), session.arena.size)


def _session(connection: Connection) -> Any:
    if connection.local is None:
        raise Unsupported("local", "not mapped", "a Unix socket to a silo on this machine that offers its arena to this user")
    return connection.local

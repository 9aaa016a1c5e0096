"""Operations on blocks and sequences in a cluster."""
from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Optional, Sequence, TypeVar

from ..block_parts import Answer, PutBlock, PutOptions
from ..blocks import SiloBlocks
from ..errors import DeadlineExceeded, ErrorCode, KvTierError, Unsupported
from ..ids import BlockId
from ..local.leases import Leases
from ..results import Description, GetResult, Miss, Prefix, PutOutcome, PutStatus, Tier
from ..transport import clock
from ..transport.silo import Descriptor, Silo
from ..wire.blocks import CLIENT, HEDGE, Route
from .links import Link, MapSource, any_link
from .routed import LOST, MOVED, NEXT, PASSING, TRY_SECONDS, Later, RoutedCall

T = TypeVar("T")
_THREADS = 16
_MISS_MOVED = Miss("moved")
_MISS_LOST = Miss("owner_lost")
_END = object()


class Router:
    """Sends each block to its owner by the newest map. Thread-safe."""

    def __init__(self, source: MapSource) -> None:
        self._source = source
        self.threads = ThreadPoolExecutor(_THREADS, "kvtier-route")

    @property
    def epoch(self) -> int:
        """Epoch of the newest map."""
        return self._source.table.epoch

    @property
    def source(self) -> MapSource:
        """Where the map comes from."""
        return self._source

    def is_local(self, deadline: float) -> bool:
        """True when the memory of one of the silos is mapped."""
        return any(link.is_unix and link.silo.connection(deadline).local is not None for link in self._source.table.links)

    def any_silo(self) -> Silo:
        """A silo for what any of them can answer."""
        return any_link(self._source.table).silo

    def close(self) -> None:
        """Closes all connections."""
        self._source.close()
        self.threads.shutdown(wait=False)

    def open(self, descriptor: Descriptor, deadline: float) -> None:
        """Has one silo open the namespace."""
        last: Optional[KvTierError] = None
        links = list(self._source.table.links)
        random.shuffle(links)
        for link in sorted(links, key=lambda one: one.is_suspect):
            try:
                silo = link.silo
                silo.attempt(lambda one: silo.open(one, descriptor, deadline), min(deadline, clock.now() + TRY_SECONDS))
                return
            except KvTierError as error:
                if error.code not in PASSING:
                    raise
                link.suspect()
                last = error
        raise last or DeadlineExceeded("namespaceOpen", "no silo", "a silo that answers")

    def put(self, ns: Any, blocks: Sequence[PutBlock], options: PutOptions, deadline: float) -> list[PutOutcome]:
        """Stores each block with its owner."""

        def ask(link: Link, places: list[int], route: Route, until: float, answer: Answer) -> Sequence[Any]:
            made = link.blocks(descriptor).put([blocks[i] for i in places], options, until, route, answer)
            stored.update(place for place, one in zip(places, made) if one.status == PutStatus.STORED)
            return [_put_result(one, place in stored) for place, one in zip(places, made)]

        stored: set[int] = set()
        descriptor = _descriptor(ns)
        groups = [one.block_id if one.group is None else one.group for one in blocks]
        return self._call(groups, ns, deadline, None).run(ask) if groups else []

    def get(self, ns: Any, ids: Sequence[BlockId], into: Optional[Sequence[Any]], ranges: Optional[Sequence[tuple[int, int]]],
            groups: Optional[Sequence[bytes]], deadline: float) -> list[GetResult]:
        """Fetches each block from its owner, or from another holder."""

        def ask(link: Link, places: list[int], route: Route, until: float, answer: Answer) -> Sequence[Any]:
            made = link.blocks(descriptor).get(
                [ids[i] for i in places], None if into is None else [into[i] for i in places],
                None if ranges is None else [ranges[i] for i in places], until, route, answer)
            return [_get_result(one, route) for one in made]

        descriptor = _descriptor(ns)
        return self._call(groups or ids, ns, deadline, _MISS_LOST).run(ask) if ids else []

    def describe(self, ns: Any, ids: Sequence[BlockId], groups: Optional[Sequence[bytes]], deadline: float) -> list[Description]:
        """Describes each block as its owner, or another holder, knows it."""

        def ask(link: Link, places: list[int], route: Route, until: float, answer: Answer) -> Sequence[Any]:
            made = link.blocks(descriptor).describe([ids[i] for i in places], until, route, answer)
            return [MOVED if one.reason == "moved" else NEXT if route.role == HEDGE and not one else one for one in made]

        descriptor = _descriptor(ns)
        lost = Description(Tier.NONE, "owner_lost", 0, 0, 0, 0, 0, False)
        return self._call(groups or ids, ns, deadline, lost).run(ask) if ids else []

    def change(self, ns: Any, opcode: int, ids: Sequence[BlockId], groups: Optional[Sequence[bytes]], ms: Optional[int],
               deadline: float) -> list[bool]:
        """Deletes, pins, unpins, touches or prefetches each block at its owner."""

        def ask(link: Link, places: list[int], route: Route, until: float, answer: Answer) -> Sequence[Any]:
            made = link.blocks(descriptor).change(opcode, [ids[i] for i in places], ms, until, route, answer)
            return [MOVED if one == 2 else one == 1 for one in made]

        descriptor = _descriptor(ns)
        return self._call(groups or ids, ns, deadline, None).run(ask) if ids else []

    def prefix(self, ns: Any, ids: Sequence[BlockId], groups: Optional[Sequence[bytes]], touch: bool, deadline: float) -> Prefix:
        """Counts over all silos how many of the ordered blocks are there without a gap."""

        def ask(link: Link, places: list[int], route: Route, until: float, answer: Answer) -> Sequence[Any]:
            made = link.blocks(descriptor).prefix([ids[i] for i in places], touch, until, route, answer)
            lacking = MOVED if answer.moved else NEXT if route.role == HEDGE else _END
            # What comes after the first that is lacking was not looked at.
            return [*made.tiers, *([lacking] if made.count < len(places) else []), *([None] * (len(places) - made.count - 1))]

        def end_round(call: RoutedCall) -> None:
            gap = next((i for i, one in enumerate(call.results) if one is _END), len(ids))
            for i in range(gap, len(ids)):
                call.results[i] = _END

        descriptor = _descriptor(ns)
        if not ids:
            return Prefix(0, ())
        found = self._call(groups or ids, ns, deadline, _END).run(ask, end_round)
        count = next((i for i, one in enumerate(found) if one is _END), len(found))
        return Prefix(count, tuple(found[:count]))

    def lease(self, ns: Any, ids: Sequence[BlockId], groups: Optional[Sequence[bytes]], lease_ms: int, deadline: float) -> Leases:
        """Leases blocks of the silos whose memory is mapped; blocks of others are misses with reason ``moved``: get them."""

        def ask(link: Link, places: list[int], route: Route, until: float, answer: Answer) -> Sequence[Any]:
            if not link.is_unix:
                return [_MISS_MOVED] * len(places)
            try:
                made = link.blocks(descriptor).lease([ids[i] for i in places], lease_ms, until, route, answer)
            except Unsupported:
                return [_MISS_MOVED] * len(places)
            return [_get_result(one, route) for one in made]

        if not any(link.is_unix for link in self._source.table.links):
            raise Unsupported("local", "not mapped", "the Unix socket of a silo on this machine as one of the endpoints")
        descriptor = _descriptor(ns)
        return Leases(self._call(groups or ids, ns, deadline, _MISS_LOST).run(ask) if ids else [])

    def local_blocks(self, ns: Any) -> SiloBlocks:
        """The namespace on the silo whose memory is mapped."""
        for link in self._source.table.links:
            if link.is_unix:
                return link.blocks(_descriptor(ns))
        raise Unsupported("local", "not mapped", "the Unix socket of a silo on this machine as one of the endpoints")

    def at_owner(self, group: bytes, what: str, deadline: float, ask: Callable[[Silo, int, float], T], is_repeatable: bool = True) -> T:
        """Asks the owner of a group until it answers or the time is over.

        :param ask: takes the silo, the map's epoch and the deadline of this try.
        """
        pauses = 0
        for number in range(1_000_000):
            table = self._source.table
            link = table.links[table.map.owner_of(group)]
            try:
                return ask(link.silo, table.epoch, min(deadline, clock.now() + TRY_SECONDS * 2 ** number))
            except KvTierError as error:
                may_be_done = error.code in (ErrorCode.UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED)
                if error.code not in PASSING or (may_be_done and not is_repeatable):
                    raise
                last = error
            if last.code in LOST:
                link.suspect()
            if self._source.refresh(table, link if last.code == ErrorCode.MOVED else None, deadline):
                pauses = 0
            else:
                time.sleep(max(0.0, min(0.02 * 2 ** min(pauses, 5), deadline - clock.now())))
                pauses += 1
            if clock.now() >= deadline:
                raise DeadlineExceeded(
                    "route", f"{what} not answered, by epoch {self.epoch}; the last answer: {last}", "an owner that answers in time")
        raise DeadlineExceeded("route", what, "an owner that answers")

    def _call(self, groups: Sequence[bytes], ns: Any, deadline: float, lost: Any) -> RoutedCall:
        replicas = self._source.table.map.replicas_for(f"{ns.tenant}/{ns.profile.name}")
        return RoutedCall(self._source, self.threads, groups, replicas, deadline, lost)


def _descriptor(ns: Any) -> Descriptor:
    return ns.descriptor  # type: ignore[no-any-return]


def _put_result(outcome: PutOutcome, was_stored: bool) -> Any:
    """A block that was stored but not acknowledged is put again; it is present then."""
    if outcome.status == PutStatus.MOVED:
        return MOVED
    if outcome.error is not None and outcome.error.code in PASSING:
        return Later(outcome.error)
    if outcome.status == PutStatus.PRESENT and was_stored:
        return PutOutcome(PutStatus.STORED, outcome.error)
    return outcome


def _get_result(result: GetResult, route: Route) -> Any:
    if isinstance(result, Miss):
        if result.reason == "moved":
            return MOVED
        if route.role == HEDGE:
            return NEXT
    return result

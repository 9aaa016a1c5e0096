"""One call about many blocks: split by silo, all silos asked at once, what is left routed anew, until all is done or the time is over."""
from __future__ import annotations

import random
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Optional, Sequence

from ..block_parts import Answer
from ..errors import DeadlineExceeded, ErrorCode, KvTierError, Moved
from ..transport import clock
from ..wire.blocks import CLIENT, HEDGE, Route
from .links import Link, MapSource, Table

TRY_SECONDS = 2.0
_PAUSE_SECONDS = 0.02
_PAUSE_SECONDS_MAX = 0.5
LOST = (ErrorCode.UNAVAILABLE, ErrorCode.SHUTTING_DOWN, ErrorCode.DEADLINE_EXCEEDED)
PASSING = (*LOST, ErrorCode.MOVED, ErrorCode.FENCED, ErrorCode.BUSY, ErrorCode.NAMESPACE_UNKNOWN, ErrorCode.CONFLICT)

MOVED = object()
"""What a settled block is that another silo owns."""
NEXT = object()
"""What a settled block is that another holder may have."""


class Later:
    """What a settled block is that the silo can't take now; another may, or the same one later."""

    def __init__(self, error: KvTierError) -> None:
        self.error = error


Ask = Callable[[Link, list[int], Route, float, Answer], Sequence[Any]]
"""Asks a silo about the blocks at some places: a result for each, or MOVED, or NEXT."""


class Part:
    """What goes to one silo."""

    def __init__(self, link: Link, route: Route) -> None:
        self.link = link
        self.route = route
        self.places: list[int] = []
        self.answer = Answer()
        self.results: Sequence[Any] = ()
        self.error: Optional[KvTierError] = None

    def run(self, ask: Ask, deadline: float) -> None:
        """Asks; keeps results or error."""
        try:
            self.results = ask(self.link, self.places, self.route, deadline, self.answer)
        except KvTierError as error:
            self.error = error


class RoutedCall:
    """A call."""

    def __init__(self, source: MapSource, threads: ThreadPoolExecutor, groups: Sequence[bytes], replicas: int, deadline: float,
                 lost: Optional[Any]) -> None:
        """:param lost: the result of a block that no holder has, for reads; None for changes, which wait for the next owner."""
        self._source = source
        self._threads = threads
        self._groups = groups
        self._replicas = replicas
        self._deadline = deadline
        self._lost = lost
        self._tries = [0] * len(groups)
        self._orders: list[list[int]] = [[]] * len(groups)
        self._table: Table = source.table
        self._last: Optional[KvTierError] = None
        self._knows: Optional[Link] = None
        self._needs_map = self._waits = self._answered = False
        self.results: list[Any] = [None] * len(groups)
        self.open = list(range(len(groups)))

    def run(self, ask: Ask, end_round: Optional[Callable[[RoutedCall], None]] = None) -> list[Any]:
        """Asks until every block has its result.

        :raises KvTierError: a silo refused, nobody answered, or the deadline passed.
        """
        pauses = 0
        for number in range(1_000_000):
            newest = self._source.table
            if newest is not self._table:
                self._table = newest
                self._tries = [0] * len(self._groups)
            self._needs_map = self._waits = False
            self._knows = None
            parts = self._assign()
            self._run_parts(parts, ask, min(self._deadline, clock.now() + TRY_SECONDS * 2 ** number))
            for part in parts:
                self._settle(part)
            if end_round is not None:
                end_round(self)
            self.open = [place for place in self.open if self.results[place] is None]
            if not self.open:
                break
            self._check_time()
            if not self._needs_map and not self._waits:
                continue
            if self._needs_map and self._source.refresh(self._table, self._knows, self._deadline):
                pauses = 0
            else:
                pause = min(_PAUSE_SECONDS * 2 ** min(pauses, 10), _PAUSE_SECONDS_MAX) * (0.5 + random.random() / 2)
                time.sleep(max(0.0, min(pause, self._deadline - clock.now())))
                pauses += 1
            self._check_time()
        if self._lost is not None and not self._answered and self._last is not None:
            raise self._last
        return self.results

    def _assign(self) -> list[Part]:
        parts: dict[tuple[int, int], Part] = {}
        for place in self.open:
            owner = self._table.map.owner_of(self._groups[place])
            if self._tries[place] == 0:
                self._orders[place] = self._order(self._groups[place])
            silo = self._orders[place][self._tries[place]]
            role = CLIENT if silo == owner else HEDGE
            part = parts.get((silo, role))
            if part is None:
                part = parts[(silo, role)] = Part(self._table.links[silo], Route(self._table.epoch, role, None))
            part.places.append(place)
        for part in parts.values():
            part.route = part.route._replace(groups=[self._groups[place] for place in part.places])
        return list(parts.values())

    def _order(self, group: bytes) -> list[int]:
        """The silos to ask, one after the other: the owner first, unless it does not answer and another may."""
        holders = self._table.map.holders_of(group, self._replicas if self._lost is not None else 1)
        if len(holders) > 1 and self._table.links[holders[0]].is_suspect:
            return [holders[1], holders[0], *holders[2:]]
        return holders

    def _run_parts(self, parts: list[Part], ask: Ask, deadline: float) -> None:
        running: list[Future[None]] = [self._threads.submit(part.run, ask, deadline) for part in parts[1:]]
        try:
            parts[0].run(ask, deadline)
        finally:
            for one in running:
                one.result()

    def _settle(self, part: Part) -> None:
        if part.error is not None:
            self._failed(part, part.error)
            return
        self._answered = True
        part.link.trust()
        if part.answer.epoch > self._table.epoch:
            self._needs_map, self._knows = True, part.link
        for place, result in zip(part.places, part.results):
            if result is MOVED:
                self._needs_map = True
                self._last = Moved(f"silo {part.link.name}", f"epoch {part.answer.epoch}", f"the owner by epoch {self._table.epoch}")
            elif result is NEXT:
                self._try_next(place)
            elif isinstance(result, Later):
                self._not_yet(result.error)
            else:
                self.results[place] = result

    def _failed(self, part: Part, error: KvTierError) -> None:
        if error.code not in PASSING:
            raise error
        self._note(error)
        is_lost = error.code in LOST
        if is_lost:
            part.link.suspect()
        if is_lost and self._lost is not None:
            for place in part.places:
                self._try_next(place)
            return
        self._not_yet(error)

    def _not_yet(self, error: KvTierError) -> None:
        self._note(error)
        self._needs_map = self._needs_map or error.code != ErrorCode.BUSY
        self._waits = True

    def _note(self, error: KvTierError) -> None:
        """Keeps an error for the one that the call may end with: that a try took too long says least."""
        if self._last is None or error.code != ErrorCode.DEADLINE_EXCEEDED:
            self._last = error

    def _try_next(self, place: int) -> None:
        self._tries[place] += 1
        if self._tries[place] >= len(self._orders[place]):
            self.results[place] = self._lost

    def _check_time(self) -> None:
        if clock.now() >= self._deadline:
            raise DeadlineExceeded(
                "route",
                f"{len(self.open)} of {len(self._groups)} blocks left, by epoch {self._table.epoch}; the last answer: {self._last}",
                "an owner that answers before the deadline")

"""Leases: blocks read where they lie."""
from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Iterator, Optional, Sequence

from ..crc32c import crc32c
from ..errors import LeaseExpired
from ..ids import BlockId
from ..results import GetResult, Hit, Miss, miss_reason
from ..transport import clock
from ..wire.blocks import LocalItem, is_hit, tier_of
from ..wire.checks import block_check
from .grants import end, slot_view
from .session import LocalSession


class LeasedHit(Hit):
    """A block in the silo's shared memory. ``data`` is read-only. Bytes count only if :attr:`is_valid` still holds after the last of
    them was read: after the deadline the silo may use the memory for something else."""

    __slots__ = ("_session", "_grant", "_deadline_ns", "_check", "_id", "_ended")

    def __init__(self, session: LocalSession, block_id: BlockId, item: LocalItem, deadline_ns: int, is_ended: bool = False) -> None:
        """
        :param is_ended: True for a lease that was given back before it was looked at.
        """
        if is_ended:
            data = memoryview(b"")
            self._grant: Any = None
            data.release()
        else:
            data, self._grant = slot_view(session.arena.readable, item.offset, item.length, item.lease, session.release)
        super().__init__(data, tier_of(item.status), item.codec, item.length)
        self._session = session
        self._deadline_ns = deadline_ns
        self._check = item.check
        self._id = block_id
        self._ended = is_ended

    @property
    def is_valid(self) -> bool:
        """True while the lease is neither given back nor expired and its connection stands: bytes read before now were the block's."""
        return not self._ended and clock.now_ns() < self._deadline_ns and self._session.is_open

    @property
    def deadline_ns(self) -> int:
        """When the lease ends, in ns on CLOCK_MONOTONIC (``time.monotonic_ns``)."""
        return self._deadline_ns

    def check_valid(self) -> None:
        """Raises LeaseExpired unless :attr:`is_valid`."""
        if not self.is_valid:
            raise LeaseExpired("lease", "given back" if self._ended else "run out", "a lease that holds until the last byte was read")

    def verify(self) -> bool:
        """Reads every byte and compares with the check that came with the lease."""
        crc = crc32c(self.data)
        return block_check(self._id, self.codec, 0, len(self.data), crc) == self._check and self.is_valid

    def release(self) -> None:
        """Gives the lease back now. Arrays made of it must not be used any more; ``data`` can't."""
        if self._ended:
            return
        self._ended = True
        if end(self._grant):
            self._session.release([self._grant.number])
        _revoke(self.data)


class Leases(Sequence[GetResult]):
    """A hit or a miss for each block, in order. Left by ``with``, or released, the leases are given back at once; else each one when no
    view of it is left. A hit is made when it is first looked at: until then a lease is a number."""

    __slots__ = ("_results", "_session", "_ids", "_items", "_deadline_ns", "_is_ended", "_lock")

    def __init__(self, results: Sequence[Optional[GetResult]], session: Optional[LocalSession] = None, ids: Sequence[BlockId] = (),
                 items: Sequence[LocalItem] = (), deadline_ns: int = 0) -> None:
        self._results = list(results)
        self._session = session
        self._ids = ids
        self._items = items
        self._deadline_ns = deadline_ns
        self._is_ended = False
        self._lock = threading.Lock()

    @staticmethod
    def of(session: LocalSession, ids: Sequence[BlockId], items: list[LocalItem], deadline_ns: int) -> Leases:
        """Takes what a silo has granted."""
        return Leases([None] * len(items), session, ids, items, deadline_ns)

    @property
    def hits(self) -> int:
        """How many of the blocks are here."""
        if self._items:
            return sum([is_hit(item.status) for item in self._items])
        return sum(map(bool, self._results))

    @property
    def is_valid(self) -> bool:
        """True while every hit is."""
        session = self._session
        if session is not None and None in self._results and (
                self._is_ended or clock.now_ns() >= self._deadline_ns or not session.is_open):
            return self.hits == 0
        return all([one.is_valid for one in self._results if isinstance(one, LeasedHit)])

    def release(self) -> None:
        """Gives all leases back."""
        with self._lock:
            numbers = [] if self._is_ended else self._unseen()
            self._is_ended = True
        if numbers:
            self._session.release(numbers)  # type: ignore[union-attr]
        for one in self._results:
            if isinstance(one, LeasedHit):
                one.release()

    def _unseen(self) -> list[int]:
        """Numbers of the leases that were never looked at."""
        return [item.lease for item, one in zip(self._items, self._results) if one is None and item.lease]

    def _see(self, index: int) -> GetResult:
        """Makes a hit or a miss; of each lease one, as the first that nobody has any more gives it back."""
        with self._lock:
            one = self._results[index]
            if one is None:
                item = self._items[index]
                if is_hit(item.status):
                    one = LeasedHit(self._session, self._ids[index], item, self._deadline_ns, self._is_ended)  # type: ignore[arg-type]
                else:
                    one = Miss(miss_reason(item.status))
                self._results[index] = one
            return one

    def __del__(self) -> None:
        if self._session is not None and not self._is_ended:
            self._session.release(self._unseen())

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        one = self._results[index]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self._results)))]
        return self._see(index) if one is None else one

    def __iter__(self) -> Iterator[GetResult]:
        return map(self.__getitem__, range(len(self._results)))

    def __enter__(self) -> Leases:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.release()


def _revoke(view: memoryview) -> None:
    try:
        view.release()
    except BufferError:
        pass  # An array was made of it; its owner was told.

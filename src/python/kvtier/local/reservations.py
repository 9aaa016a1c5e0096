"""Reservations: blocks written where they will lie."""
from __future__ import annotations

from types import TracebackType
from typing import Any, Callable, Iterator, Optional, Sequence

from ..arrays import view
from ..crc32c import crc32c
from ..errors import KvTierError, LeaseExpired
from ..ids import BlockId
from ..results import PutOutcome, PutStatus
from ..transport import clock
from .grants import end, slot_view
from .leases import _revoke
from .session import LocalSession


class Reservation:
    """A slot to write. ``status`` is ``reserved``, ``present`` (nothing to write), ``refused`` or ``moved``; ``data`` is writable memory of
    the block's length, None where nothing was reserved. Nothing may be written after the commit, or after the deadline."""

    __slots__ = ("status", "data", "length", "error", "block_id", "session", "grant", "deadline_ns")

    def __init__(self, status: str, length: int, block_id: BlockId, error: Optional[KvTierError] = None) -> None:
        self.status = status
        self.length = length
        self.block_id = block_id
        self.error = error
        self.data: Optional[memoryview] = None
        self.session: Optional[LocalSession] = None
        self.grant: Any = None
        self.deadline_ns = 0

    @staticmethod
    def granted(session: LocalSession, block_id: BlockId, length: int, number: int, offset: int, deadline_ns: int) -> Reservation:
        """A slot that a silo has reserved."""
        made = Reservation("reserved", length, block_id)
        made.data, made.grant = slot_view(session.arena.writable, offset, length, number, session.abort)
        made.session = session
        made.deadline_ns = deadline_ns
        return made

    def __bool__(self) -> bool:
        return self.data is not None

    def array(self, dtype: Any = "u1", shape: Optional[Sequence[int]] = None) -> Any:
        """The slot as a numpy array that can be written."""
        if self.data is None:
            raise LeaseExpired("reservation", self.status, "one that is reserved")
        return view(self.data, dtype, shape)

    def take(self) -> int:
        """Ends it to be committed; its number."""
        if self.data is None or not end(self.grant):
            raise LeaseExpired("reservation", "given back", "one that is reserved")
        if clock.now_ns() >= self.deadline_ns:
            self.session.abort([self.grant.number])  # type: ignore[union-attr]
            raise LeaseExpired("reservation", "run out", "a commit before the deadline")
        return self.grant.number  # type: ignore[no-any-return]

    def crc(self) -> int:
        """CRC32C of what was written."""
        return crc32c(self.data)

    def close(self) -> None:
        """Takes the view away."""
        if self.data is not None:
            _revoke(self.data)
            self.data = None

    def abort(self) -> None:
        """Gives it back unsealed."""
        if self.data is not None and end(self.grant):
            self.session.abort([self.grant.number])  # type: ignore[union-attr]
        self.close()


Commit = Callable[[Sequence[Reservation], str, bool, Optional[int]], list[PutOutcome]]


class Reservations(Sequence[Reservation]):
    """One for each block, in order. Leaving by ``with`` without a commit gives them back unsealed."""

    def __init__(self, reservations: list[Reservation], commit: Commit) -> None:
        self._reservations = reservations
        self._commit = commit
        self._is_done = False

    def commit(self, *, ack: str = "memory", checks: bool = False, deadline_ms: Optional[int] = None) -> list[PutOutcome]:
        """Seals what was written: from then on the blocks are found.

        :param checks: True to compute the checks here too; else the silo makes them of what lies in the slots.
        """
        if self._is_done:
            raise LeaseExpired("reservations", "committed or given back", "one commit")
        self._is_done = True
        return self._commit(self._reservations, ack, checks, deadline_ms)

    def abort(self) -> None:
        """Gives them back unsealed."""
        self._is_done = True
        for one in self._reservations:
            one.abort()

    def __len__(self) -> int:
        return len(self._reservations)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._reservations[index]

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._reservations)

    def __enter__(self) -> Reservations:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if not self._is_done:
            self.abort()


def outcome(status: PutStatus, error: Optional[KvTierError]) -> PutOutcome:
    """The outcome of a block: an error counts for it when it was refused."""
    return PutOutcome(status, error)

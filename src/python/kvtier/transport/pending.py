"""Requests that wait for an answer."""
from __future__ import annotations

import threading
from typing import Any, Callable, Optional

from ..errors import KvTierError

Sink = Callable[[list[Any], int], list[memoryview]]
"""Takes an answer's body and its payload's length, checks them, and says where the payload goes: writable views of as many bytes."""

Late = Callable[[list[Any]], None]
"""Takes the body of an answer that nobody waits for any more, to give back what it grants."""


class Pending:
    """One request on its way. ``body`` or ``error`` is set when it is done."""

    __slots__ = ("opcode", "sink", "late", "body", "error", "is_done", "is_waiting", "signal", "number")

    def __init__(self, opcode: int, sink: Optional[Sink], late: Optional[Late]) -> None:
        self.opcode = opcode
        self.sink = sink
        self.late = late
        self.body: list[Any] = []
        self.error: Optional[KvTierError] = None
        self.is_done = False
        self.is_waiting = False
        self.signal: Optional[threading.Lock] = None
        self.number = 0

    def prepare_wait(self) -> threading.Lock:
        """The lock that the waiter takes; who has news for it releases it."""
        if self.signal is None:
            self.signal = threading.Lock()
            self.signal.acquire()
        self.is_waiting = True
        return self.signal

    def wake(self) -> None:
        """Ends its wait, where it waits. Called under the connection's lock."""
        if self.is_waiting:
            self.is_waiting = False
            self.signal.release()  # type: ignore[union-attr]

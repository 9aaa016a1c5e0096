"""The local path of one connection: what the silo has granted and what goes back to it."""
from __future__ import annotations

import atexit
import queue
import struct
import threading
import time
from typing import Any

from ..errors import KvTierError
from ..wire import frame
from ..wire import opcodes as op
from ..transport import clock
from .arena import Arena

_RELEASE_DELAY = 0.01


class LocalSession:
    """Thread-safe. Grants end with their connection."""

    def __init__(self, connection: Any, arena: Arena, options: Any) -> None:
        self.connection = connection
        self.arena = arena
        self.lease_ms = max(1, min(options.lease_ms, connection.limits.get("leaseMsMax", 60_000)))
        self._lock = threading.RLock()  # A finalizer may run while this thread holds it.
        self._released: list[int] = []
        self._aborted: list[int] = []
        self._timer_runs = False
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """False once the connection has ended: what was granted is void."""
        return not self._is_closed and self.connection.is_open

    def release(self, leases: list[int]) -> None:
        """Gives leases back: with the next request, or soon."""
        self._queue(self._released, leases)

    def abort(self, reservations: list[int]) -> None:
        """Gives reservations back unsealed."""
        self._queue(self._aborted, reservations)

    def close(self) -> None:
        """Ends it with its connection."""
        with self._lock:
            self._is_closed = True
            self._released.clear()
            self._aborted.clear()

    def take_notices(self) -> list[bytes]:
        """Frames of what is to be given back; sent before a request."""
        if not self._released and not self._aborted:
            return []
        pieces: list[bytes] = []
        with self._lock:
            for opcode, numbers in ((op.LOCAL_RELEASE, self._released), (op.LOCAL_ABORT, self._aborted)):
                if numbers:
                    body = frame.pack_body([struct.pack(f"<{len(numbers)}Q", *numbers)])
                    pieces += (frame.pack_header(frame.NOTICE, opcode, 0, body), body)
                    numbers.clear()
        return pieces

    def _queue(self, numbers: list[int], more: list[int]) -> None:
        if self._is_closed or not more:
            return
        with self._lock:
            numbers.extend(more)
            if self._timer_runs:
                return
            self._timer_runs = True
        _flusher.later(self)

    def flush(self) -> None:
        """Sends what is to be given back, if no request has taken it along."""
        self._timer_runs = False
        if (self._released or self._aborted) and self.is_open:
            try:
                self.connection.flush(clock.now() + 1.0)
            except KvTierError:
                pass  # The connection is gone, and with it what was granted.


class _Flusher:
    """One thread for all sessions, started when the first lease is given back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: queue.SimpleQueue[LocalSession] = queue.SimpleQueue()  # May be used in a finalizer.
        self._thread: threading.Thread | None = None
        self._is_ended = False
        atexit.register(self._end)

    def _end(self) -> None:
        """The process ends: no thread can be started any more, and the connections end with all that they were granted."""
        self._is_ended = True

    def later(self, session: LocalSession) -> None:
        """Has a session flushed soon."""
        if self._is_ended:
            return
        self._sessions.put(session)
        if (self._thread is None or not self._thread.is_alive()) and self._lock.acquire(blocking=False):
            try:
                self._thread = threading.Thread(target=self._run, name="kvtier-release", daemon=True)
                self._thread.start()
            finally:
                self._lock.release()

    def _run(self) -> None:
        while True:
            session = self._sessions.get()
            time.sleep(_RELEASE_DELAY)
            session.flush()
            del session


_flusher = _Flusher()

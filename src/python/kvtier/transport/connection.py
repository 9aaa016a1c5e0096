"""One connection to a silo, with several requests in flight."""
from __future__ import annotations

import os
import select
import socket
import threading
from typing import Any, Callable, Optional, Sequence

from ..errors import DeadlineExceeded, KvTierError, ProtocolError, Refused, Unreachable
from ..wire import frame
from ..wire.opcodes import name_of
from .clock import left
from .pending import Late, Pending, Sink
from .receiver import Receiver

_PIECES_MAX = 512
_STALLED_MAX = 3


class Connection:
    """A connection. Thread-safe.

    There is no thread of its own: of those that wait for answers one reads for all, and hands that over when it has its own answer. So a
    caller that is alone sends and receives without a change of threads.
    """

    def __init__(self, sock: socket.socket, inflight_max: int = 128) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._writable = select.poll()
        self._writable.register(sock, select.POLLOUT)
        self._send_lock = threading.Lock()
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._abandoned: dict[int, Late] = {}
        self._last_id = 0
        self._inflight_max = inflight_max
        self._leader = False
        self._overdue = 0
        self._receiver = Receiver(sock, self._find, self._finish)
        self._error: Optional[KvTierError] = None
        self.handles: dict[bytes, int] = {}
        self.limits: dict[str, int] = {}
        self.silo = ""
        self.silo_version = ""
        self.process = os.getpid()
        self.local: Any = None
        self.notices: Optional[Callable[[], list[bytes]]] = None

    @property
    def is_open(self) -> bool:
        """False once it has ended, and in a process that was forked off the one that made it."""
        return self._error is None and self.process == os.getpid()

    @property
    def inflight(self) -> int:
        """Requests that wait for an answer."""
        return len(self._pending)

    def call(self, opcode: int, fields: list[Any], deadline: float, *, payload: Sequence[Any] = (), payload_length: int = 0,
             sink: Optional[Sink] = None, late: Optional[Late] = None) -> list[Any]:
        """Sends a request and waits for its answer.

        :param payload: byte views that are sent one after the other, together ``payload_length`` bytes.
        :param sink: where the answer's payload goes; without it an answer must have none.
        :param late: takes the answer when it comes after the deadline.
        :raises KvTierError: the silo's error, or the connection's, or DeadlineExceeded.
        """
        return self.finish(self.begin(opcode, fields, deadline, payload=payload, payload_length=payload_length, sink=sink, late=late),
                           deadline)

    def begin(self, opcode: int, fields: list[Any], deadline: float, *, payload: Sequence[Any] = (), payload_length: int = 0,
              sink: Optional[Sink] = None, late: Optional[Late] = None) -> Pending:
        """Sends a request. Its answer must be waited for with :meth:`finish`, or given up."""
        body = frame.pack_body(fields)
        most = self.limits.get("frameBodyBytesMax", frame.BODY_BYTES_MAX)
        if len(body) > most:
            raise Refused("frame.bodyLength", len(body), most, code=2)
        pending = Pending(opcode, sink, late)
        with self._lock:
            if self._error is not None:
                raise Unreachable(self._error.field, self._error.value, self._error.limit)
            if len(self._pending) >= self._inflight_max:
                raise Refused("inflight", len(self._pending) + 1, self._inflight_max)
            self._last_id = number = self._last_id + 1
            self._pending[number] = pending
        try:
            self._send(frame.pack_header(frame.REQUEST, opcode, number, body, payload_length), body, payload, deadline)
        except BaseException:
            with self._lock:
                self._pending.pop(number, None)
            raise
        pending.number = number
        return pending

    def finish(self, pending: Pending, deadline: float) -> list[Any]:
        """Waits for the answer to a request that was sent."""
        try:
            self._await(pending, deadline)
        except DeadlineExceeded:
            self._abandon(pending.number, pending, True)
            if not pending.is_done or pending.error is not None:
                raise
            # It was answered in the same moment.
        except BaseException:
            self.give_up(pending)
            raise
        if pending.error is not None:
            raise pending.error
        return pending.body

    def give_up(self, pending: Pending) -> None:
        """Waits no longer for an answer; ``late`` takes it if it comes, or now if it is here and nobody has taken it."""
        self._abandon(pending.number, pending, False)
        if pending.is_done and pending.error is None and pending.late is not None:
            late, pending.late = pending.late, None
            late(pending.body)

    def notify(self, opcode: int, fields: list[Any], deadline: float) -> None:
        """Sends a notice, which is not answered."""
        body = frame.pack_body(fields)
        self._send(frame.pack_header(frame.NOTICE, opcode, 0, body), body, (), deadline)

    def flush(self, deadline: float) -> None:
        """Sends the notices that wait for a request to go along with."""
        if not self._send_lock.acquire(timeout=left(deadline, "send")):
            return
        try:
            pieces: list[Any] = self.notices() if self.notices is not None else []
            if pieces:
                self._send_all(pieces, deadline)
        finally:
            self._send_lock.release()

    def close(self, error: Optional[KvTierError] = None) -> None:
        """Ends it; requests in flight fail."""
        with self._lock:
            if self._error is not None:
                return
            self._error = error or Unreachable("connection", "closed", "an open connection")
            waiting = list(self._pending.values())
            self._pending.clear()
            self._abandoned.clear()
            for one in waiting:
                one.error = Unreachable(self._error.field, self._error.value, self._error.limit)
                one.is_done = True
                one.wake()
        if self.process == os.getpid():
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self.local is not None:
            self.local.close()
        with self._lock:
            if not self._leader and not self._send_lock.locked():
                self._sock.close()

    def _send(self, header: bytes, body: bytes, payload: Sequence[Any], deadline: float) -> None:
        if not self._send_lock.acquire(timeout=left(deadline, "send")):
            raise DeadlineExceeded("send", "another request is being sent", "a longer deadline")
        try:
            pieces: list[Any] = self.notices() if self.notices is not None else []
            pieces.append(header)
            pieces.append(body)
            pieces.extend(payload)
            self._send_all(pieces, deadline)
        finally:
            self._send_lock.release()

    def _send_all(self, pieces: list[Any], deadline: float) -> None:
        begun = False
        try:
            at = 0
            while at < len(pieces):
                try:
                    count = self._sock.sendmsg(pieces[at:at + _PIECES_MAX] if at or len(pieces) > _PIECES_MAX else pieces)
                except BlockingIOError:
                    self._writable.poll(left(deadline, "send") * 1000)
                    continue
                begun = True
                while at < len(pieces) and count >= len(pieces[at]):
                    count -= len(pieces[at])
                    at += 1
                if count:
                    pieces[at] = memoryview(pieces[at])[count:]
        except OSError as error:
            if isinstance(error, KvTierError):
                if begun:  # Half a frame is on its way: nothing can follow it.
                    self.close(Unreachable("connection", "the silo takes no bytes", "a silo that reads"))
                raise
            lost = Unreachable("connection", f"lost ({error.strerror or error})", "an open connection")
            self.close(lost)
            raise lost from None

    def _await(self, pending: Pending, deadline: float) -> None:
        while not pending.is_done:
            with self._lock:
                if pending.is_done:
                    return
                if self._leader:
                    signal = pending.prepare_wait()
                else:
                    self._leader = True
                    signal = None
            if signal is None:
                self._lead(pending, deadline)
            elif not signal.acquire(timeout=left(deadline, name_of(pending.opcode))):
                with self._lock:
                    if pending.is_waiting:
                        pending.is_waiting = False
                    else:
                        signal.acquire()

    def _lead(self, pending: Pending, deadline: float) -> None:
        """Reads for all until the own answer is here."""
        try:
            while not pending.is_done:
                self._receiver.read_frame(deadline)
        except DeadlineExceeded:
            if pending.is_done:
                return
            if self._receiver.target is pending:  # Its payload stopped half way: the rest must not be written into its buffers.
                self.close(Unreachable("connection", "an answer stopped half way", "a silo that sends"))
            raise DeadlineExceeded(name_of(pending.opcode), "not answered in time", "a longer deadline") from None
        except KvTierError as error:
            self.close(error)
            raise
        except BaseException as error:
            self.close(Unreachable("connection", f"given up ({type(error).__name__})", "an open connection"))
            raise
        finally:
            with self._lock:
                self._leader = False
                closed = self._error is not None
                self._wake_one()
            if closed:
                self._sock.close()

    def _wake_one(self) -> None:
        """Has another one read. Called under the lock."""
        for other in self._pending.values():
            if other.is_waiting:
                other.wake()
                return

    def _find(self, header: frame.Header) -> Optional[Pending]:
        with self._lock:
            self._overdue = 0
            pending = self._pending.get(header.request_id)
            known = pending is not None or header.request_id in self._abandoned
        if header.request_id == 0 and header.kind == frame.ERROR:
            return None
        if not known or (pending is not None and header.opcode != pending.opcode):
            raise ProtocolError("frame.requestId", f"{header.request_id} ({name_of(header.opcode)})", "one that waits for an answer")
        return pending

    def _finish(self, header: frame.Header, pending: Optional[Pending], body: list[Any]) -> None:
        if header.request_id == 0:
            raise frame.error_from(body)
        with self._lock:
            late = self._abandoned.pop(header.request_id, None)
            if self._pending.pop(header.request_id, None) is not None and pending is not None:
                if header.kind == frame.ERROR:
                    pending.error = frame.error_from(body)
                    pending.error.is_answer = True
                else:
                    pending.body = body
                pending.is_done = True
                pending.wake()
                return
        if late is not None and header.kind == frame.RESPONSE:
            late(body)

    def _abandon(self, number: int, pending: Pending, is_overdue: bool) -> None:
        """Nobody waits for this answer any more."""
        stalled = False
        with self._lock:
            if self._pending.pop(number, None) is None:
                return
            self._abandoned[number] = pending.late or _nothing
            if not self._leader:
                self._wake_one()
            if is_overdue:
                self._overdue += 1
                stalled = self._overdue >= _STALLED_MAX
            stalled = stalled or self._receiver.target is pending
        if stalled:
            self.close(Unreachable("connection", f"{_STALLED_MAX} answers overdue", "a silo that answers"))


def _nothing(body: list[Any]) -> None:
    """Nothing to give back."""

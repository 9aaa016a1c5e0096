"""Reads frames from a socket; may be left at a deadline and gone on with by another thread."""
from __future__ import annotations

import select
import socket
from typing import Any, Callable, Optional

from ..crc32c import short_crc32c as crc32c
from ..errors import ProtocolError, Unreachable
from ..wire import frame
from . import clock
from .pending import Pending

_BUFFER_BYTES = 8192
_SCRATCH_BYTES = 1 << 18
_VIEWS_MAX = 256
_LOOK_SECONDS = 100e-6
_LOOK_AGAIN = 16


class Receiver:
    """The reading half of a connection. One thread at a time."""

    def __init__(self, sock: socket.socket, find: Callable[[frame.Header], Optional[Pending]],
                 done: Callable[[frame.Header, Optional[Pending], list[Any]], None]) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._find = find
        self._done = done
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0
        self._scratch: Optional[memoryview] = None
        self._header: Optional[frame.Header] = None
        self._large: Optional[memoryview] = None
        self._large_filled = 0
        self._body: Optional[list[Any]] = None
        self._views: list[memoryview] = []
        self._left = 0
        self._vain = 0
        self.target: Optional[Pending] = None

    def read_frame(self, deadline: float) -> None:
        """Reads until one more frame is whole and handed over.

        :raises DeadlineExceeded: the deadline passed; what was read is kept for the next call.
        :raises ProtocolError: what came is no frame.
        :raises Unreachable: the connection ended.
        """
        header = self._header
        if header is None:
            while self._end - self._start < frame.HEADER_BYTES:
                self._fill(deadline)
            header = frame.read_header(self._buffer[self._start:self._end])
            if header.kind not in (frame.RESPONSE, frame.ERROR):
                raise ProtocolError("frame.kind", header.kind, "an answer")
            self._start += frame.HEADER_BYTES
            self._header = header
        if self._body is None:
            self._read_body(header, deadline)
        if self._left:
            self._read_payload(deadline)
        target, body = self.target, self._body
        self._header = self._body = self.target = None
        self._done(header, target, body)  # type: ignore[arg-type]

    def _read_body(self, header: frame.Header, deadline: float) -> None:
        size = header.body_length
        if size > _BUFFER_BYTES:
            raw = self._read_large(size, deadline)
        else:
            while self._end - self._start < size:
                self._fill(deadline)
            raw = self._buffer[self._start:self._start + size]
            self._start += size
        if crc32c(raw) != header.body_crc:
            raise ProtocolError("frame.bodyCrc", f"{header.body_crc:08x}", f"{crc32c(raw):08x}")
        body = frame.unpack_body(raw)
        self._large = None
        self.target = target = self._find(header)
        length = header.payload_length
        views: list[memoryview] = []
        if target is not None and target.sink is not None and header.kind == frame.RESPONSE:
            views = target.sink(body, length)
        elif target is not None and length:
            raise ProtocolError("payloadLength", length, 0)
        self._views = views
        self._left = length
        self._body = body

    def _read_large(self, size: int, deadline: float) -> memoryview:
        if self._large is None:
            self._large = memoryview(bytearray(size))
            self._large_filled = self._take(self._large)
        while self._large_filled < size:
            self._large_filled += self._receive(self._large[self._large_filled:], deadline)
        return self._large

    def _read_payload(self, deadline: float) -> None:
        if not self._views:
            self._discard(deadline)
            return
        while self._left:
            views = self._views
            if self._end > self._start:
                count = self._take(views[0])
            elif len(views) == 1:
                count = self._receive(views[0], deadline)
            else:
                count = self._scatter(views[:_VIEWS_MAX], deadline)
            self._left -= count
            while count and views:
                size = len(views[0])
                if count < size:
                    views[0] = views[0][count:]
                    break
                count -= size
                del views[0]

    def _discard(self, deadline: float) -> None:
        """Reads a payload that nobody wants."""
        kept = min(self._left, self._end - self._start)
        self._start += kept
        self._left -= kept
        if self._left and self._scratch is None:
            self._scratch = memoryview(bytearray(_SCRATCH_BYTES))
        while self._left:
            self._left -= self._receive(self._scratch[:self._left], deadline)  # type: ignore[index]

    def _take(self, view: memoryview) -> int:
        """Moves what was read ahead."""
        count = min(len(view), self._end - self._start)
        view[:count] = self._buffer[self._start:self._start + count]
        self._start += count
        return count

    def _fill(self, deadline: float) -> None:
        """Reads ahead, as far as the buffer goes."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start and self._end > _BUFFER_BYTES // 2:
            rest = bytes(self._buffer[self._start:self._end])
            self._buffer[:len(rest)] = rest
            self._start, self._end = 0, len(rest)
        self._end += self._receive(self._buffer[self._end:], deadline)

    def _receive(self, view: memoryview, deadline: float) -> int:
        return self._read(self._sock.recv_into, view, deadline)

    def _scatter(self, views: list[memoryview], deadline: float) -> int:
        return self._read(self._recvmsg_into, views, deadline)

    def _recvmsg_into(self, views: list[memoryview]) -> int:
        return self._sock.recvmsg_into(views)[0]

    def _read(self, read: Callable[[Any], int], target: Any, deadline: float) -> int:
        """Reads what has come; looks a while for it before it sleeps.

        An answer is some 50 us off, and being woken up costs as much again. Who was made to wait longer a few times sleeps at once, and
        tries only now and then whether looking pays again.
        """
        until = 0.0
        while True:
            try:
                count = read(target)
            except BlockingIOError:
                if not until:
                    until = clock.now() + (_LOOK_SECONDS if self._vain < 2 or self._vain % _LOOK_AGAIN == 0 else 0.0)
                if clock.now() < until:
                    continue
                self._vain += 1
                self._wait(deadline)
                continue
            except OSError as error:
                raise _lost(error) from None
            if not count:
                raise _lost(None)
            if until and clock.now() < until:
                self._vain = 0
            return count

    def _wait(self, deadline: float) -> None:
        """Waits until there are bytes, or the connection ended."""
        try:
            while not self._poll.poll(clock.left(deadline, "answer") * 1000):
                pass
        except ValueError as error:  # The socket was closed meanwhile.
            raise Unreachable("connection", f"closed ({error})", "an open connection") from None


def _lost(error: Optional[OSError]) -> Unreachable:
    cause = "closed by the silo" if error is None else error.strerror or str(error)
    return Unreachable("connection", f"lost ({cause})", "an open connection")

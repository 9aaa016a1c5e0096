"""Addresses of silos."""
from __future__ import annotations

import socket
from dataclasses import dataclass

from ..errors import InvalidArgument, Unreachable

_BUFFER_BYTES = 4 << 20


@dataclass(frozen=True)
class Endpoint:
    """A Unix socket's path, or a host and port."""

    path: str | None
    host: str = ""
    port: int = 0

    @staticmethod
    def parse(text: str) -> Endpoint:
        """Reads ``unix:/path``, ``unix:///path``, ``/path``, ``host:port``, ``tcp://host:port`` or ``[v6]:port``."""
        rule = "unix:/path, host:port or tcp://host:port"
        if not isinstance(text, str):
            raise InvalidArgument("endpoint", repr(text), rule)
        for start in ("unix://", "unix:"):
            if text.startswith(start):
                if not text[len(start):].startswith("/"):
                    raise InvalidArgument("endpoint", text, "unix: and an absolute path")
                return Endpoint(text[len(start):])
        if text.startswith("/"):
            return Endpoint(text)
        host, colon, port = text.removeprefix("tcp://").rpartition(":")
        if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise InvalidArgument("endpoint", text, rule)
        return Endpoint(None, host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def is_unix(self) -> bool:
        """True for a Unix socket."""
        return self.path is not None

    def dial(self, timeout: float) -> socket.socket:
        """A connected socket.

        :param timeout: seconds.
        :raises Unreachable: nobody listens there, or not in time.
        """
        try:
            if self.path is not None:
                one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    self._set_buffers(one)
                    one.settimeout(timeout)
                    one.connect(self.path)
                except BaseException:
                    one.close()
                    raise
                return one
            one = socket.create_connection((self.host, self.port), timeout)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._set_buffers(one)
            return one
        except OSError as error:
            cause = f"no answer within {timeout * 1000:.0f} ms" if isinstance(error, TimeoutError) else error.strerror or str(error)
            raise Unreachable("endpoint", f"{self} ({cause})", "a silo that listens there") from None

    @staticmethod
    def _set_buffers(one: socket.socket) -> None:
        # A block that fits into the buffers moves without waking the peer for each piece of it. The system may give less.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

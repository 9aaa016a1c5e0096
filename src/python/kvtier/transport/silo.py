"""One silo: connections, handshake, retries."""
from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional, TypeVar

from ..errors import DeadlineExceeded, ErrorCode, KvTierError, ProtocolError, Unreachable, Unsupported
from ..ids import block_id
from ..profile import OPAQUE, Profile, fingerprint
from ..wire import frame
from ..wire import opcodes as op
from . import clock
from .connection import Connection
from .endpoint import Endpoint

T = TypeVar("T")
PROBE = block_id(fingerprint("default", OPAQUE), b"kvtier")
_AGAIN = (ErrorCode.UNAVAILABLE, ErrorCode.BUSY, ErrorCode.SHUTTING_DOWN, ErrorCode.NAMESPACE_UNKNOWN)


@dataclass(frozen=True)
class SiloOptions:
    """How a silo is reached. Times in ms."""

    token: Optional[str] = None
    local: str = "auto"
    connections: int = 2
    connect_timeout_ms: int = 5000
    inflight_max: int = 128
    retries_max: int = 3
    retry_delay_ms: float = 20.0
    retry_delay_max_ms: float = 500.0
    lease_ms: int = 10_000
    local_bytes_min: int = 16 * 1024
    local_checks: str = "auto"
    client_name: str = "kvtier-python"


@dataclass(frozen=True)
class Descriptor:
    """A namespace that is opened on each connection that needs it."""

    tenant: str
    profile: Profile
    fingerprint: bytes


class Silo:
    """A silo's connections. Thread-safe."""

    def __init__(self, endpoint: str, options: SiloOptions) -> None:
        self.endpoint = Endpoint.parse(endpoint)
        self.options = options
        self._lock = threading.Lock()
        self._dialing = threading.Lock()
        self._connections: list[Connection] = []
        self._is_closed = False
        self._arenas: Any = None

    def connection(self, deadline: float) -> Connection:
        """The connection with the fewest requests in flight; makes one where there is none or all are in use."""
        best: Optional[Connection] = None
        count = 0
        for one in self._connections:
            if one.is_open:
                count += 1
                if best is None or one.inflight < best.inflight:
                    best = one
        if best is not None and (count >= self.options.connections or best.inflight == 0):
            return best
        return self._dial(deadline, best)

    def attempt(self, work: Callable[[Connection], T], deadline: float, is_repeatable: bool = True) -> T:
        """Runs some work on a connection, again after a failure that the next try may not meet.

        :param is_repeatable: False for work that must not be done twice: it is tried again only when it certainly was not done.
        """
        options, tried = self.options, 0
        while True:
            connection: Optional[Connection] = None
            try:
                connection = self.connection(deadline)
                return work(connection)
            except KvTierError as error:
                if connection is not None and isinstance(error, ProtocolError) and not error.is_answer:
                    connection.close(error)  # What it answered can't be relied on.
                pause = min(options.retry_delay_ms * 2 ** tried, options.retry_delay_max_ms) / 1000 * (0.5 + random.random() / 2)
                tried += 1
                if not is_repeatable and error.code == ErrorCode.UNAVAILABLE:
                    raise
                if error.code not in _AGAIN or tried > options.retries_max or self._is_closed or clock.now() + pause >= deadline:
                    raise
                time.sleep(pause)

    def handle(self, connection: Connection, descriptor: Descriptor, deadline: float) -> int:
        """The namespace's number on a connection; opens it there the first time."""
        number = connection.handles.get(descriptor.fingerprint)
        if number is None:
            number, _ = self.open(connection, descriptor, deadline)
        return number

    def open(self, connection: Connection, descriptor: Descriptor, deadline: float) -> tuple[int, int]:
        """Opens a namespace: its handle and the bytes of a block (0: any)."""
        body = connection.call(op.NAMESPACE_OPEN, [descriptor.tenant, descriptor.profile.to_wire()], deadline)
        try:
            number, theirs, block_bytes = body[:3]
        except ValueError:
            raise ProtocolError("namespaceOpen", f"{len(body)} fields", 3) from None
        if theirs != descriptor.fingerprint:
            raise ProtocolError("namespaceOpen.fingerprint", theirs.hex(), descriptor.fingerprint.hex())
        connection.handles[descriptor.fingerprint] = number
        return number, block_bytes

    def close(self) -> None:
        """Closes all connections."""
        with self._lock:
            self._is_closed = True
            connections, self._connections = self._connections, []
        for one in connections:
            one.close()

    def _dial(self, deadline: float, other: Optional[Connection]) -> Connection:
        if not self._dialing.acquire(blocking=other is None, timeout=-1 if other is not None else clock.left(deadline, "connect")):
            if other is not None:
                return other
            raise DeadlineExceeded("connect", "another thread is still connecting", "a longer deadline")
        try:
            self._connections = [one for one in self._connections if one.is_open]
            if other is None and self._connections:
                return min(self._connections, key=lambda one: one.inflight)
            if self._is_closed:
                raise Unreachable("client", "closed", "an open client")
            made = self._greet(deadline)
            with self._lock:
                self._connections = [*self._connections, made]
                closed = self._is_closed
            if closed:
                made.close()
            return made
        except KvTierError:
            if other is not None and other.is_open:
                return other
            raise
        finally:
            self._dialing.release()

    def _greet(self, deadline: float) -> Connection:
        until = min(deadline, clock.now() + self.options.connect_timeout_ms / 1000)
        made = Connection(self.endpoint.dial(clock.left(until, "connect")), self.options.inflight_max)
        try:
            try:
                body = made.call(op.HELLO, [frame.VERSION, frame.VERSION, self.options.client_name, self.options.token, PROBE], until)
            except DeadlineExceeded as error:
                raise Unreachable("hello", f"{self.endpoint} ({error.value})", "a silo that answers") from None
            try:
                version, made.silo, made.silo_version, arena, made.limits = body[:5]
            except ValueError:
                raise ProtocolError("hello", f"{len(body)} fields", 5) from None
            if version != frame.VERSION:
                raise ProtocolError("hello.version", version, frame.VERSION, ErrorCode.VERSION_MISMATCH)
            self._map(made, arena)
        except BaseException:
            made.close()
            raise
        return made

    def _map(self, connection: Connection, arena: Any) -> None:
        """Maps the silo's shared memory, where it may and is wanted."""
        if self.options.local == "never":
            return
        try:
            if not self.endpoint.is_unix:
                raise Unsupported("local", "require", "a Unix socket")
            if arena is None:
                raise Unsupported("local", "require", "a silo that offers its arena to this user")
            from ..local.session import LocalSession

            connection.local = LocalSession(connection, self._arena(arena), self.options)
            connection.notices = connection.local.take_notices
        except KvTierError:
            if self.options.local == "require":
                raise

    def _arena(self, info: Any) -> Any:
        from ..local.arena import Arena

        path, size, nonce = info[:3]
        key = (str(path), int(size), int(nonce))
        if self._arenas is None or self._arenas.key != key:
            self._arenas = Arena(key)
        return self._arenas

"""An engine's file of rows in shared memory, and the silo that copies to and from it."""
from __future__ import annotations

import fcntl
import os
import secrets
import struct
import threading
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence

import numpy as np

from kvtier import Profile
from kvtier.errors import DeadlineExceeded, InvalidArgument, KvTierError, ProtocolError, Unsupported
from kvtier.profile import fingerprint
from kvtier.transport import clock
from kvtier.transport.connection import Connection
from kvtier.transport.silo import Descriptor, Silo, SiloOptions
from kvtier.wire.frame import error_from

REGION_OPEN, REGION_STORE, REGION_LOAD, REGION_CLOSE = 60, 61, 62, 63
MARK_BYTES = 16

_SET_OPEN_FILE_LOCK = getattr(fcntl, "F_OFD_SETLK", 37)
_LOCK = struct.Struct("hhqqi4x")
_GRACE_SECONDS = 0.05


@dataclass(frozen=True)
class RowFile:
    """vLLM's file: where it is and how rows lie in it."""

    path: str
    engine: str
    blocks: int
    stride: int
    row_bytes: int

    @staticmethod
    def behind(view: Any, engine: str) -> RowFile:
        """Finds the file that a primary tier's view is a mapping of.

        :raises Unsupported: the view is no mapping of a file from its beginning.
        """
        rows = rows_of(view)
        address = rows.ctypes.data
        with open("/proc/self/maps", encoding="utf-8") as maps:
            for line in maps:
                span, _, offset, _, _, *rest = line.rstrip("\n").split(" ", 5)
                first, end = (int(part, 16) for part in span.split("-"))
                if first <= address < end:
                    path = rest[0].strip() if rest else ""
                    if not path.startswith("/") or path.endswith(" (deleted)") or int(offset, 16) + address - first != 0:
                        raise Unsupported("primary_kv_view", path or "anonymous memory", "a mapping of a file from its first byte")
                    return RowFile(path, engine, rows.shape[0], rows.strides[0], rows.shape[1])
        raise Unsupported("primary_kv_view", hex(address), "memory of this process")


def rows_of(view: Any) -> np.ndarray[Any, Any]:
    """The primary tier's view as an array ``[row][byte]``, not copied.

    :raises InvalidArgument: it has another shape.
    """
    rows = np.asarray(view)
    if rows.ndim != 2 or rows.itemsize != 1 or (rows.shape[1] > 1 and rows.strides[1] != 1):
        raise InvalidArgument("primary_kv_view", f"shape {rows.shape}, strides {rows.strides}, {rows.dtype}", "[rows][bytes] in one piece")
    return rows.view(np.uint8)


class RegionLink:
    """A connection of its own to the silo on this machine, with the file opened as a region. Thread-safe; connects again by itself."""

    def __init__(self, endpoint: str, token: Optional[str], file: RowFile, tenant: str, profile: Profile, connect_ms: int) -> None:
        self.file = file
        self._descriptor = Descriptor(tenant, profile, fingerprint(tenant, profile))
        self._silo = Silo(endpoint, SiloOptions(
            token=token, local="never", connections=1, connect_timeout_ms=connect_ms, retries_max=0, client_name="kvtier-vllm-region"))
        self._connect_seconds = connect_ms / 1000
        self._lock = threading.Lock()
        self._opened: tuple[Optional[Connection], int] = (None, 0)

    def open(self) -> None:
        """Opens the region, where it is not open.

        :raises KvTierError: the silo can't be reached, or refuses the file and says why.
        """
        self._region(clock.now() + self._connect_seconds)

    def store(self, keys: Sequence[bytes], rows: Sequence[int], deadline: float, ack: int, ttl_ms: int, sending: Callable[[], None],
              ) -> tuple[bytes, Any]:
        """Has rows stored: a status for each, as those of a put, and an error or None.

        :param deadline: the silo touches no row after it; seconds on the monotonic clock.
        :param sending: called right before the request is sent; before it nothing can have been done.
        """
        items = [[bytes(key), int(row)] for key, row in zip(keys, rows)]
        body = self._call(REGION_STORE, lambda region, ns: [region, ack, ttl_ms, ns, items], deadline, sending)
        return _statuses(body, len(keys))

    def load(self, ids: Sequence[bytes], rows: Sequence[int], deadline: float, sending: Callable[[], None]) -> tuple[bytes, Any]:
        """Has blocks written into rows: a status for each, as those of a get, and an error or None. Parameters as those of a store."""
        numbers = np.asarray(rows, dtype="<i4").tobytes()
        body = self._call(REGION_LOAD, lambda region, ns: [region, ns, b"".join(ids), numbers], deadline, sending)
        return _statuses(body, len(ids))

    def close(self) -> None:
        """Ends the connection, and the region with it."""
        self._silo.close()

    def _call(self, opcode: int, fields: Callable[[int, int], list[Any]], deadline: float, sending: Callable[[], None]) -> list[Any]:
        connection, region = self._region(min(deadline, clock.now() + self._connect_seconds))
        body = fields(region, int(deadline * 1e9))
        sending()
        try:
            return connection.call(opcode, body, deadline + _GRACE_SECONDS)
        except KvTierError as error:
            if error.field in ("region", "region.path"):  # The file was replaced, or the number is another connection's.
                with self._lock:
                    self._opened = (None, 0)
            raise

    def _region(self, deadline: float) -> tuple[Connection, int]:
        if not self._lock.acquire(timeout=clock.left(deadline, "region")):
            raise DeadlineExceeded("region", "still opening", "a silo that answers")
        try:
            connection = self._silo.connection(deadline)
            if self._opened[0] is not connection:
                file = self.file
                number = self._silo.handle(connection, self._descriptor, deadline)
                body = connection.call(
                    REGION_OPEN, [number, file.path, file.engine, file.blocks, file.stride, file.row_bytes], deadline)
                self._opened = (connection, int(body[0]))
            return connection, self._opened[1]
        finally:
            self._lock.release()


def mark(rows: np.ndarray[Any, Any], numbers: Sequence[int]) -> bytes:
    """Puts a random mark at the end of rows that are to be loaded, so that :class:`Fence` can tell whether they were written."""
    made = secrets.token_bytes(MARK_BYTES)
    if rows.shape[1] >= MARK_BYTES:
        rows[np.asarray(numbers, dtype=np.int64), -MARK_BYTES:] = np.frombuffer(made, np.uint8)
    return made


class Fence:
    """Makes sure that a silo which did not answer in time will not write into rows any more.

    The silo writes a row only under a lock of its first byte, after a look at the deadline. Whoever holds that lock keeps it away until the
    deadline, after which it stays away by itself. A row whose mark is gone has been written: nothing more will come.
    """

    def __init__(self, file: RowFile, rows: np.ndarray[Any, Any], numbers: Sequence[int], made: bytes) -> None:
        self._descriptor = os.open(file.path, os.O_RDWR | os.O_CLOEXEC)
        self._file = file
        self._rows = rows
        self._left = {int(number) for number in numbers}
        self._mark = np.frombuffer(made, np.uint8)

    def try_close(self) -> bool:
        """True once every row is safe."""
        for number in list(self._left):
            if self._is_locked(number) or self._is_written(number):
                self._left.discard(number)
        return not self._left

    def release(self) -> None:
        """Gives the locks back; not before the deadline."""
        os.close(self._descriptor)

    def _is_locked(self, number: int) -> bool:
        try:
            fcntl.fcntl(self._descriptor, _SET_OPEN_FILE_LOCK, _LOCK.pack(fcntl.F_WRLCK, 0, number * self._file.stride, 1, 0))
        except OSError:
            return False
        return True

    def _is_written(self, number: int) -> bool:
        return len(self._rows[number]) >= MARK_BYTES and not np.array_equal(self._rows[number, -MARK_BYTES:], self._mark)


def _statuses(body: list[Any], count: int) -> tuple[bytes, Any]:
    if len(body) < 2 or not isinstance(body[0], bytes) or len(body[0]) != count:
        raise ProtocolError("region", f"{len(body)} fields", f"{count} statuses and an error or nil")
    return body[0], None if body[1] is None else error_from(body[1])

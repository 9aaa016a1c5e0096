"""Errors. Each one names the field it is about, the value that was refused and what would be right."""
from __future__ import annotations

import enum


class ErrorCode(enum.IntEnum):
    """Kinds of error that a caller can act on; the numbers are those of the wire."""

    NONE = 0
    INVALID_ARGUMENT = 1
    LIMIT_EXCEEDED = 2
    NAMESPACE_MISMATCH = 3
    NAMESPACE_UNKNOWN = 4
    HOST_FULL = 5
    DISK_FULL = 6
    DEADLINE_EXCEEDED = 7
    LEASE_EXPIRED = 8
    UNAUTHORIZED = 9
    SHUTTING_DOWN = 10
    PROTOCOL_VIOLATION = 11
    VERSION_MISMATCH = 12
    CORRUPT = 13
    UNSUPPORTED = 14
    BUSY = 15
    IO_ERROR = 16
    UNAVAILABLE = 17
    INTERNAL = 18
    MOVED = 19
    FENCED = 20
    CONFLICT = 21


class KvTierError(Exception):
    """What went wrong: ``code`` (a number of :class:`ErrorCode`, or one that this version does not know), ``field`` (the option, argument
    or wire field it is about), ``value`` (what was refused) and ``limit`` (the limit, or what would have been right)."""

    default_code = ErrorCode.INTERNAL
    is_answer = False
    """True for an error that a silo answered a whole request with."""

    def __init__(self, field: str, value: object = "", limit: object = "", code: int | None = None) -> None:
        self.code: int = self.default_code if code is None else code
        self.field = field
        self.value = "" if value is None else str(value)
        self.limit = "" if limit is None else str(limit)
        super().__init__(self.message)

    @property
    def name(self) -> str:
        """The code's name in snake case, such as ``host_full``."""
        try:
            return ErrorCode(self.code).name.lower()
        except ValueError:
            return f"unknown_{self.code}"

    @property
    def message(self) -> str:
        """The error as one sentence."""
        text = f"{self.name}: {self.field}"
        if self.value:
            text += f" is {self.value}"
        if self.limit:
            text += f"; allowed: {self.limit}"
        return text

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.field, self.value, self.limit, self.code)


class InvalidArgument(KvTierError, ValueError):
    """A field has a value it can't have, or is above its limit."""

    default_code = ErrorCode.INVALID_ARGUMENT


class NamespaceMismatch(KvTierError):
    """The namespace is registered with another profile; ``field`` says which of its fields differs."""

    default_code = ErrorCode.NAMESPACE_MISMATCH


class Refused(KvTierError):
    """The silo has no room or no right for it (host_full, disk_full, busy, unauthorized, shutting_down, io_error, conflict)."""

    default_code = ErrorCode.BUSY


class DeadlineExceeded(KvTierError, TimeoutError):
    """The deadline passed first. A put may have been stored all the same."""

    default_code = ErrorCode.DEADLINE_EXCEEDED


class LeaseExpired(KvTierError):
    """A lease or reservation is unknown, was given back or has expired."""

    default_code = ErrorCode.LEASE_EXPIRED


class ProtocolError(KvTierError):
    """Bytes on the wire do not follow the protocol, or the versions differ; the connection is closed."""

    default_code = ErrorCode.PROTOCOL_VIOLATION


class Corrupt(KvTierError):
    """Bytes failed their check."""

    default_code = ErrorCode.CORRUPT


class Unsupported(KvTierError):
    """The silo, this machine or this build can't do that."""

    default_code = ErrorCode.UNSUPPORTED


class Unreachable(KvTierError, ConnectionError):
    """The connection to the silo is lost or could not be made."""

    default_code = ErrorCode.UNAVAILABLE


class Moved(KvTierError):
    """Another silo owns what was asked for: ``value`` is its name, ``limit`` its endpoint and the epoch."""

    default_code = ErrorCode.MOVED


class Fenced(KvTierError):
    """The silo can't show that it still is the owner; nothing was changed."""

    default_code = ErrorCode.FENCED


_BY_CODE: dict[int, type[KvTierError]] = {
    ErrorCode.INVALID_ARGUMENT: InvalidArgument,
    ErrorCode.LIMIT_EXCEEDED: InvalidArgument,
    ErrorCode.NAMESPACE_MISMATCH: NamespaceMismatch,
    ErrorCode.HOST_FULL: Refused,
    ErrorCode.DISK_FULL: Refused,
    ErrorCode.UNAUTHORIZED: Refused,
    ErrorCode.SHUTTING_DOWN: Refused,
    ErrorCode.BUSY: Refused,
    ErrorCode.IO_ERROR: Refused,
    ErrorCode.CONFLICT: Refused,
    ErrorCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    ErrorCode.LEASE_EXPIRED: LeaseExpired,
    ErrorCode.PROTOCOL_VIOLATION: ProtocolError,
    ErrorCode.VERSION_MISMATCH: ProtocolError,
    ErrorCode.CORRUPT: Corrupt,
    ErrorCode.UNSUPPORTED: Unsupported,
    ErrorCode.UNAVAILABLE: Unreachable,
    ErrorCode.MOVED: Moved,
    ErrorCode.FENCED: Fenced,
}


def error_of(code: int, field: str, value: object = "", limit: object = "") -> KvTierError:
    """The error of a wire code, as the class that fits it."""
    return _BY_CODE.get(code, KvTierError)(field, value, limit, code)


def _rebuild(kind: type[KvTierError], field: str, value: str, limit: str, code: int) -> KvTierError:
    return kind(field, value, limit, code)

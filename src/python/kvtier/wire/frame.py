"""Frames: a header of 32 bytes, a MessagePack body, and raw payload."""
from __future__ import annotations

import struct
import threading
from typing import Any, NamedTuple

import msgpack  # type: ignore

from ..crc32c import short_crc32c as crc32c
from ..errors import KvTierError, ProtocolError, error_of

MAGIC = b"KVT1"
VERSION = 1
HEADER_BYTES = 32
REQUEST, RESPONSE, ERROR, NOTICE = 1, 2, 3, 4
BODY_BYTES_MAX = 16 << 20
PAYLOAD_BYTES_MAX = (1 << 32) - 1

_FIELDS = struct.Struct("<4sBBHQIII")
_CRC = struct.Struct("<I")
_HEADER = struct.Struct("<4sBBHQIIII")


class _Packers(threading.local):
    """A packer for each thread: making one takes longer than packing a request."""

    def __init__(self) -> None:
        self.own = msgpack.Packer(use_bin_type=True)


_packers = _Packers()


class Header(NamedTuple):
    """What a header says, less magic and checks."""

    kind: int
    opcode: int
    request_id: int
    body_length: int
    body_crc: int
    payload_length: int


def pack_body(fields: list[Any]) -> bytes:
    """A body: one MessagePack array."""
    return _packers.own.pack(fields)  # type: ignore[no-any-return]


def unpack_body(body: Any) -> list[Any]:
    """Reads a body.

    :raises ProtocolError: it is not one MessagePack array.
    """
    try:
        fields = msgpack.unpackb(body, raw=False, strict_map_key=False)
    except Exception as error:  # msgpack has many kinds of its own
        raise ProtocolError("body", repr(error), "one MessagePack array") from None
    if not isinstance(fields, list):
        raise ProtocolError("body", type(fields).__name__, "one MessagePack array")
    return fields


def pack_header(kind: int, opcode: int, request_id: int, body: bytes, payload_length: int = 0) -> bytes:
    """The header of a frame with this body."""
    head = _FIELDS.pack(MAGIC, VERSION, kind, opcode, request_id, len(body), crc32c(body), payload_length)
    return head + _CRC.pack(crc32c(head))


def read_header(raw: Any) -> Header:
    """Reads and checks the header in the first 32 bytes.

    :raises ProtocolError: magic, check, version, kind or a length are wrong.
    """
    magic, version, kind, opcode, request_id, body_length, body_crc, payload_length, check = _HEADER.unpack_from(raw)
    if magic != MAGIC:
        raise ProtocolError("frame.magic", magic.hex(), MAGIC.hex())
    if crc32c(raw[:28]) != check:
        raise ProtocolError("frame.headerCrc", f"{check:08x}", f"{crc32c(raw[:28]):08x}")
    if version != VERSION:
        raise ProtocolError("frame.version", version, VERSION)
    if not REQUEST <= kind <= NOTICE:
        raise ProtocolError("frame.kind", kind, "1 to 4")
    if body_length > BODY_BYTES_MAX:
        raise ProtocolError("frame.bodyLength", body_length, BODY_BYTES_MAX)
    return Header(kind, opcode, request_id, body_length, body_crc, payload_length)


def error_from(fields: Any) -> KvTierError:
    """The error that an error frame's body, or an error in an answer, says."""
    try:
        code, field, value, limit = fields[:4]
        return error_of(int(code), str(field), value, limit)
    except (TypeError, ValueError):
        return ProtocolError("error", repr(fields)[:100], "[code, field, value, limit]")

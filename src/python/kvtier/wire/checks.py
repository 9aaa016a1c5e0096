"""The check that travels with a block's bytes: CRC32C over its identity and the CRC32C of the bytes."""
from __future__ import annotations

import struct
from typing import Sequence

import numpy as np

from ..crc32c import crc32c, crc32c_rows

_TAIL = struct.Struct("<16siiiI")
_FEW = 4


def block_check(block_id: bytes, codec: int, offset: int, length: int, payload_crc: int) -> int:
    """The check of a range of a block; of a whole one with offset 0."""
    return crc32c(_TAIL.pack(block_id, codec, offset, length, payload_crc))


def block_checks(parts: Sequence[tuple[bytes, int, int, int, int]]) -> list[int]:
    """The checks of many; each part as the arguments of :func:`block_check`."""
    if len(parts) < _FEW:
        return [block_check(*part) for part in parts]
    return crc32c_rows(np.frombuffer(b"".join([_TAIL.pack(*part) for part in parts]), np.uint8).reshape(len(parts), 32))

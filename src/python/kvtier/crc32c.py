"""CRC32C (Castagnoli): of the package ``crc32c`` where that is installed (the extra ``fast``), else of numpy alone.

The package takes 0.2 us for the few bytes of a frame's head, numpy's way 2 us. Of long data it is the faster one too if it was built
for the processor's own instruction; a build without it does 2 GB/s, and numpy's way 3 GB/s.
"""
from __future__ import annotations

from typing import Any

from .folding import crc32c as folded
from .folding import crc32c_rows

try:
    from crc32c import crc32c as packaged  # type: ignore
    from crc32c import hardware_based
except ImportError:
    packaged = None
    hardware_based = False

__all__ = ["crc32c", "crc32c_rows", "short_crc32c"]
_LONG = 16 << 10


def _mixed(data: Any, crc: int = 0) -> int:
    """Short data by the package, long data by numpy."""
    size = len(data) if type(data) is bytes else memoryview(data).nbytes
    return packaged(data, crc) if size < _LONG else folded(data, crc)  # type: ignore[no-any-return]


IS_FAST = packaged is not None and bool(hardware_based)
"""True when long data is checked at the speed of a copy."""

crc32c = folded if packaged is None else packaged if hardware_based else _mixed
"""CRC32C of bytes (anything contiguous with the buffer protocol), or of bytes that follow others: ``crc32c(data, crc=0)``."""

short_crc32c = packaged or folded
"""The same, the quickest way for the bytes of a frame."""

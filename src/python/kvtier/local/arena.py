"""The silo's shared memory, mapped."""
from __future__ import annotations

import mmap
import os
import struct

from ..crc32c import crc32c
from ..errors import Corrupt, InvalidArgument, ProtocolError, Refused, Unsupported

_AREA_BYTES = 1 << 18
_HEADER_BYTES = 44
_MAGIC = b"KVTARENA"


class Arena:
    """A mapping. It stays until nobody has a view of it any more, so that no reader finds its memory gone.

    ``readable`` and ``writable`` are views of the whole of it.
    """

    def __init__(self, key: tuple[str, int, int]) -> None:
        """Maps an arena and checks that it is the one that the silo named.

        :param key: path, bytes and nonce.
        :raises KvTierError: it is not there, not that one, or shorter than the silo says.
        """
        self.key = key
        path, size, nonce = key
        if size < _AREA_BYTES or size % _AREA_BYTES:
            raise InvalidArgument("arena.sizeBytes", size, f"a multiple of {_AREA_BYTES}")
        try:
            number = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            raise Refused("arena.path", path, "a file of the same user", code=9) from None
        except OSError as error:
            raise Unsupported("arena.path", path, f"a file that can be opened ({error.strerror})") from None
        try:
            length = os.fstat(number).st_size
            if length < size:  # Reading past the end of a file would end the process.
                raise InvalidArgument("arena.sizeBytes", size, f"at most the file's {length}")
            self._map = mmap.mmap(number, size)
        finally:
            os.close(number)
        self.size = size
        self.writable = memoryview(self._map)
        self.readable = self.writable.toreadonly()
        self._check(nonce, size)

    def _check(self, nonce: int, size: int) -> None:
        head = bytes(self.readable[:_HEADER_BYTES])
        magic, version, _, its_size, its_nonce, _, _, check = struct.unpack("<8siiqQiiI", head)
        if magic != _MAGIC:
            raise Corrupt("arena.magic", "another file", "KVTARENA")
        if version != 1:
            raise ProtocolError("arena.version", version, 1)
        if crc32c(head[:40]) != check:
            raise Corrupt("arena.check", f"{check:08x}", f"{crc32c(head[:40]):08x}")
        if its_nonce != nonce or its_size != size:
            raise Corrupt("arena.nonce", f"{its_nonce:016x} of {its_size} bytes", f"{nonce:016x} of {size} bytes")

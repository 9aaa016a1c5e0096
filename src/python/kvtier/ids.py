"""Block ids and groups."""
from __future__ import annotations

import hashlib
from typing import Iterable, Sequence, Union

from .errors import InvalidArgument


class BlockId(bytes):
    """The 16 bytes that a block is found by: the first of SHA-256(namespace fingerprint, key). A ``bytes`` that is not a BlockId is
    taken as a key."""

    __slots__ = ()

    def __new__(cls, value: bytes) -> BlockId:
        if len(value) != 16:
            raise InvalidArgument("block_id.length", len(value), 16)
        return bytes.__new__(cls, value)

    @staticmethod
    def from_hex(text: str) -> BlockId:
        """Reads 32 hexadecimal digits."""
        return BlockId(bytes.fromhex(text))

    def __repr__(self) -> str:
        return f"BlockId({self.hex()})"


Key = Union[bytes, bytearray, memoryview, BlockId]


def block_id(fingerprint: bytes, key: Key) -> BlockId:
    """The id of a key in the namespace with this fingerprint (16 bytes)."""
    digest = hashlib.sha256(fingerprint)
    digest.update(key)
    return bytes.__new__(BlockId, digest.digest()[:16])


def block_groups(ids: Sequence[bytes]) -> list[BlockId]:
    """The group of each block of a prefix: blocks 0, 1-3, 4-15, 16-63 and then 64 each are groups, named by their first block's id.

    :param ids: the ids of all blocks of the prefix from its first on, in order.
    """
    groups: list[BlockId] = []
    first = ids[0] if ids else b""
    for position, one in enumerate(ids):
        if begins_group(position):
            first = one
        groups.append(first if isinstance(first, BlockId) else BlockId(first))
    return groups


def begins_group(position: int) -> bool:
    """True when the block at this position of a prefix is the first of a group."""
    return position in (0, 1, 4, 16) or (position >= 64 and position % 64 == 0)


def join_ids(ids: Iterable[bytes]) -> bytes:
    """Ids one after the other, as requests carry them."""
    return b"".join(ids)

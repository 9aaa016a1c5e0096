"""A namespace: blocks of one tenant and profile."""
from __future__ import annotations

from typing import Any, Sequence

from .ids import BlockId, Key
from .profile import Profile
from .results import Description, GetResult, Prefix, PutOutcome, PutStatus

Buffer = Any
"""Anything with the buffer protocol, contiguous: bytes, bytearray, memoryview, numpy arrays."""


class Namespace:
    """Blocks of one tenant and profile. Keys are bytes (1 to 512), or a BlockId where only the id is known (not for puts)."""

    client: Any
    tenant: str
    profile: Profile
    fingerprint: bytes
    block_bytes: int

    def id_of(self, key: Key) -> BlockId:
        """The block id of a key."""
        raise NotImplementedError

    def put(self, key: bytes, value: Buffer, *, ack: str = "memory", overwrite: bool = False, ttl_ms: int = 0,
            group: bytes | None = None, deadline_ms: int | None = None) -> PutStatus:
        """Stores a block: ``stored`` or ``present``; a refusal raises."""
        raise NotImplementedError

    def put_many(self, blocks: Sequence[tuple[bytes, Buffer]], *, ack: str = "memory", overwrite: bool = False, ttl_ms: int = 0,
                 groups: Sequence[bytes] | None = None, deadline_ms: int | None = None) -> list[PutOutcome]:
        """Stores blocks in one request; never raises for one block."""
        raise NotImplementedError

    def get(self, key: Key, into: Buffer | None = None, *, group: bytes | None = None, deadline_ms: int | None = None) -> GetResult:
        """Fetches a block into ``into`` (writable), or into new memory."""
        raise NotImplementedError

    def get_many(self, keys: Sequence[Key], into: Sequence[Buffer] | None = None,
                 ranges: Sequence[tuple[int, int]] | None = None, *, groups: Sequence[bytes] | None = None,
                 deadline_ms: int | None = None) -> list[GetResult]:
        """Fetches blocks, or (offset, length) ranges of them (length 0: to the end)."""
        raise NotImplementedError

    def lease(self, keys: Sequence[Key], lease_ms: int = 0, *, groups: Sequence[bytes] | None = None,
              deadline_ms: int | None = None) -> Any:
        """Leases blocks in the silo's shared memory: read-only views, no payload moves. A context manager."""
        raise NotImplementedError

    def reserve(self, blocks: Sequence[tuple[bytes, int]], *, overwrite: bool = False, ttl_ms: int = 0, lease_ms: int = 0,
                groups: Sequence[bytes] | None = None, deadline_ms: int | None = None) -> Any:
        """Reserves slots in the silo's shared memory: writable views, then ``commit(ack=…)``. A context manager."""
        raise NotImplementedError

    def prefix(self, keys: Sequence[Key], touch: bool = False, *, groups: Sequence[bytes] | None = None,
               deadline_ms: int | None = None) -> Prefix:
        """How many of the ordered blocks are here without a gap."""
        raise NotImplementedError

    def delete(self, keys: Sequence[Key], *, deadline_ms: int | None = None) -> list[bool]:
        """Deletes blocks; False where it was not here."""
        raise NotImplementedError

    def pin(self, keys: Sequence[Key], ms: int, *, deadline_ms: int | None = None) -> list[bool]:
        """Keeps blocks from eviction for ``ms``."""
        raise NotImplementedError

    def unpin(self, keys: Sequence[Key], *, deadline_ms: int | None = None) -> list[bool]:
        """Ends pins."""
        raise NotImplementedError

    def touch(self, keys: Sequence[Key], *, deadline_ms: int | None = None) -> list[bool]:
        """Marks blocks as used."""
        raise NotImplementedError

    def prefetch(self, keys: Sequence[Key], *, deadline_ms: int | None = None) -> list[bool]:
        """Starts reading blocks into host memory."""
        raise NotImplementedError

    def describe(self, keys: Sequence[Key], *, deadline_ms: int | None = None) -> list[Description]:
        """What is known of blocks."""
        raise NotImplementedError

"""A namespace: blocks of one tenant and profile."""
from __future__ import annotations

import hashlib
from typing import Any, Callable, Optional, Sequence, TypeVar, Union

from .block_parts import Answer, PutOptions, put_block
from .blocks import SiloBlocks
from .engine import EngineMixin
from .errors import InvalidArgument
from .ids import BlockId, Key, block_groups
from .local.leases import Leases
from .local.reservations import Reservation, Reservations
from .profile import Profile
from .recall.namespace import RecallMixin
from .results import Description, GetResult, Prefix, PutOutcome, PutStatus
from .transport import clock
from .wire import blocks as wire
from .wire import opcodes as op
from .wire.blocks import NO_ROUTE, Route

Buffer = Any
"""Anything with bytes in one piece: bytes, bytearray, memoryview, numpy arrays, torch tensors on the CPU."""
Groups = Union[None, str, Sequence[bytes]]
"""Where blocks lie in a cluster: None (each by itself), ``prefix`` (the keys are a prefix from its first block on), or a group each."""

T = TypeVar("T")
_BATCH = 4096
_KEY_BYTES_MAX = 512


class Namespace(RecallMixin, EngineMixin):
    """Blocks of one tenant and profile. Thread-safe.

    Keys are bytes (1 to 512), or a :class:`BlockId` where only the id is known (not for puts). Every call takes ``deadline_ms``, the
    client's ``timeout_ms`` otherwise, and raises a :class:`KvTierError` when it could not be done.
    """

    def __init__(self, client: Any, tenant: str, profile: Profile, fingerprint: bytes, blocks: SiloBlocks, cluster: Any = None) -> None:
        self.client = client
        self.tenant = tenant
        self.profile = profile
        self.fingerprint = fingerprint
        self.descriptor = blocks.descriptor
        self._blocks = blocks
        self._cluster = cluster

    @property
    def block_bytes(self) -> int:
        """Bytes of every block; 0 where each has its own length."""
        return self.profile.block_bytes

    def id_of(self, key: Key) -> BlockId:
        """The block id of a key."""
        if type(key) is BlockId:
            return key
        if not 0 < len(key) <= _KEY_BYTES_MAX:
            raise InvalidArgument("key.length", len(key), f"1 to {_KEY_BYTES_MAX}")
        digest = hashlib.sha256(self.fingerprint)
        digest.update(key)
        return bytes.__new__(BlockId, digest.digest()[:16])

    def ids_of(self, keys: Sequence[Key], is_put: bool = False) -> list[BlockId]:
        """The block ids of keys.

        :param is_put: True to refuse lone ids, of which a silo can't make blocks.
        """
        sha256, made, start, most = hashlib.sha256, bytes.__new__, self.fingerprint, _KEY_BYTES_MAX
        if is_put and any(type(key) is BlockId for key in keys):
            raise InvalidArgument("key", "a BlockId", "the key itself (bytes): a silo computes the id of what it stores")
        return [
            made(BlockId, sha256(start + key).digest()[:16]) if type(key) is bytes and 0 < len(key) <= most
            else key if type(key) is BlockId else self.id_of(key)
            for key in keys
        ]

    def put(self, key: bytes, value: Buffer, *, ack: str = "memory", overwrite: bool = False, ttl_ms: int = 0,
            group: Optional[bytes] = None, deadline_ms: Optional[int] = None) -> PutStatus:
        """Stores a block: ``stored`` or ``present``.

        :param ack: ``memory``, ``ssd`` (its log record is committed) or ``replica`` (all holders in the cluster have it).
        :raises KvTierError: the block was refused, or the ack could not be given.
        """
        outcome = self.put_many([(key, value)], ack=ack, overwrite=overwrite, ttl_ms=ttl_ms, deadline_ms=deadline_ms,
                                groups=None if group is None else [group])[0]
        if outcome.error is not None:
            raise outcome.error
        return outcome.status

    def put_many(self, blocks: Sequence[tuple[bytes, Buffer]], *, ack: str = "memory", overwrite: bool = False, ttl_ms: int = 0,
                 groups: Groups = None, deadline_ms: Optional[int] = None) -> list[PutOutcome]:
        """Stores blocks in one request; never raises for a single block. With shared memory the bytes are copied into it once."""
        deadline = self._deadline(deadline_ms)
        options = PutOptions(wire.ack_number(ack), wire.OVERWRITE if overwrite else 0, ttl_ms)
        ids = self.ids_of([key for key, _ in blocks], True)
        grouped = self._groups(groups, ids)
        puts = [put_block(bytes(key), value, ids[i], None if grouped is None else grouped[i], f"blocks[{i}].value")
                for i, (key, value) in enumerate(blocks)]
        for i, one in enumerate(puts):
            self._check_length(f"blocks[{i}].value.length", len(one.data))
        if self._cluster is not None:
            return self._cluster.put(self, puts, options, deadline)  # type: ignore[no-any-return]
        return _in_batches(puts, lambda part, _: self._blocks.put(part, options, deadline, NO_ROUTE, Answer()))

    def get(self, key: Key, into: Optional[Buffer] = None, *, group: Optional[bytes] = None,
            deadline_ms: Optional[int] = None) -> GetResult:
        """Fetches a block into ``into`` (writable, long enough), or into new memory: a Hit, or a Miss with its reason."""
        return self.get_many([key], None if into is None else [into], groups=None if group is None else [group],
                             deadline_ms=deadline_ms)[0]

    def get_many(self, keys: Sequence[Key], into: Optional[Sequence[Buffer]] = None,
                 ranges: Optional[Sequence[tuple[int, int]]] = None, *, groups: Groups = None,
                 deadline_ms: Optional[int] = None) -> list[GetResult]:
        """Fetches blocks in one request.

        :param into: writable memory for each, at least as long as the block.
        :param ranges: an (offset, length) for each, to fetch a part; length 0 means to the end of the block.
        """
        deadline = self._deadline(deadline_ms)
        ids = self.ids_of(keys)
        if into is not None and len(into) != len(ids):
            raise InvalidArgument("into.length", len(into), len(ids))
        if ranges is not None and len(ranges) != len(ids):
            raise InvalidArgument("ranges.length", len(ranges), len(ids))
        grouped = self._groups(groups, ids)
        if self._cluster is not None:
            return self._cluster.get(self, ids, into, ranges, grouped, deadline)  # type: ignore[no-any-return]

        def part(some: Sequence[BlockId], at: int) -> list[GetResult]:
            end = at + len(some)
            return self._blocks.get(some, None if into is None else into[at:end], None if ranges is None else ranges[at:end], deadline,
                                    _route(grouped, at, end), Answer())

        return _in_batches(ids, part)

    def lease(self, keys: Sequence[Key], lease_ms: int = 0, *, groups: Groups = None, deadline_ms: Optional[int] = None) -> Leases:
        """Leases blocks in the silo's shared memory: read-only views, and no payload moves.

        :param lease_ms: how long the leases last; the client's default (10 s) when 0.
        :raises Unsupported: the silo's memory is not mapped.
        """
        deadline = self._deadline(deadline_ms)
        ids = self.ids_of(keys)
        grouped = self._groups(groups, ids)
        if self._cluster is not None:
            return self._cluster.lease(self, ids, grouped, lease_ms, deadline)  # type: ignore[no-any-return]
        if 0 < len(ids) <= _BATCH:
            return self._blocks.lease(ids, lease_ms, deadline, _route(grouped, 0, len(ids)), Answer())
        return Leases(_in_batches(
            ids, lambda part, at: list(self._blocks.lease(part, lease_ms, deadline, _route(grouped, at, at + len(part)), Answer()))))

    def reserve(self, blocks: Sequence[tuple[bytes, int]], *, overwrite: bool = False, ttl_ms: int = 0, lease_ms: int = 0,
                groups: Groups = None, deadline_ms: Optional[int] = None) -> Reservations:
        """Reserves slots of (key, length) in the silo's shared memory: write into their ``data``, then ``commit``.

        :raises Unsupported: the silo's memory is not mapped.
        """
        deadline = self._deadline(deadline_ms)
        options = PutOptions(0, wire.OVERWRITE if overwrite else 0, ttl_ms)
        ids = self.ids_of([key for key, _ in blocks], True)
        wanted = [(bytes(key), length, ids[i]) for i, (key, length) in enumerate(blocks)]
        for i, one in enumerate(wanted):
            self._check_length(f"blocks[{i}].length", one[1])
        grouped = self._groups(groups, [one[2] for one in wanted])
        owner = self._blocks if self._cluster is None else self._cluster.local_blocks(self)

        def part(some: Sequence[tuple[bytes, int, BlockId]], at: int) -> list[Reservation]:
            epoch = 0 if self._cluster is None else self._cluster.epoch
            route = _route(grouped, at, at + len(some))._replace(epoch=epoch)
            return owner.reserve(some, options, lease_ms, deadline, route, Answer())  # type: ignore[no-any-return]

        def commit(some: Sequence[Reservation], ack: str, checks: bool, ms: Optional[int]) -> list[PutOutcome]:
            return owner.commit(some, wire.ack_number(ack), checks, self._deadline(ms), Answer())  # type: ignore[no-any-return]

        return Reservations(_in_batches(wanted, part), commit)

    def prefix(self, keys: Sequence[Key], touch: bool = False, *, groups: Groups = None, deadline_ms: Optional[int] = None) -> Prefix:
        """How many of the ordered blocks are here without a gap."""
        deadline = self._deadline(deadline_ms)
        ids = self.ids_of(keys)
        grouped = self._groups(groups, ids)
        if self._cluster is not None:
            return self._cluster.prefix(self, ids, grouped, touch, deadline)  # type: ignore[no-any-return]
        tiers: list[Any] = []
        for at in range(0, len(ids), _BATCH):
            some = ids[at:at + _BATCH]
            one = self._blocks.prefix(some, touch, deadline, _route(grouped, at, at + len(some)), Answer())
            tiers.extend(one.tiers)
            if one.count < len(some):
                break
        return Prefix(len(tiers), tuple(tiers))

    def delete(self, keys: Sequence[Key], *, groups: Groups = None, deadline_ms: Optional[int] = None) -> list[bool]:
        """Deletes blocks; False where it was not here."""
        return self._change(op.DELETE, keys, None, groups, deadline_ms)

    def pin(self, keys: Sequence[Key], ms: int, *, groups: Groups = None, deadline_ms: Optional[int] = None) -> list[bool]:
        """Keeps blocks from eviction for ``ms`` (at most a day)."""
        return self._change(op.PIN, keys, ms, groups, deadline_ms)

    def unpin(self, keys: Sequence[Key], *, groups: Groups = None, deadline_ms: Optional[int] = None) -> list[bool]:
        """Ends pins."""
        return self._change(op.UNPIN, keys, None, groups, deadline_ms)

    def touch(self, keys: Sequence[Key], *, groups: Groups = None, deadline_ms: Optional[int] = None) -> list[bool]:
        """Marks blocks as used."""
        return self._change(op.TOUCH, keys, None, groups, deadline_ms)

    def prefetch(self, keys: Sequence[Key], *, groups: Groups = None, deadline_ms: Optional[int] = None) -> list[bool]:
        """Starts reading blocks into host memory."""
        return self._change(op.PREFETCH, keys, None, groups, deadline_ms)

    def describe(self, keys: Sequence[Key], *, groups: Groups = None, deadline_ms: Optional[int] = None) -> list[Description]:
        """What is known of blocks."""
        deadline = self._deadline(deadline_ms)
        ids = self.ids_of(keys)
        grouped = self._groups(groups, ids)
        if self._cluster is not None:
            return self._cluster.describe(self, ids, grouped, deadline)  # type: ignore[no-any-return]
        return _in_batches(
            ids, lambda part, at: self._blocks.describe(part, deadline, _route(grouped, at, at + len(part)), Answer()))

    def _change(self, opcode: int, keys: Sequence[Key], ms: Optional[int], groups: Groups, deadline_ms: Optional[int]) -> list[bool]:
        deadline = self._deadline(deadline_ms)
        ids = self.ids_of(keys)
        grouped = self._groups(groups, ids)
        if self._cluster is not None:
            return self._cluster.change(self, opcode, ids, grouped, ms, deadline)  # type: ignore[no-any-return]
        return [status == 1 for status in _in_batches(ids, lambda part, at: list(
            self._blocks.change(opcode, part, ms, deadline, _route(grouped, at, at + len(part)), Answer())))]

    def _deadline(self, ms: Optional[int]) -> float:
        return clock.after(self.client.timeout_ms if ms is None else ms)

    def _check_length(self, field: str, length: int) -> None:
        wanted = self.block_bytes
        if wanted and length != wanted:
            raise InvalidArgument(field, length, f"{wanted}, the bytes of a block of {self.profile.name}")

    @staticmethod
    def _groups(groups: Groups, ids: Sequence[BlockId]) -> Optional[Sequence[bytes]]:
        if groups is None:
            return None
        if isinstance(groups, str):
            if groups != "prefix":
                raise InvalidArgument("groups", groups, "prefix, or a group for each block")
            return block_groups(ids)
        if len(groups) != len(ids) or any(len(one) != 16 for one in groups):
            raise InvalidArgument("groups.length", len(groups), f"{len(ids)}, one of 16 bytes for each block")
        return groups

    def __repr__(self) -> str:
        return f"Namespace({self.tenant}/{self.profile.name})"


def _route(groups: Optional[Sequence[bytes]], start: int, end: int) -> Route:
    return NO_ROUTE if groups is None else Route(0, wire.CLIENT, groups[start:end])


def _in_batches(items: Sequence[Any], work: Callable[[Sequence[Any], int], list[T]]) -> list[T]:
    """Does the work for at most 4,096 at a time."""
    if len(items) <= _BATCH:
        return work(items, 0) if items else []
    results: list[T] = []
    for at in range(0, len(items), _BATCH):
        results.extend(work(items[at:at + _BATCH], at))
    return results

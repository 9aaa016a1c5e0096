"""TP-neutral storage: blocks stored per range of KV heads, so that nodes of any tensor-parallel size read each other's.

A rank of an engine has some of a model's KV heads. Were its part of a block stored whole, only a node of the same size could read it.
Instead every block is cut into parts of ``granule`` heads each, the largest number that divides what a rank has at every size of
interest, and each part is stored under a key of its own: the engine's key and the range of heads. A rank writes and reads the parts that
make up its heads, whoever wrote them. ``[layer][token][latent]`` of MLA is the same on all ranks: it is one part, which rank 0 writes.

    split = kvtier.heads.HeadSplit(profile, tp_size=4, tp_rank=1, granule=kvtier.heads.common_granule(profile.kv_heads, (1, 2, 4, 8)))
    ns = client.namespace(split.profile)
    if split.writes:
        ns.put_many(list(zip(split.keys(engine_key), split.buffers(mine))))
    hits = ns.get_many(split.keys(engine_key))
    split.fill(mine, [hit.data for hit in hits])

Nothing here talks to a silo. Arrays are NumPy's or PyTorch's; bf16 and fp8, which NumPy lacks, are unsigned integers of the same width.
"""
from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .errors import InvalidArgument
from .profile import Profile

__all__ = ["CANONICAL", "HeadRange", "HeadSplit", "canonical", "common_granule", "key_of", "parse_key", "rank_heads", "rank_writes"]

#: Axes of a stored block, outermost first. MLA has no ``kv`` and no ``head``, and its ``dim`` is the latent.
CANONICAL = ("layer", "kv", "head", "token", "dim")

_TAIL = struct.Struct(">4sHH")
_MARK = b"/kvh"
_NUMPY = {"fp32": "<f4", "fp16": "<f2", "bf16": "<u2", "fp8_e4m3": "u1", "fp8_e5m2": "u1", "int8": "i1"}


@dataclasses.dataclass(frozen=True, order=True)
class HeadRange:
    """KV heads ``first`` to ``first + count - 1`` of a model."""

    first: int
    count: int

    @property
    def end(self) -> int:
        """One past the last head."""
        return self.first + self.count

    def split(self, granule: int) -> list[HeadRange]:
        """The range in parts of ``granule`` heads. Raises InvalidArgument when it does not begin and end at a part's border."""
        if granule < 1 or self.first % granule or self.count % granule:
            raise InvalidArgument("granule", granule, f"a divisor of the heads {self.first} and {self.end}")
        return [HeadRange(first, granule) for first in range(self.first, self.end, granule)]


def rank_heads(kv_heads: int, tp_size: int, tp_rank: int) -> HeadRange:
    """The KV heads that a rank has: ``kv_heads / tp_size`` each, or with more ranks than heads one, which several ranks in a row share.

    Raises InvalidArgument for a rank that is not below the size, and for a size that neither divides ``kv_heads`` nor is a multiple.
    """
    _check(kv_heads >= 1, "kv_heads", kv_heads, "1 or more")
    _check(tp_size >= 1 and (kv_heads % tp_size == 0 or tp_size % kv_heads == 0), "tp_size", tp_size,
           f"a divisor or a multiple of the {kv_heads} KV heads")
    _check(0 <= tp_rank < tp_size, "tp_rank", tp_rank, f"0 to {tp_size - 1}")
    if tp_size > kv_heads:
        return HeadRange(tp_rank // (tp_size // kv_heads), 1)
    count = kv_heads // tp_size
    return HeadRange(tp_rank * count, count)


def rank_writes(kv_heads: int, tp_size: int, tp_rank: int) -> bool:
    """True for the rank that writes: of ranks that share a head, the first. With one head, as MLA has, that is rank 0."""
    rank_heads(kv_heads, tp_size, tp_rank)
    return tp_size <= kv_heads or tp_rank % (tp_size // kv_heads) == 0


def common_granule(kv_heads: int, tp_sizes: Iterable[int] = (1, 2, 4, 8)) -> int:
    """Heads of a part, such that every rank of every size has whole parts: the greatest common divisor of what the ranks have.

    ``tp_sizes``: all sizes of nodes that are to share blocks; a size that can't be (see :func:`rank_heads`) is InvalidArgument, except
    in the default, where it is left out. Larger parts are fewer round trips: name only sizes that exist.
    """
    sizes = tuple(tp_sizes)
    if sizes == (1, 2, 4, 8):
        sizes = tuple(size for size in sizes if kv_heads % size == 0 or size % kv_heads == 0)
    _check(len(sizes) > 0, "tp_sizes", "none", "1 size at least")
    return math.gcd(*(rank_heads(kv_heads, size, 0).count for size in sizes))


def key_of(engine_key: bytes, heads: HeadRange) -> bytes:
    """The key of a part: the engine's key, ``/kvh``, first head and number of heads as 2 bytes each, big-endian; 8 bytes longer."""
    _check(0 <= heads.first < 1 << 16 and 1 <= heads.count < 1 << 16, "heads", heads, "below 65,536")
    return bytes(engine_key) + _TAIL.pack(_MARK, heads.first, heads.count)


def parse_key(key: bytes) -> tuple[bytes, HeadRange]:
    """The engine's key and the heads of a part's key. Raises InvalidArgument for any other key."""
    key = bytes(key)
    if len(key) < _TAIL.size or key[-_TAIL.size:-4] != _MARK:
        raise InvalidArgument("key", key.hex(), "a key that heads.key_of made")
    _, first, count = _TAIL.unpack(key[-_TAIL.size:])
    return key[:-_TAIL.size], HeadRange(first, count)


def canonical(array: Any, axes: Sequence[str]) -> Any:
    """A view, never a copy, of an engine's block with the axes of a stored one.

    array: NumPy array or PyTorch tensor of one block on one rank. axes: the names of its axes, outermost first, the names of
    :data:`CANONICAL` (for MLA without ``kv`` and ``head``) in the engine's order, such as ``("layer", "kv", "token", "head", "dim")``.
    """
    wanted = [name for name in CANONICAL if name in axes]
    _check(sorted(axes) == sorted(wanted) and len(axes) == array.ndim, "axes", " ".join(axes), f"each of {' '.join(CANONICAL)} once")
    order = [list(axes).index(name) for name in wanted]
    return array.transpose(order) if isinstance(array, np.ndarray) else array.permute(order)


class HeadSplit:
    """How one rank stores and finds its part of every block.

    profile: the whole model's, with all KV heads (for MLA ``kind="mla"``, one head). granule: heads of a part, the same on all nodes
    that are to share; default :func:`common_granule` of 1, 2, 4, 8 and this size. Raises InvalidArgument for sizes that don't fit.
    """

    def __init__(self, profile: Profile, tp_size: int, tp_rank: int, granule: int | None = None):
        _check(profile.kind in ("gqa", "mla"), "profile.kind", profile.kind, "gqa or mla")
        profile.validate()
        self.whole = profile
        #: The heads that this rank has.
        self.heads = rank_heads(profile.kv_heads, tp_size, tp_rank)
        #: True when this rank is to write its parts; others that have the same heads only read.
        self.writes = rank_writes(profile.kv_heads, tp_size, tp_rank)
        #: Heads of a part.
        self.granule = granule or math.gcd(common_granule(profile.kv_heads), self.heads.count)
        #: The parts that make up this rank's heads, in order.
        self.parts = tuple(self.heads.split(self.granule))
        _check(profile.kv_heads % self.granule == 0, "granule", self.granule, f"a divisor of the {profile.kv_heads} KV heads")

    @property
    def profile(self) -> Profile:
        """The profile of the namespace that parts are stored in; its name says granule and heads, so that other cuts don't meet."""
        if self.whole.kind == "mla":
            return self.whole
        name = f"{self.whole.name}.h{self.granule}of{self.whole.kv_heads}"
        return dataclasses.replace(self.whole, name=name, kv_heads=self.granule)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of this rank's part of a block, ``[layer, 2, head, token, dim]``; for MLA ``[layer, token, latent]``."""
        return self._shape(self.heads.count)

    @property
    def part_shape(self) -> tuple[int, ...]:
        """Shape of a stored part."""
        return self._shape(self.granule)

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type of an element; unsigned integers for bf16 and fp8."""
        return np.dtype(_NUMPY[self.whole.dtype])

    def keys(self, engine_key: bytes) -> list[bytes]:
        """The keys of this rank's parts of a block, in the order of :attr:`parts`."""
        return [key_of(engine_key, part) for part in self.parts]

    def prefix_keys(self, engine_keys: Iterable[bytes]) -> list[bytes]:
        """The keys to ask ``prefix`` for: those of the first block, then those of the second. See :meth:`whole_blocks`."""
        return [key for engine_key in engine_keys for key in self.keys(engine_key)]

    def whole_blocks(self, count: int) -> int:
        """How many blocks are there from the first one on, of ``count`` keys that are."""
        return count // len(self.parts)

    def views(self, block: Any) -> list[Any]:
        """Views, never copies, of the parts of this rank's block.

        block: NumPy array or PyTorch tensor of :attr:`shape`, of any strides (see :func:`canonical`). Raises InvalidArgument for another
        shape.
        """
        _check(tuple(block.shape) == self.shape, "block.shape", tuple(block.shape), self.shape)
        if self.whole.kind == "mla":
            return [block]
        first = self.heads.first
        return [block[:, :, part.first - first : part.end - first] for part in self.parts]

    def buffers(self, block: Any) -> list[memoryview]:
        """The bytes of each part, to be put. What lies in one piece (a rank with one part, or heads outermost) is not copied."""
        return [_bytes_of(view) for view in self.views(_as_numpy(block, self.dtype))]

    def write(self, block: Any, targets: Sequence[Any]) -> None:
        """Copies each part to where it is to be, such as the views of a reservation, once and whatever the block's strides."""
        for view, target in self._pairs(_as_numpy(block, self.dtype), targets):
            self.part_of(target)[...] = view

    def fill(self, block: Any, sources: Sequence[Any]) -> None:
        """Copies the bytes of each part (``Hit.data``, a lease's view) to its place in this rank's block, once."""
        for view, source in self._pairs(_as_numpy(block, self.dtype), sources):
            view[...] = self.part_of(source)

    def part_of(self, data: Any) -> np.ndarray[Any, Any]:
        """The bytes of a stored part as an array of :attr:`part_shape`, not copied. Raises InvalidArgument for another length."""
        try:
            flat = np.frombuffer(data, np.uint8)
        except (BufferError, ValueError) as e:
            raise InvalidArgument("data", type(data).__name__, f"contiguous memory ({e})") from None
        length = math.prod(self.part_shape) * self.dtype.itemsize
        _check(flat.size == length, "data", f"{flat.size} bytes", f"{length} bytes")
        flat = flat.view(self.dtype)
        return flat.reshape(self.part_shape)

    def _pairs(self, block: Any, others: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
        _check(len(others) == len(self.parts), "parts", len(others), len(self.parts))
        return zip(self.views(block), others)

    def _shape(self, heads: int) -> tuple[int, ...]:
        whole = self.whole
        if whole.kind == "mla":
            return (whole.layers, whole.block_tokens, whole.head_dim)
        return (whole.layers, 2, heads, whole.block_tokens, whole.head_dim)


def _as_numpy(block: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The memory of an array or a CPU tensor as a NumPy array of the same shape and strides, not copied."""
    size = block.itemsize if isinstance(block, np.ndarray) else block.element_size()
    _check(size == dtype.itemsize, "block.dtype", block.dtype, f"elements of {dtype.itemsize} bytes")
    if isinstance(block, np.ndarray):
        return block if block.dtype == dtype else block.view(dtype)
    _check(block.device.type == "cpu", "block.device", block.device, "cpu: copy it to host memory first")
    if block.dtype.is_floating_point and dtype.kind == "u":
        # NumPy has no bf16 and no fp8: the same bytes as integers. PyTorch has no uint16 before 2.3.
        import torch

        block = block.view({1: torch.uint8, 2: torch.int16}[dtype.itemsize])
    return np.asarray(block.detach().numpy()).view(dtype)


def _bytes_of(view: np.ndarray[Any, Any]) -> memoryview:
    flat = np.ascontiguousarray(view)
    return memoryview(flat.reshape(-1).view(np.uint8))  # type: ignore[arg-type]


def _check(good: bool, field: str, value: Any, limit: Any) -> None:
    if not good:
        raise InvalidArgument(field, value, str(limit))

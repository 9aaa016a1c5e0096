"""Chunks of LMCache as blocks: one with the bytes, and a small one that says what they are.

The small one is read first, so that memory of the right shape is there when the bytes arrive; they are received into it.
"""
from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Sequence

import msgpack

from kvtier.guarded import GuardedBlocks
from kvtier.profile import Profile

_FORM = 1
_KEY_BYTES_MAX = 500


@dataclass(frozen=True)
class Layout:
    """What a chunk's bytes are: LMCache's memory format by name, and dtype and shape of each group of layers."""

    format: str
    length: int
    groups: tuple[tuple[str, tuple[int, ...]], ...]

    def pack(self) -> bytes:
        """The layout as a block."""
        return bytes(msgpack.packb([_FORM, self.format, self.length, [[dtype, list(shape)] for dtype, shape in self.groups]]))

    @staticmethod
    def unpack(data: bytes) -> Layout | None:
        """Reads a block; None when it is no layout of this form."""
        try:
            form, name, length, groups = msgpack.unpackb(data)[:4]
            if form != _FORM or not isinstance(name, str) or not isinstance(length, int):
                return None
            return Layout(name, length, tuple((str(dtype), tuple(int(size) for size in shape)) for dtype, shape in groups))
        except (ValueError, TypeError, msgpack.UnpackException):
            return None


class Chunks:
    """Chunks in one namespace. Thread-safe; no method raises for what the silo does."""

    def __init__(self, blocks: GuardedBlocks) -> None:
        self._blocks = blocks

    def counts(self) -> dict[str, int]:
        """What came of blocks so far."""
        return self._blocks.counts()

    def prefix(self, keys: Sequence[str]) -> int:
        """How many chunks from the first on are here with both their blocks."""
        names = [name for key in keys for name in _names(key)]
        return self._blocks.prefix(names, 2) // 2

    def here(self, keys: Sequence[str]) -> list[bool]:
        """Which chunks are here."""
        known = self._blocks.here([name for key in keys for name in _names(key)])
        return [all(known[start:start + 2]) for start in range(0, len(known), 2)]

    def layouts(self, keys: Sequence[str]) -> list[Layout | None]:
        """What the chunks are; None for one that is not here."""
        return [None if data is None else Layout.unpack(data) for data in self._blocks.fetch([_names(key)[0] for key in keys])]

    def read(self, keys: Sequence[str], targets: Sequence[memoryview], to_first_miss: bool = True) -> list[bool]:
        """Receives the bytes of chunks. True where all of them came."""
        return self._blocks.read([_names(key)[1] for key in keys], targets, to_first_miss)

    def write(self, keys: Sequence[str], layouts: Sequence[Layout], values: Sequence[memoryview]) -> list[bool]:
        """Stores chunks that are not here yet. True where one is here afterwards."""
        names = [name for key in keys for name in _names(key)]
        blocks = [block for layout, value in zip(layouts, values) for block in (memoryview(layout.pack()), value)]
        stored = self._blocks.write(names, blocks)
        return [all(stored[start:start + 2]) for start in range(0, len(stored), 2)]

    def remove(self, key: str) -> bool:
        """Deletes a chunk; True when it was here."""
        gone = self._blocks.attempt("a delete", None, lambda space, deadline: space.delete(
            _names(key), deadline_ms=deadline.left_ms("lookup")))
        return bool(gone) and all(gone)


def chunk_profile(model: str, name: str | None = None) -> Profile:
    """The namespace of a model's chunks."""
    if name is None:
        readable = re.sub(r"[^a-z0-9._-]+", "-", model.lower()).strip("-.")[-64:].lstrip("-.") or "model"
        name = f"lmcache.{readable}.{hashlib.sha256(model.encode()).hexdigest()[:8]}"
    profile = Profile.opaque(name)
    profile.validate()
    return profile


def bytes_of(memory: Any) -> memoryview:
    """The bytes of one of LMCache's memory objects, without a copy."""
    view = memory.byte_array
    view = view if isinstance(view, memoryview) else memoryview(view)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def layout_of(memory: Any) -> Layout:
    """What a memory object's bytes are."""
    shapes = memory.get_shapes() if hasattr(memory, "get_shapes") else [memory.get_shape()]
    dtypes = memory.get_dtypes() if hasattr(memory, "get_dtypes") else [memory.get_dtype()]
    groups = tuple((str(dtype).replace("torch.", ""), tuple(int(size) for size in shape)) for dtype, shape in zip(dtypes, shapes))
    return Layout(str(memory.get_memory_format().name), len(bytes_of(memory)), groups)


def _names(key: str) -> tuple[bytes, bytes]:
    name = key.encode()
    if len(name) > _KEY_BYTES_MAX:
        name = name[:400] + b"#" + hashlib.sha256(name).hexdigest().encode()
    return name + b"/layout", name + b"/bytes"

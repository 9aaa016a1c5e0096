"""Where the pages of SGLang's host pools lie in memory, as buffers that a request reads from or receives into."""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Protocol

from kvtier.heads import HeadSplit, canonical

from .naming import anchor_of

_PARTS_MAX = 8


class Target:
    """Memory for a part of a page. Where the part does not lie in one piece it is received beside and copied by :meth:`place`."""

    __slots__ = ("buffer", "_place")

    def __init__(self, buffer: memoryview, place: Callable[[memoryview], None] | None = None) -> None:
        self.buffer = buffer
        self._place = place

    def place(self) -> None:
        """Puts the received bytes where they belong; nothing to do where they were received there."""
        if self._place is not None:
            self._place(self.buffer)


class Pages(Protocol):
    """The pages of one host pool."""

    def keys(self, page: bytes) -> list[bytes]:
        """The keys of the parts of the page with this key."""

    def sources(self, indices: Any) -> list[list[memoryview]]:
        """The bytes of each part of each page. ``indices``: page_size slots of the pool for each page."""

    def targets(self, indices: Any) -> list[list[Target]]:
        """Memory for each part of each page."""


class PointerPages:
    """Pages of a pool that tells pointers. Parts in one piece are sent from and received into the pool itself."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._page_size = int(getattr(pool, "page_size", 1) or 1)
        pieces = len(self._of_pages(_first_page(pool))[0])
        self._joined = pieces > _PARTS_MAX
        self._names = ("all",) if self._joined else ("k", "v") if pieces == 2 else tuple(str(number) for number in range(pieces))

    def keys(self, page: bytes) -> list[bytes]:
        return [page + b"." + name.encode() for name in self._names]

    def sources(self, indices: Any) -> list[list[memoryview]]:
        pages = self._of_pages(indices)
        return [[memoryview(b"".join(page))] for page in pages] if self._joined else pages

    def targets(self, indices: Any) -> list[list[Target]]:
        pages = self._of_pages(indices)
        if self._joined:
            return [[_scattered(page)] for page in pages]
        return [[Target(piece) for piece in page] for page in pages]

    def _of_pages(self, indices: Any) -> list[list[memoryview]]:
        pointers, lengths = self._pool.get_page_buffer_meta(indices)
        pages = len(indices) // self._page_size
        if not pages or not pointers or len(pointers) % pages or len(lengths) != len(pointers):
            raise ValueError(f"{type(self._pool).__name__} tells {len(pointers)} pointers for {pages} pages")
        each = len(pointers) // pages
        views = [_view(pointer, length) for pointer, length in zip(pointers, lengths)]
        return [views[start:start + each] for start in range(0, len(views), each)]


class HeadPages:
    """Pages cut by ranges of KV heads and turned into KvTier's own order of axes, with one copy: nodes of any tensor-parallel size and
    any layout read each other's."""

    _AXES = {
        "layer_first": ("kv", "layer", "token", "head", "dim"), "page_first": ("kv", "token", "layer", "head", "dim"),
        "page_first_direct": ("kv", "layer", "token", "head", "dim"), "page_head": ("kv", "head", "token", "layer", "dim"),
    }

    def __init__(self, pool: Any, split: HeadSplit) -> None:
        self._pool = pool
        self._split = split
        self._page_size = int(pool.page_size)
        self._axes = self._AXES[pool.layout]
        self._split.views(self._page(0))

    def keys(self, page: bytes) -> list[bytes]:
        return self._split.keys(page)

    def sources(self, indices: Any) -> list[list[memoryview]]:
        return [self._split.buffers(self._page(int(start))) for start in indices[:: self._page_size]]

    def targets(self, indices: Any) -> list[list[Target]]:
        return [[self._target(part) for part in self._split.views(self._numbers(int(start)))] for start in indices[:: self._page_size]]

    def _target(self, part: Any) -> Target:
        import numpy

        beside = numpy.empty(part.shape, part.dtype)
        return Target(memoryview(beside.reshape(-1).view(numpy.uint8)), lambda _: numpy.copyto(part, beside))

    def _page(self, start: int) -> Any:
        """A page as a view of the pool's tensor, [layer, K and V, head, token, dim]."""
        buffer = self._pool.kv_buffer
        if self._pool.layout == "layer_first":
            page = buffer[:, :, start:start + self._page_size]
        elif self._pool.layout == "page_first":
            page = buffer[:, start:start + self._page_size]
        else:
            page = buffer[:, start // self._page_size]
        return canonical(page, self._axes)

    def _numbers(self, start: int) -> Any:
        """The same as a numpy array of integers of the same width, over the same memory."""
        import torch

        page = self._page(start)
        widths = {1: torch.uint8, 2: torch.int16, 4: torch.int32}
        return (page if page.dtype == widths[page.element_size()] else page.view(widths[page.element_size()])).numpy()


class FlatPages:
    """Pages of a pool that only hands out copies."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._page_size = int(getattr(pool, "page_size", 1) or 1)

    def keys(self, page: bytes) -> list[bytes]:
        return [page + b".flat"]

    def sources(self, indices: Any) -> list[list[memoryview]]:
        return [[tensor_bytes(self._pool.get_data_page(int(start), flat=True))] for start in indices[:: self._page_size]]

    def targets(self, indices: Any) -> list[list[Target]]:
        return [[self._target(int(start))] for start in indices[:: self._page_size]]

    def _target(self, start: int) -> Target:
        page = self._pool.get_dummy_flat_data_page()
        return Target(tensor_bytes(page), lambda _: self._pool.set_from_flat_data_page(start, page))


def pages_of(pool: Any) -> Pages:
    """The pages of a host pool as it has them, in the cheapest way that it allows."""
    pool = anchor_of(pool)
    try:
        return PointerPages(pool)
    except (AttributeError, AssertionError, NotImplementedError, TypeError, ValueError):
        return FlatPages(pool)


def tensor_bytes(tensor: Any) -> memoryview:
    """The bytes of a contiguous CPU tensor, without a copy.

    :raises ValueError: it is on another device, or not contiguous.
    """
    if tensor.device.type != "cpu":
        raise ValueError(f"a tensor on {tensor.device}: host memory is expected")
    if not tensor.is_contiguous():
        raise ValueError(f"a tensor with strides {tuple(tensor.stride())}: a contiguous one is expected")
    if not tensor.numel():
        return memoryview(b"")
    import torch

    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def _view(pointer: int, length: int) -> memoryview:
    return memoryview((ctypes.c_ubyte * length).from_address(pointer)).cast("B")


def _scattered(pieces: list[memoryview]) -> Target:
    def place(received: memoryview) -> None:
        offset = 0
        for piece in pieces:
            piece[:] = received[offset:offset + len(piece)]
            offset += len(piece)
    return Target(memoryview(bytearray(sum(len(piece) for piece in pieces))), place)


def _first_page(pool: Any) -> Any:
    import torch

    return torch.arange(int(getattr(pool, "page_size", 1) or 1), dtype=torch.int64)

"""Memory of LMCache for chunks that arrive."""
from __future__ import annotations

import inspect
from typing import Any, Callable

from .chunks import Layout, bytes_of


class Allocator:
    """Takes memory objects from LMCache's CPU backend in the shape that a chunk's layout says, and checks that it is what is expected.

    :param backend: LMCache's ``local_cpu_backend``.
    :param expected: gives the shapes and dtypes of a full chunk; called each time, as LMCache knows them only after its caches are
        registered.
    :param formats: LMCache's MemoryFormat.
    """

    def __init__(self, backend: Any, expected: Callable[[], tuple[list[Any], list[Any]]], formats: Any) -> None:
        self._backend = backend
        self._expected = expected
        self._formats = formats
        # Its own wait for room sleeps without an end and holds up the event loop or our threads.
        self._options = {"busy_loop": False} if "busy_loop" in _parameters(backend.allocate) else {}

    def refusal(self, layout: Layout) -> str | None:
        """Why a chunk can't be what this engine expects, or None."""
        shapes, dtypes = self._expected()
        if not shapes or layout.format not in self._formats.__members__:
            return None if shapes == [] and layout.format in self._formats.__members__ else f"unknown format {layout.format}"
        if layout.format.startswith("BINARY"):
            return None  # a serializer's output: it checks for itself
        wanted = [str(dtype).replace("torch.", "") for dtype in dtypes]
        if [dtype for dtype, _ in layout.groups] != wanted:
            return f"dtypes {[dtype for dtype, _ in layout.groups]}, this engine has {wanted}"
        for (_, shape), full in zip(layout.groups, shapes):
            if len(shape) == len(full) and sum(a != b for a, b in zip(shape, full)) > 1:
                return f"shape {shape}, this engine has {tuple(full)}"
        return None

    def take(self, layout: Layout) -> Any:
        """A memory object for the chunk, or None without room for it."""
        import torch

        shapes = [torch.Size(shape) for _, shape in layout.groups]
        dtypes = [None if dtype == "None" else getattr(torch, dtype) for dtype, _ in layout.groups]
        form = self._formats[layout.format]
        if len(shapes) == 1:
            memory = self._backend.allocate(shapes[0], dtypes[0], form, **self._options)
        else:
            memory = self._backend.allocate(shapes, dtypes, form, **self._options)
        if memory is not None and len(bytes_of(memory)) != layout.length:
            memory.ref_count_down()
            return None
        return memory


def _parameters(method: Any) -> set[str]:
    try:
        return set(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return set()

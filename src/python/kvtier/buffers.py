"""Bytes of callers: views without copies."""
from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .errors import InvalidArgument


def read_view(value: Any, field: str = "value") -> memoryview:
    """The bytes of a buffer, a numpy array or a torch tensor on the CPU, without a copy.

    :raises InvalidArgument: it has no bytes in one piece.
    """
    if type(value) is bytes:
        return memoryview(value)
    if _is_tensor(value):
        from .tensors import tensor_bytes

        return tensor_bytes(value, field)
    try:
        view = memoryview(value)
    except TypeError:
        raise InvalidArgument(field, type(value).__name__, "bytes, a buffer, a numpy array or a torch tensor on the CPU") from None
    if view.format == "B" and view.ndim == 1 and view.contiguous:
        return view
    if not view.c_contiguous:
        raise InvalidArgument(f"{field}.strides", view.strides, "contiguous memory (C order)")
    return view.cast("B") if view.nbytes else memoryview(b"")


def write_view(value: Any, field: str = "into") -> memoryview:
    """The same of memory that is written to."""
    view = read_view(value, field)
    if view.readonly and view.nbytes:
        raise InvalidArgument(field, "read-only memory", "writable memory")
    return view


def new_buffer(size: int) -> memoryview:
    """Memory that is written to next, not cleared."""
    return memoryview(np.empty(size, np.uint8)) if size > 4096 else memoryview(bytearray(size))  # type: ignore[arg-type]


def copy(target: memoryview, source: memoryview) -> None:
    """Copies bytes; the interpreter's lock is free meanwhile when they are many."""
    if len(source) > 65536:
        np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(source, np.uint8))
    else:
        target[:] = source


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)

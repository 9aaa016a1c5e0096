"""numpy views of bytes."""
from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from .errors import InvalidArgument

NUMPY_DTYPES = {"raw": "u1", "fp32": "<f4", "fp16": "<f2", "bf16": "<u2", "fp8_e4m3": "u1", "fp8_e5m2": "u1", "int8": "i1"}


def view(data: Any, dtype: Any = "u1", shape: Sequence[int] | None = None) -> np.ndarray[Any, Any]:
    """A numpy array over a buffer, without a copy; writable only if the buffer is.

    :param dtype: a numpy dtype or a profile's name (numpy has no bf16 and fp8: those are uint16 and uint8).
    :param shape: flat when left out.
    :raises InvalidArgument: the bytes do not make such an array.
    """
    kind = np.dtype(NUMPY_DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype)
    size = memoryview(data).nbytes
    wanted = kind.itemsize * int(np.prod(shape, dtype=np.int64)) if shape is not None else size
    if size % kind.itemsize or (size != wanted):
        raise InvalidArgument("shape", f"{tuple(shape) if shape is not None else 'flat'} of {kind} ({wanted} bytes)", f"{size} bytes")
    array = np.frombuffer(data, kind) if size else np.empty(0, kind)
    return array if shape is None else array.reshape(tuple(shape))

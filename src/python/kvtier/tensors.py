"""torch tensors in and out, without copies, on the CPU. Needs torch."""
from __future__ import annotations

import warnings
from typing import Any, Optional, Sequence

import numpy as np

from .errors import InvalidArgument, Unsupported

_NAMES = {
    "raw": "uint8", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "fp8_e4m3": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2",
    "int8": "int8",
}


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise Unsupported("torch", "not installed", "torch, for tensors; numpy arrays work without") from None
    return torch


def torch_dtype(dtype: Any) -> Any:
    """The torch dtype of a profile's name such as ``bf16``, of a torch dtype, or of its name."""
    torch = _torch()
    if isinstance(dtype, torch.dtype):
        return dtype
    found = getattr(torch, _NAMES.get(str(dtype), str(dtype)), None)
    if not isinstance(found, torch.dtype):
        raise InvalidArgument("dtype", dtype, f"{', '.join(_NAMES)}, as far as this torch has them")
    return found


def tensor_bytes(tensor: Any, field: str = "value") -> memoryview:
    """The bytes of a tensor as a writable view, without a copy.

    :raises InvalidArgument: it is not on the CPU, not contiguous, or sparse.
    """
    torch = _torch()
    if tensor.device.type != "cpu":
        raise InvalidArgument(f"{field}.device", tensor.device, "cpu (copy it to pinned host memory first)")
    if tensor.layout != torch.strided:
        raise InvalidArgument(f"{field}.layout", tensor.layout, "torch.strided")
    if not tensor.is_contiguous():
        raise InvalidArgument(f"{field}.stride", tuple(tensor.stride()), f"that of contiguous memory of shape {tuple(tensor.shape)}")
    if not tensor.numel():
        return memoryview(b"")
    return memoryview(tensor.detach().reshape(-1).view(torch.uint8).numpy()).cast("B")


def check_tensor(tensor: Any, dtype: Any, shape: Optional[Sequence[int]] = None, field: str = "tensor") -> None:
    """Raises InvalidArgument unless the tensor has this dtype, and this shape where one is given."""
    wanted = torch_dtype(dtype)
    if tensor.dtype != wanted:
        raise InvalidArgument(f"{field}.dtype", tensor.dtype, wanted)
    if shape is not None and tuple(tensor.shape) != tuple(shape):
        raise InvalidArgument(f"{field}.shape", tuple(tensor.shape), tuple(shape))


def to_tensor(data: Any, dtype: Any = "raw", shape: Optional[Sequence[int]] = None) -> Any:
    """A tensor over bytes or a numpy array, without a copy.

    A tensor over a lease must not be written: torch has no read-only tensors, and the memory is the silo's.

    :param data: a Hit, a buffer, or a numpy array (whose dtype is then reinterpreted, such as uint16 as ``bf16``).
    :param shape: its shape; that of the array, or flat, when left out.
    """
    torch = _torch()
    kind = torch_dtype(dtype)
    source = getattr(data, "data", data) if not isinstance(data, np.ndarray) else data
    array = source if isinstance(source, np.ndarray) else np.frombuffer(source, np.uint8)
    if not array.flags.c_contiguous:
        raise InvalidArgument("data.strides", array.strides, "contiguous memory (C order)")
    kept = array.shape[:-1] + (-1,) if shape is None else tuple(shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # That the memory can't be written is said above.
        flat = torch.from_numpy(array.reshape(-1).view(np.uint8))
    item = torch.empty(0, dtype=kind).element_size()
    if flat.numel() % item:
        raise InvalidArgument("dtype", f"{kind} of {item} bytes", f"a divisor of {flat.numel()} bytes")
    try:
        return flat.view(kind).reshape(kept)
    except RuntimeError:
        raise InvalidArgument("shape", tuple(shape or ()), f"{flat.numel() // item} elements of {kind}") from None

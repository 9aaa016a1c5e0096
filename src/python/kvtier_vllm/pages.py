"""Pages: one layer of some blocks, between vLLM's paged tensors and the bytes that are stored."""
from __future__ import annotations

from typing import Any, Sequence

import numpy as np
import torch

from kvtier.errors import InvalidArgument

from .plan import Plan

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


class LayerPages:
    """One layer's tensor. Raises InvalidArgument when it is not what the plan says: dtype, shape or axes."""

    def __init__(self, name: str, tensor: Any, blocks: int, plan: Plan) -> None:
        if not isinstance(tensor, torch.Tensor):
            raise InvalidArgument(f"kv_caches[{name}]", type(tensor).__name__, "one tensor; set layout=opaque does not help: use the tier")
        if tensor.element_size() not in _INTEGERS:
            raise InvalidArgument(f"kv_caches[{name}].dtype", tensor.dtype, "elements of 1, 2 or 4 bytes")
        self._plan = plan
        self._tensor = tensor.view(_INTEGERS[tensor.element_size()])
        self._axis = _block_axis(name, tuple(tensor.shape), blocks)
        page = tensor.numel() // tensor.shape[self._axis] * tensor.element_size()
        if page != plan.page_bytes:
            raise InvalidArgument(f"kv_caches[{name}]", f"{page} bytes a block ({tuple(tensor.shape)}, {tensor.dtype})",
                                  f"{plan.page_bytes} bytes as the configuration says")
        self._order = None if plan.split is None else _canonical_order(name, tuple(tensor.shape), self._axis, plan)

    def gather(self, blocks: Sequence[int]) -> Any:
        """The bytes of some blocks, in host memory: ``[block][part][byte]``."""
        rows = self._tensor.index_select(self._axis, self._index(blocks)).movedim(self._axis, 0)
        if self._order is not None:
            rows = rows.permute(self._order)
        array = rows.contiguous().cpu().numpy()
        if self._plan.parts > 1:  # [block][kv][head][token][dim] to one part after the other
            heads = array.shape[2] // self._plan.parts
            array = np.stack([array[:, :, at * heads:(at + 1) * heads] for at in range(self._plan.parts)], axis=1)
        return np.ascontiguousarray(array).reshape(len(blocks), self._plan.parts, -1).view(np.uint8)

    def scatter(self, blocks: Sequence[int], data: Any) -> None:
        """Writes such bytes into blocks."""
        kind = {1: np.uint8, 2: np.int16, 4: np.int32}[self._tensor.element_size()]
        shape = self._stored_shape()
        array = np.ascontiguousarray(data).view(kind)
        if self._plan.parts > 1:
            part = (shape[0], shape[1] // self._plan.parts, *shape[2:])
            array = np.concatenate(list(array.reshape(len(blocks), self._plan.parts, *part).swapaxes(0, 1)), axis=2)
        rows = torch.from_numpy(array.reshape(len(blocks), *shape))
        if self._order is not None:
            rows = rows.permute([self._order.index(axis) for axis in range(len(self._order))])
        source = rows.movedim(0, self._axis).to(self._tensor.device)
        self._tensor.index_copy_(self._axis, self._index(blocks), source)

    def _stored_shape(self) -> tuple[int, ...]:
        """Shape of one block's page as it is stored."""
        shape = [size for axis, size in enumerate(self._tensor.shape) if axis != self._axis]
        return tuple(shape) if self._order is None else tuple(shape[axis - 1] for axis in self._order[1:])

    def _index(self, blocks: Sequence[int]) -> torch.Tensor:
        return torch.tensor(list(blocks), dtype=torch.int64, device=self._tensor.device)


def _block_axis(name: str, shape: tuple[int, ...], blocks: int) -> int:
    if len(shape) >= 2 and shape[0] == 2 and shape[1] == blocks:
        return 1
    if blocks in shape:
        return shape.index(blocks)
    raise InvalidArgument(f"kv_caches[{name}].shape", shape, f"an axis of {blocks} blocks")


def _canonical_order(name: str, shape: tuple[int, ...], axis: int, plan: Plan) -> list[int]:
    """The axes of ``[block, …]`` in the order ``block, kv, head, token, dim``; for MLA ``block, token, dim``."""
    rest = [size for at, size in enumerate(shape) if at != axis]
    _, *wanted = plan.split.shape  # type: ignore[union-attr]
    if len(wanted) == 2 and rest == wanted:
        return [0, 1, 2]
    if len(wanted) == 4 and len(rest) == 4 and rest[0] == 2:
        _, heads, tokens, dim = wanted
        if rest[1:] == [tokens, heads, dim]:
            return [0, 1, 3, 2, 4]
        if rest[1:] == [heads, tokens, dim]:
            return [0, 1, 2, 3, 4]
    raise InvalidArgument(f"kv_caches[{name}].shape", shape, f"axes of K and V, {wanted}; set layout=opaque for this backend")

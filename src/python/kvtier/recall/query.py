"""Bodies of recall, and what its answers say."""
from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Optional, Sequence, Union

import numpy as np

from ..arrays import NUMPY_DTYPES
from ..buffers import read_view
from ..crc32c import crc32c
from ..errors import Corrupt, InvalidArgument, ProtocolError
from ..profile import Profile, dtype_bytes
from ..results import miss_reason
from ..wire.blocks import items_of
from .digest import number_of
from .selector import Selector

MODES = {"ids": 1, "gather": 2, "attend": 3}
LAYOUTS = {"kv_head_token": 1, "head_kv_token": 2, "kv_token_head": 3}
_QUERY_DTYPES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_MISSING = struct.Struct("<qii")
Array = np.ndarray[Any, Any]
Item = Union[tuple[str, int], tuple[Any, int]]


@dataclass(frozen=True)
class MissingTokens:
    """Tokens that were chosen but could not be read, and why."""

    first_token: int
    tokens: int
    reason: str


@dataclass(frozen=True)
class RecallCost:
    """What an item cost the silo."""

    units_scored: int
    digest_bytes: int
    kv_bytes: int
    ssd_bytes: int
    hot_hits: int
    hot_misses: int
    reused: bool
    certified: bool


@dataclass(frozen=True)
class RecallItem:
    """What one item of a recall got.

    ``units``: an ascending int32 array of units for each KV head; unit u is the tokens from ``u * unit_tokens`` on. ``sent``: the units
    whose rows are in ``keys`` and ``values``, in the order of the rows (gather). ``slots``: what each slot is to hold now, [Hkv, slots].
    ``keys``, ``values``: rows of a gather, [Hkv, n, D] ([n, Hkv, D] for ``kv_token_head``; values None and keys [n, latent] for MLA; bf16
    as uint16). ``output`` [W, Hq, D] and ``lse`` [W, Hq]: fp32, of an attend. ``missing``: tokens that are not in the answer.
    """

    unit_tokens: int
    units: list[Array]
    slots: Array
    sent: list[Array]
    missing: list[MissingTokens]
    cost: RecallCost
    payload: memoryview
    keys: Optional[Array] = None
    values: Optional[Array] = None
    output: Optional[Array] = None
    lse: Optional[Array] = None

    @property
    def is_whole(self) -> bool:
        """True when nothing that was chosen is missing."""
        return not self.missing


class RecallQuery:
    """A checked query, its queries as bytes."""

    def __init__(self, profile: Profile, items: Sequence[Item], queries: Any, selector: Selector, mode: str, layout: str,
                 temperature: float, lse_multiplier: float, held: Optional[Sequence[Any]]) -> None:
        if profile.kind == "opaque":
            raise InvalidArgument("namespace", profile.name, "a namespace whose profile is not opaque")
        self.profile = profile
        self.selector = selector
        self.mode = number_of("mode", mode, MODES)
        self.layout = number_of("layout", layout, LAYOUTS)
        self.temperature = float(temperature)
        self.lse_multiplier = float(lse_multiplier)
        self.items = [(one[0] if isinstance(one[0], str) else one[0].name, int(one[1])) for one in items]
        if not self.items:
            raise InvalidArgument("items.count", 0, "1 or more")
        self._take_queries(queries)
        for i, (_, layer) in enumerate(self.items):
            if not 0 <= layer < profile.layers:
                raise InvalidArgument(f"items[{i}].layer", layer, f"0 to {profile.layers - 1}")
        self.held = [_held(held, i, profile.kv_heads) for i in range(len(self.items))]

    def _take_queries(self, queries: Any) -> None:
        kind = str(getattr(queries, "dtype", "")).removeprefix("torch.")
        shape = tuple(getattr(queries, "shape", ()))
        if kind not in _QUERY_DTYPES:
            raise InvalidArgument("queries.dtype", kind or type(queries).__name__, ", ".join(_QUERY_DTYPES))
        if len(shape) == 3:
            shape = (shape[0], 1, *shape[1:])
        dim, heads = self.profile.head_dim, self.profile.kv_heads
        if len(shape) != 4 or shape[0] != len(self.items) or shape[3] != dim or not shape[2] or shape[2] % heads:
            raise InvalidArgument("queries.shape", shape, f"[{len(self.items)}, W, a multiple of {heads}, {dim}]")
        self.dtype = _QUERY_DTYPES[kind]
        self.window, self.query_heads = int(shape[1]), int(shape[2])
        self.data = read_view(queries, "queries")

    @property
    def item_bytes(self) -> int:
        """Bytes of one item's queries."""
        return len(self.data) // len(self.items)

    def part(self, places: Sequence[int]) -> RecallQuery:
        """The same about some of the items."""
        made: RecallQuery = object.__new__(RecallQuery)
        made.__dict__.update(self.__dict__)
        made.items = [self.items[i] for i in places]
        made.held = [self.held[i] for i in places]
        size = self.item_bytes
        made.data = memoryview(b"".join([self.data[i * size:(i + 1) * size] for i in places]))
        return made

    def fields(self, handle: int, deadline_ms: int, lease_ms: int, epoch: int) -> list[Any]:
        """The body."""
        rows = [[name, layer, held] for (name, layer), held in zip(self.items, self.held)]
        return [
            handle, deadline_ms, lease_ms, self.mode, self.query_heads, self.window, self.profile.head_dim, self.dtype, self.layout,
            self.temperature, self.lse_multiplier, self.selector.to_wire(), crc32c(self.data), rows, *([epoch] if epoch else []),
        ]

    def parts(self, body: list[Any], at: int) -> list[tuple[list[Any], int, int, int]]:
        """The items of an answer, each with offset, length and CRC of its part of the payload; checks what they say."""
        found = []
        for i, item in enumerate(items_of(body, at, len(self.items), "recall")):
            if not isinstance(item, list) or len(item) < 12:
                raise ProtocolError(f"recall.items[{i}]", item, "12 fields")
            offset, length, check = item[8:11]
            expected = self._payload_bytes(item[7])
            if length != expected:
                raise ProtocolError(f"recall.items[{i}].payloadLength", length, expected)
            found.append((item, offset, length, check))
        return found

    def result(self, item: list[Any], payload: memoryview) -> RecallItem:
        """An item with its part of the payload."""
        unit_tokens, counts, units, slots, sent_counts, sent, missing, rows = item[:8]
        heads = self.profile.kv_heads
        arrays: dict[str, Any] = {}
        if self.mode == MODES["gather"]:
            arrays = self._rows(payload, rows)
        elif self.mode == MODES["attend"]:
            floats = np.frombuffer(payload, np.float32)
            split = self.window * self.query_heads * self.profile.head_dim
            arrays = {"output": floats[:split].reshape(self.window, self.query_heads, self.profile.head_dim),
                      "lse": floats[split:].reshape(self.window, self.query_heads)}
        return RecallItem(
            unit_tokens, _per_head(units, counts, heads), np.frombuffer(slots, np.int32).reshape(heads, -1),
            _per_head(sent, sent_counts, heads),
            [MissingTokens(first, tokens, miss_reason(reason)) for first, tokens, reason in _MISSING.iter_unpack(missing)],
            RecallCost(*item[11][:8]), payload, **arrays)

    def _payload_bytes(self, rows: int) -> int:
        profile = self.profile
        if self.mode == MODES["attend"]:
            return 4 * self.window * self.query_heads * (profile.head_dim + 1)
        row = profile.kv_heads * profile.head_dim * dtype_bytes(profile.dtype) * (1 if profile.kind == "mla" else 2)
        return rows * row if self.mode == MODES["gather"] else 0

    def _rows(self, payload: memoryview, rows: int) -> dict[str, Any]:
        flat = np.frombuffer(payload, NUMPY_DTYPES[self.profile.dtype])
        heads, dim = self.profile.kv_heads, self.profile.head_dim
        if self.profile.kind == "mla":
            return {"keys": flat.reshape(rows, dim)}
        if self.layout == LAYOUTS["head_kv_token"]:
            both = flat.reshape(heads, 2, rows, dim)
            return {"keys": both[:, 0], "values": both[:, 1]}
        both = flat.reshape((2, rows, heads, dim) if self.layout == LAYOUTS["kv_token_head"] else (2, heads, rows, dim))
        return {"keys": both[0], "values": both[1]}


def check_part(index: int, payload: memoryview, check: int) -> None:
    """Raises Corrupt when an item's part of the payload is not what the silo sent."""
    crc = crc32c(payload)
    if crc != check:
        raise Corrupt(f"recall.items[{index}].check", f"{crc:08X}", f"{check:08X}")


def _held(held: Optional[Sequence[Any]], index: int, heads: int) -> bytes:
    if held is None or held[index] is None:
        return b""
    made = np.ascontiguousarray(held[index], dtype="<i4")
    if made.ndim != 2 or made.shape[0] != heads:
        raise InvalidArgument(f"held[{index}].shape", made.shape, f"[{heads}, slots]")
    return made.tobytes()


def _per_head(numbers: bytes, counts: bytes, heads: int) -> list[Array]:
    array, sizes = np.frombuffer(numbers, np.int32), np.frombuffer(counts, np.int32)
    if len(sizes) not in (0, heads) or int(sizes.sum()) != len(array):
        raise ProtocolError("recall.counts", sizes.tolist(), f"{heads} numbers that add up to {len(array)}")
    return np.split(array, np.cumsum(sizes)[:-1]) if len(sizes) else []

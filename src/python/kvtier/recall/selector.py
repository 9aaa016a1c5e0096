"""Selectors: how recall chooses. Presets go by the papers' names."""
from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import Any, Optional, Union

from ..errors import InvalidArgument
from .digest import Digest, number_of

REDUCTIONS = {"max": 1, "sum": 2, "mean": 3, "union": 4}
BUDGETS = {"tokens": 1, "share": 2, "threshold": 3, "mass": 4}
BUDGET_DEFAULT = 2048
REUSES = {"none": 0, "every_steps": 1, "query_cosine": 2, "probe": 3}


@dataclass(frozen=True)
class Selector:
    """How units are chosen; see docs/reference/selectors.md. Begin with a preset: ``selectors.quest.with_budget(1024)``. Without a budget
    it is 2,048 tokens, or all of a shorter sequence; a budget in tokens that is named must not be above what the sequence has."""

    name: str
    digest: Digest
    reduction: str = "max"
    softmax: bool = True
    budget_kind: str = "tokens"
    budget: Optional[float] = None
    sink_chunks: int = 1
    recent_chunks: int = 1
    min_chunks: int = 0
    dense_layers: int = 0
    estimate: bool = False
    estimate_share: float = 1.0
    reuse_kind: str = "none"
    reuse: float = 0.0

    def with_budget(self, budget: float, kind: str = "tokens") -> Selector:
        """The same with another budget: at most so many ``tokens``, this ``share`` of the tokens, every unit above a ``threshold``, or
        the fewest that reach a ``mass``."""
        return replace(self, budget=budget, budget_kind=kind)

    def replace(self, **changes: Any) -> Selector:
        """The same with other fields."""
        return replace(self, **changes)

    def to_wire(self) -> list[Any]:
        """As requests carry it."""
        fields = [
            self.name, self.digest.to_wire(), number_of("selector.reduction", self.reduction, REDUCTIONS), self.softmax,
            number_of("selector.budget_kind", self.budget_kind, BUDGETS),
            float(BUDGET_DEFAULT if self.budget is None else self.budget), self.sink_chunks, self.recent_chunks,
            self.min_chunks, self.dense_layers, self.estimate, float(self.estimate_share),
            number_of("selector.reuse_kind", self.reuse_kind, REUSES), float(self.reuse),
        ]
        return [*fields, True] if self.budget is None else fields


@dataclass(frozen=True)
class Presets:
    """The selectors that come with the service."""

    moments: Selector = Selector(
        "moments", Digest("moments", 16, "int8", peaks=1, rank=1, value_map=True), "sum", recent_chunks=4, estimate=True)
    moments_lean: Selector = Selector(
        "moments-lean", Digest("moments", 64, "int8", peaks=1, rank=1, value_map=True), "sum", estimate=True)
    shadowkv: Selector = Selector("shadowkv", Digest("mean", 8, outlier_chunks=48), sink_chunks=0, recent_chunks=4)
    quest: Selector = Selector("quest", Digest("minmax", 16), softmax=False, sink_chunks=0, min_chunks=3)
    lserve: Selector = Selector(
        "lserve", Digest("minmax", 64, sub_chunks=4), softmax=False, sink_chunks=0, min_chunks=3, reuse_kind="every_steps", reuse=4)
    leoam: Selector = Selector("leoam", Digest("minmax", 16, fanout=8), softmax=False)
    arkvale: Selector = Selector("arkvale", Digest("cuboid", 32), "sum", False, sink_chunks=2, recent_chunks=2)
    squeezed: Selector = Selector("squeezed", Digest("centroids", 16), "mean", recent_chunks=4)
    retroinfer: Selector = Selector(
        "retroinfer", Digest("centroids", 16), "sum", recent_chunks=4, estimate=True, estimate_share=0.232)
    louiskv: Selector = Selector("louiskv", Digest("centroids", 16), "mean", reuse_kind="query_cosine", reuse=0.7)
    a2ats: Selector = Selector("a2ats", Digest("vq", 16, codebook_size=256), "union", False, recent_chunks=4)
    triforce: Selector = Selector("triforce", Digest("mean", 8), "sum", False)
    actqkv: Selector = Selector("actqkv", Digest("mean", 32), "sum", False, sink_chunks=2, reuse_kind="probe")
    names: tuple[str, ...] = field(default=(
        "moments", "moments-lean", "shadowkv", "quest", "lserve", "leoam", "arkvale", "squeezed", "retroinfer", "louiskv", "a2ats",
        "triforce", "actqkv"))


selectors = Presets()


def selector_of(value: Union[str, Selector]) -> Selector:
    """A selector, or the preset of a name.

    :raises InvalidArgument: no preset has the name; tells the nearest.
    """
    if isinstance(value, Selector):
        return value
    if not isinstance(value, str) or value not in selectors.names:
        near = difflib.get_close_matches(str(value), selectors.names, 1)
        raise InvalidArgument("selector", value, ", ".join(selectors.names) + (f" (did you mean {near[0]}?)" if near else ""))
    return getattr(selectors, value.replace("-", "_"))  # type: ignore[no-any-return]

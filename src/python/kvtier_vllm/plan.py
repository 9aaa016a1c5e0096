"""How the connector stores an engine's blocks; scheduler and workers derive it from the same configuration."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Sequence

from kvtier import Profile
from kvtier.errors import InvalidArgument, Unsupported
from kvtier.heads import HeadSplit, common_granule, rank_heads

from .identity import common_profile, get, opaque_profile
from .options import ConnectorOptions

_DTYPES = {
    "torch.bfloat16": "bf16", "torch.float16": "fp16", "torch.float32": "fp32", "torch.float8_e4m3fn": "fp8_e4m3",
    "torch.float8_e5m2": "fp8_e5m2", "torch.uint8": "fp8_e4m3",
}


@dataclass(frozen=True)
class Plan:
    """Names and sizes. ``split`` is None where each rank's bytes are stored as they are."""

    block_tokens: int
    layers: tuple[str, ...]
    page_bytes: int
    split: HeadSplit | None
    whole: HeadSplit | None
    profile: Profile
    rank_profiles: tuple[Profile, ...]
    common: Profile

    @property
    def parts(self) -> int:
        """Blocks that a rank stores for one of the engine's."""
        return 1 if self.split is None else len(self.split.parts)

    @property
    def part_page_bytes(self) -> int:
        """Bytes of one layer of a stored block."""
        return self.page_bytes // self.parts

    @property
    def part_bytes(self) -> int:
        """Bytes of a stored block."""
        return self.part_page_bytes * len(self.layers)

    @property
    def writes(self) -> bool:
        """True when this rank stores."""
        return self.split is None or self.split.writes

    def rank_keys(self, keys: Sequence[bytes]) -> list[bytes]:
        """The keys of this rank's parts."""
        return list(keys) if self.split is None else self.split.prefix_keys(keys)

    def all_keys(self, keys: Sequence[bytes]) -> tuple[list[bytes], int]:
        """The keys of all ranks' parts in a namespace, and how many an engine's block has."""
        return (list(keys), 1) if self.whole is None else (self.whole.prefix_keys(keys), len(self.whole.parts))


def make_plan(vllm_config: Any, kv_cache_config: Any, options: ConnectorOptions, rank: int) -> Plan:
    """Makes the plan.

    :raises Unsupported: the engine's cache is nothing that this connector stores; says what to do instead.
    """
    groups = kv_cache_config.kv_cache_groups
    if len(groups) != 1:
        raise Unsupported("kv_cache_groups", len(groups), "1; for hybrid models use KvTierSecondaryTier (docs/how-to/vllm.md)")
    pipeline = get(vllm_config, "parallel_config.pipeline_parallel_size", 1)
    if pipeline != 1:
        raise Unsupported("pipeline_parallel_size", pipeline, "1; with more use KvTierSecondaryTier (docs/how-to/vllm.md)")
    spec, layers = groups[0].kv_cache_spec, tuple(groups[0].layer_names)
    size = get(vllm_config, "parallel_config.tensor_parallel_size", 1)
    model = str(get(vllm_config, "model_config.model", "model"))
    dtype = _DTYPES.get(str(get(spec, "dtype", "")))
    if str(get(vllm_config, "cache_config.cache_dtype", "")) == "fp8_e5m2":
        dtype = "fp8_e5m2"
    is_mla = "MLA" in type(spec).__name__ or bool(get(spec, "use_mla", False))
    heads = 1 if is_mla else _total_heads(vllm_config, spec.num_kv_heads, size)
    fields = {
        "plug": "connector-1", "model": model, "revision": get(vllm_config, "model_config.revision", ""), "dtype": str(spec.dtype),
        "cache_dtype": get(vllm_config, "cache_config.cache_dtype", "auto"), "block_tokens": spec.block_size, "layers": len(layers),
        "heads": heads, "head_dim": get(spec, "head_size", 0), "mla": is_mla,
    }
    common = common_profile(model)
    dim = get(spec, "head_size", 0)
    can_split = dtype is not None and dim > 0 and (is_mla or get(spec, "head_size_v", dim) == dim)
    if options.layout == "canonical" and not can_split:
        raise Unsupported("layout", f"canonical with {spec.dtype}", "opaque, or a cache of bf16, fp16, fp32 or fp8")
    if options.layout != "opaque" and can_split:
        split, whole = _splits(fields, options, heads, size, rank, dtype, is_mla)  # type: ignore[arg-type]
        item = math.prod(split.shape) // split.shape[0] * split.dtype.itemsize
        return Plan(spec.block_size, layers, item, split, whole, split.profile, (split.profile,), common)
    fields.update(plug="connector-opaque-1", tp=size, page=spec.page_size_bytes)
    profiles = tuple(opaque_profile("layers", model, {**fields, "rank": each}) for each in range(size))
    return Plan(spec.block_size, layers, spec.page_size_bytes, None, None, profiles[rank], profiles, common)


def _splits(fields: dict[str, Any], options: ConnectorOptions, heads: int, size: int, rank: int, dtype: str, is_mla: bool,
            ) -> tuple[HeadSplit, HeadSplit]:
    named = opaque_profile("layers", str(fields["model"]), fields).name
    profile = Profile(named, fields["layers"], heads, fields["head_dim"], dtype, fields["block_tokens"], "mla" if is_mla else "gqa")
    try:
        sizes = options.sizes()
        wanted = common_granule(heads, (*sizes, size)) if sizes else common_granule(heads)
        granule = math.gcd(wanted, rank_heads(heads, size, 0).count)
        return HeadSplit(profile, size, rank, granule), HeadSplit(profile, 1, 0, granule)
    except InvalidArgument as error:
        raise Unsupported(f"tp_sizes ({error.field})", error.value, f"{error.limit}; or layout=opaque") from None


def _total_heads(vllm_config: Any, own: int, size: int) -> int:
    total = getattr(get(vllm_config, "model_config"), "get_total_num_kv_heads", None)
    return int(total()) if callable(total) else own * size

"""Names of what SGLang's keys leave out: its key is a hash of token ids alone, so model, dtype, layout and rank must come from here.

Model, dtype, layout, page size and the shape of a page go into the namespace; which share of a page it is goes into the key.
"""
from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from kvtier.errors import InvalidArgument
from kvtier.heads import HeadSplit, rank_heads
from kvtier.profile import Profile

_MODEL_CHARACTERS = 48
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float8_e4m3fn": "fp8_e4m3", "float8_e5m2": "fp8_e5m2"}
REPLICATED_POOLS = ("indexer", "draft_indexer")


def slug(text: str, most: int = _MODEL_CHARACTERS) -> str:
    """The text in the characters that a profile's name may have; not unique by itself."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[-most:].lstrip("-.") or "model"


def shape_of(pool: Any) -> dict[str, Any]:
    """What two pools must have in common for one to read the other's pages: dtype, layout, page size, layers, width of a head."""
    pool = anchor_of(pool)
    shape = {"class": _family(pool), "dtype": dtype_name(pool), "layout": str(getattr(pool, "layout", "")),
             "page": int(getattr(pool, "page_size", 1) or 1)}
    for name in ("layer_num", "head_dim", "v_head_dim", "kv_cache_dim", "num_mamba_layers", "temporal_state_elem_size", "item_bytes"):
        value = getattr(pool, name, None)
        if isinstance(value, int):
            shape[name] = value
    start, end = getattr(pool, "start_layer", None), getattr(pool, "end_layer", None)
    if isinstance(start, int) and isinstance(end, int):
        shape["layers"] = [start, end]
    return shape


def dtype_name(pool: Any) -> str:
    """The dtype of what the pool holds, such as ``bfloat16``; fp8 of both kinds lies in pools of uint8."""
    dtype = getattr(getattr(pool, "device_pool", None), "dtype", None) or getattr(pool, "dtype", "raw")
    return str(dtype).replace("torch.", "")


def anchor_of(pool: Any) -> Any:
    """The pool itself, or of a group of pools the one that holds the KV pages."""
    entry = getattr(pool, "anchor_entry", None)
    return pool if entry is None else entry.host_pool


def namespace_profile(model: str, pool: Any) -> Profile:
    """An opaque namespace for pages of this model in this form. Its name is readable; a digest of all of it keeps it unique."""
    shape = shape_of(pool)
    digest = digest_of({"model": model, **shape})
    layout = slug(shape["layout"], 24)
    return Profile.opaque(f"sglang.{slug(model)}.{slug(shape['dtype'], 16)}.{layout}.p{shape['page']}.{digest}")


def hello_profile(model: str) -> Profile:
    """The namespace in which engines of one model say how they make keys and bytes, so that those that differ hear of each other."""
    return Profile.opaque(f"sglang.{slug(model)}.{digest_of(model)}")


def hello_fields(config: Any, pool: Any, model: str, cut_by_heads: bool) -> dict[str, str]:
    """What engines of a model must have in common to share pages. The rank is in the keys, so it may differ."""
    shape = shape_of(pool)
    shares = "any" if cut_by_heads or config.is_mla_model else str(config.tp_size)
    return {
        "hash_algorithm": "sha256_chain_u32", "model_digest": digest_of(model), "dtype": shape["dtype"],
        "layout": "any" if cut_by_heads else shape["layout"], "block_tokens": str(shape["page"]), "world_size": shares, "rank": "any",
        "pipeline": str(getattr(config, "pp_size", 1)), "context_parallel": str(getattr(config, "attn_cp_size", 1)),
        "page_shape": "any" if cut_by_heads else digest_of({key: value for key, value in shape.items() if key != "layers"}),
        "interface_v1": "1" if (getattr(config, "extra_config", None) or {}).get("interface_v1") else "0",
    }


def digest_of(value: Any) -> str:
    """12 hexadecimal digits of SHA-256 of a value of plain types."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def stage_of(config: Any) -> str:
    """Pipeline stage and context-parallel rank, which hold different layers or tokens of a page; empty where there is one of each."""
    stage = ""
    if int(getattr(config, "pp_size", 1) or 1) > 1:
        stage += f".pp{config.pp_rank}of{config.pp_size}"
    if int(getattr(config, "attn_cp_size", 1) or 1) > 1:
        stage += f".cp{config.attn_cp_rank}of{config.attn_cp_size}"
    return stage


def head_split(config: Any, pool: Any, model: str, kv_heads: int | None = None) -> HeadSplit:
    """How this rank's pages are cut by heads, so that nodes of all sizes that divide ``tp_lcm_size`` share them.

    :param kv_heads: the model's KV heads; what all ranks have together where it is not told.
    :raises InvalidArgument: the sizes don't fit.
    """
    heads, size = int(pool.head_num), int(config.tp_size)
    whole = kv_heads or heads * size
    common = max(1, whole // int(config.tp_lcm_size))
    if dtype_name(pool) not in _DTYPES:
        raise InvalidArgument("dtype", dtype_name(pool), ", ".join(_DTYPES))
    if heads != rank_heads(whole, size, 0).count:
        raise InvalidArgument("extra_config.kv_heads", whole, f"{heads} heads on each of {size} ranks")
    name = f"sglang.{slug(model)}.{digest_of({'model': model, 'stage': stage_of(config), 'layers': shape_of(pool).get('layers')})}"
    profile = Profile(name, int(pool.layer_num), whole, int(pool.head_dim), _DTYPES[dtype_name(pool)], int(pool.page_size))
    return HeadSplit(profile, size, int(config.tp_rank), common)


def is_replicated(config: Any, name: str, pool: Any) -> bool:
    """True when every tensor-parallel rank has the same bytes, so that they are stored once."""
    if name == "kv":
        return bool(config.is_mla_model)
    if name == "draft":
        return "MLA" in type(anchor_of(pool)).__name__
    return bool(config.is_mla_model) and name != "mamba" or name in REPLICATED_POOLS


def _family(pool: Any) -> str:
    """The pool's kind by what its pages hold, as classes are renamed between releases."""
    if hasattr(pool, "kv_cache_dim"):
        return "latent"
    if hasattr(pool, "temporal_buffer"):
        return "state"
    return "heads" if hasattr(pool, "head_num") else "pages"

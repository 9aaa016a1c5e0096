"""What an engine's blocks depend on, as a namespace: two engines that differ in any of it never see each other's blocks."""
from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kvtier import Profile
from kvtier.engine import hash_seed, instance_name

_NOT_A_NAME = re.compile(r"[^a-z0-9._-]+")


def get(config: Any, path: str, default: Any = None) -> Any:
    """An attribute by its dotted path, or the default where a part of it is missing or None."""
    for name in path.split("."):
        config = getattr(config, name, None)
        if config is None:
            return default
    return config


def slug(model: str) -> str:
    """A model's name as a part of a namespace's."""
    return _NOT_A_NAME.sub("-", str(model).rstrip("/").rsplit("/", 1)[-1].lower()).strip("-") or "model"


def opaque_profile(kind: str, model: str, fields: dict[str, Any]) -> Profile:
    """A profile whose name says the model and has a digest of everything that blocks depend on."""
    said = json.dumps(fields, sort_keys=True, default=str).encode()
    return Profile.opaque(f"vllm-{kind}-{slug(model)[:64]}-{hashlib.sha256(said).hexdigest()[:16]}")


def common_profile(model: str) -> Profile:
    """The namespace that all engines of a model say hello in, whatever they disagree in."""
    return Profile.opaque(f"vllm-{slug(model)[:100]}")


def tier_fields(spec: Any, row_bytes: int) -> dict[str, Any]:
    """What the rows of a secondary tier depend on, from vLLM's offloading spec (or its older VllmConfig)."""
    config = get(spec, "config", spec)
    vllm = get(spec, "vllm_config", get(spec, "_vllm_config", spec))
    groups = [
        [get(group, "tokens_per_block", 0), list(get(group, "layer_names", ()))] for group in get(config, "groups", ())
    ]
    return {
        "plug": "tier-1",
        "model": get(config, "model.name", get(vllm, "model_config.model", "model")),
        "revision": get(vllm, "model_config.revision", ""),
        "dtype": get(config, "model.dtype", get(vllm, "cache_config.cache_dtype", "auto")),
        "compute_dtype": get(vllm, "model_config.dtype", ""),
        "groups": groups,
        "tokens_per_hash": get(config, "cache.tokens_per_hash", get(vllm, "cache_config.block_size", 0)),
        "blocks_per_chunk": get(config, "cache.blocks_per_chunk", get(spec, "block_size_factor", 1)),
        "world_size": get(config, "parallel.world_size", get(vllm, "parallel_config.world_size", 1)),
        "tp": get(config, "parallel.tp_size", get(vllm, "parallel_config.tensor_parallel_size", 1)),
        "pp": get(config, "parallel.pp_size", get(vllm, "parallel_config.pipeline_parallel_size", 1)),
        "pcp": get(config, "parallel.pcp_size", 1),
        "dcp": get(config, "parallel.dcp_size", 1),
        "replicated": bool(get(config, "replicated_layout", False)),
        "canonical": bool(get(config, "canonical_layout", False)),
        "row_bytes": row_bytes,
    }


def row_tokens(spec: Any) -> int:
    """Tokens of a row, where all groups of layers have as many; else 0."""
    sizes = {int(get(group, "tokens_per_block", 0)) for group in get(spec, "config.groups", ())}
    return sizes.pop() * int(get(spec, "config.cache.blocks_per_chunk", 1)) if len(sizes) == 1 else 0


def hash_fields(vllm_config: Any) -> dict[str, str | None]:
    """How this engine makes block hashes: engines that differ in it share nothing, without an error. None for what is not known."""
    algorithm = get(vllm_config, "cache_config.prefix_caching_hash_algo", get(_current_config(), "cache_config.prefix_caching_hash_algo"))
    return {
        "hash_algorithm": None if algorithm is None else str(algorithm),
        "seed": hash_seed(),
        "probe_hash": None if algorithm is None else _probe_hash(str(algorithm)),
    }


def _current_config() -> Any:
    """vLLM's configuration while it starts; its newer offloading specs do not have it."""
    try:
        return importlib.import_module("vllm.config").get_current_vllm_config()
    except Exception:  # not installed, another version, or not starting
        return None


def _probe_hash(algorithm: str) -> str | None:
    """What vLLM's hash makes of the tokens 0 to 15: tells seeds, algorithms and versions of pickle apart. None where it can't be asked."""
    try:
        utils = importlib.import_module("vllm.v1.core.kv_cache_utils")
        function = importlib.import_module("vllm.utils.hashing").get_hash_fn_by_name(algorithm)
        return bytes(utils.hash_block_tokens(function, None, list(range(16)))).hex()
    except Exception:  # another version, or a seed that is not set yet
        return None


def engine_instance(config: Any) -> str:
    """Which engine this is, the same after a restart."""
    replica = get(config, "parallel_config.data_parallel_rank", get(config, "parallel.data_parallel_index", 0))
    return instance_name(f"dp{replica}-{os.environ.get('CUDA_VISIBLE_DEVICES', 'all')}")


def vllm_version() -> str:
    """The version of vLLM; ``unknown`` where it is not installed."""
    try:
        return version("vllm")
    except PackageNotFoundError:
        return "unknown"

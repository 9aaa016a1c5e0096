"""SGLang's `HiCacheStorage` over KvTier, loaded by `--hicache-storage-backend dynamic`.

No call raises and none waits past its deadline: SGLang runs them in threads that it never starts again.
"""
from __future__ import annotations

import functools
import logging
import time
from collections import Counter
from importlib import metadata
from typing import Any, Callable, Sequence

from kvtier.errors import KvTierError
from kvtier.guarded import GuardedBlocks
from kvtier.handshake import Handshake, instance_of
from kvtier.plugin import LazyClient, Troubles
from kvtier.profile import Profile
from sglang.srt.mem_cache.hicache_storage import HiCacheStorage

from .generation import Generation
from .hits import usable_prefix
from .naming import head_split, hello_fields, hello_profile, namespace_profile
from .options import Options
from .pages import HeadPages, tensor_bytes
from .pools import Pool, flat_keys
from .stats import Stats

logger = logging.getLogger("kvtier.sglang")


def _guarded(default: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Whatever goes wrong in a method is a miss: it is logged once and the default is the answer."""
    def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: KvTierHiCache, *args: Any, **kwargs: Any) -> Any:
            if self._store is None:
                return default(*args, **kwargs)
            try:
                return method(self, *args, **kwargs)
            except Exception as error:
                self._troubles.report(f"{method.__name__} failed", f"{type(error).__name__}: {error}")
                logger.debug("kvtier: %s", method.__name__, exc_info=True)
                return default(*args, **kwargs)
        return call
    return wrap


def _nothing(keys: Sequence[str], *_: Any, **__: Any) -> list[bool]:
    return [False] * len(keys)


class KvTierHiCache(HiCacheStorage):
    """Pages of SGLang's host pools as blocks of a silo or a cluster."""

    def __init__(self, storage_config: Any, kwargs: dict[str, Any] | None = None) -> None:
        """Connects to nothing yet.

        :param storage_config: SGLang's HiCacheStorageConfig; our options are in its ``extra_config``.
        :raises InvalidArgument: an option that is unknown or can't be.
        """
        self._config = storage_config
        extra = getattr(storage_config, "extra_config", None) or {}
        self._options = Options.parse(extra)
        self._by_pool = bool(extra.get("interface_v1", 0))
        self._troubles = Troubles(logger)
        # Connecting may take as long as a look-up, as that is what most often finds that the silo is gone.
        self._client = LazyClient(
            self._options.endpoints, token=self._options.token, timeout_ms=self._options.lookup_timeout_ms, local=self._options.local,
            failures_max=self._options.failures_max, open_ms=self._options.open_ms, troubles=self._troubles)
        self._store: GuardedBlocks | None = None
        self._generation: Generation | None = None
        self._handshake: Handshake | None = None
        self._pools: dict[str, Pool] = {}
        self._stats = Stats()

    # Pools

    def register_mem_pool_host(self, mem_pool_host: Any) -> None:
        """Learns where pages lie; nothing is here before that."""
        super().register_mem_pool_host(mem_pool_host)
        model = self._options.model or getattr(self._config, "model_name", None) or ""
        profile = namespace_profile(model, mem_pool_host)
        store = self._blocks(profile)
        pool = Pool("kv", mem_pool_host, self._config, store)
        if getattr(self._config, "tp_lcm_size", None) and not self._config.is_mla_model and not pool.logical:
            self._cut_by_heads(pool, model)
        self._pools["kv"] = pool
        self._generation = Generation(store)
        self._handshake = self._hello(pool, model)
        self._store = store
        logger.info("kvtier: pages in namespace %s/%s at %s, %d blocks each", self._options.tenant, pool.blocks.profile.name,
                    self._options.endpoint, pool.parts)

    def register_mem_host_pool_v2(self, host_pool: Any, host_pool_name: Any) -> None:
        """Learns where pages of a side pool (states, indexes, drafts) lie."""
        super().register_mem_host_pool_v2(host_pool, host_pool_name)
        name = _name(host_pool_name)
        if name != "kv" and self._store is not None:
            self._pools[name] = Pool(name, host_pool, self._config, self._store)

    def _cut_by_heads(self, pool: Pool, model: str) -> None:
        try:
            split = head_split(self._config, pool.pool, model, self._options.kv_heads)
            pool.cut_by_heads(HeadPages(pool.pool, split), split.writes, self._blocks(split.profile))
        except (AttributeError, KeyError, KvTierError, TypeError) as error:
            self._troubles.report("pages are not shared between sizes of tensor parallelism", error)

    def _hello(self, pool: Pool, model: str) -> Handshake:
        fields = hello_fields(self._config, pool.pool, model, pool.is_cut_by_heads)
        where = f"{self._config.tp_rank}.{self._config.pp_rank}.{getattr(self._config, 'dp_rank', 0)}"
        return Handshake(self._client, hello_profile(model), self._options.tenant, "sglang", _version(), lambda: fields,
                         instance=instance_of(where), deadline_ms=self._options.lookup_timeout_ms, logger=logger)

    def _blocks(self, profile: Profile) -> GuardedBlocks:
        return GuardedBlocks(self._client, profile, self._options.tenant, self._options.limits)

    # Single pages and lists of tensors

    @_guarded(lambda *_, **__: None)
    def get(self, key: str, target_location: Any = None, target_sizes: Any = None) -> Any:
        """The page as a tensor (``target_location`` where that was given), or None."""
        return self.batch_get([key], [target_location])[0]

    @_guarded(lambda keys, *_, **__: [None] * len(keys))
    def batch_get(self, keys: Sequence[str], target_locations: Any = None, target_sizes: Any = None) -> list[Any]:
        """Whole pages as tensors; None where one is not here."""
        tensors = [place if place is not None else self.mem_pool_host.get_dummy_flat_data_page()
                   for place in (target_locations or [None] * len(keys))]
        read = self._store.read(self._flat(keys), [tensor_bytes(tensor) for tensor in tensors], to_first_miss=False)
        return [tensor if here else None for tensor, here in zip(tensors, read)]

    @_guarded(lambda *_, **__: False)
    def set(self, key: str, value: Any = None, target_location: Any = None, target_sizes: Any = None) -> bool:
        """Stores a page; True also when it was here."""
        return self.batch_set([key], [value])

    @_guarded(lambda *_, **__: False)
    def batch_set(self, keys: Sequence[str], values: Any = None, target_locations: Any = None, target_sizes: Any = None) -> bool:
        """Stores whole pages; True when all of them are here now."""
        if not self._pools["kv"].writes:
            return True
        return all(self._store.write(self._flat(keys), [tensor_bytes(value.contiguous()) for value in values]))

    @_guarded(lambda *_, **__: False)
    def exists(self, key: str) -> bool:
        """Whether the page is here."""
        return self.batch_exists([key]) == 1

    @_guarded(lambda *_, **__: 0)
    def batch_exists(self, keys: Sequence[str], extra_info: Any = None) -> int:
        """How many pages from the first on are here."""
        pool = self._pools["kv"]
        self._handshake.say()
        if not self._by_pool:
            return self._store.prefix(self._flat(keys))
        if pool.logical:
            return len(keys)
        return pool.blocks.prefix(pool.keys(keys, self._generation.suffix), pool.parts) // pool.parts

    # Pages of the host pool, without a copy

    @_guarded(_nothing)
    def batch_get_v1(self, keys: Sequence[str], host_indices: Any, extra_info: Any = None) -> list[bool]:
        """Receives pages into the host pool; True where all of a page came."""
        return self._read("kv", keys, host_indices)

    @_guarded(_nothing)
    def batch_set_v1(self, keys: Sequence[str], host_indices: Any, extra_info: Any = None) -> list[bool]:
        """Stores pages of the host pool; True where a page is here now."""
        return self._write("kv", keys, host_indices)

    # Several pools

    def batch_exists_v2(self, keys: Sequence[str], pool_transfers: Any = None, extra_info: Any = None) -> Any:
        """The prefix for which all pools have what their policy asks for, and how far each pool goes."""
        from sglang.srt.mem_cache.hicache_storage import PoolTransferResult

        pages, hits = self._usable(keys, pool_transfers or [])
        return PoolTransferResult(pages, hits)

    @_guarded(lambda *_, **__: (0, {}))
    def _usable(self, keys: Sequence[str], transfers: Sequence[Any]) -> tuple[int, dict[str, int]]:
        kv_pages = self.batch_exists(keys)
        here = {}
        for transfer in transfers if kv_pages else []:
            pool = self._pools[_name(transfer.name)]
            known = pool.blocks.here(pool.keys(keys[:kv_pages], self._generation.suffix))
            here[transfer.name] = _by_page(known, pool)
        return usable_prefix(kv_pages, transfers, here)

    def batch_get_v2(self, transfers: Sequence[Any], extra_info: Any = None) -> dict[Any, list[bool]]:
        """Receives pages of side pools."""
        return {one.name: self._transfer(one, self._read) for one in transfers}

    def batch_set_v2(self, transfers: Sequence[Any], extra_info: Any = None) -> dict[Any, list[bool]]:
        """Stores pages of side pools."""
        return {one.name: self._transfer(one, self._write) for one in transfers}

    @_guarded(lambda transfer, *_, **__: [False] * len(transfer.keys or []))
    def _transfer(self, transfer: Any, work: Callable[[str, Sequence[str], Any], list[bool]]) -> list[bool]:
        return work(_name(transfer.name), transfer.keys or [], transfer.host_indices)

    # Upkeep

    def clear(self) -> bool:
        """Begins a new generation of pages for all engines of the namespace; the older ones leave by eviction.

        Of an engine's ranks one says it to the silo; the others notice within a second.
        """
        if self._generation is None:
            return False
        config = self._config
        if int(config.tp_rank) or int(config.pp_rank) or int(getattr(config, "attn_cp_rank", 0) or 0):
            self._generation.forget()
            return True
        return self._generation.advance()

    def get_stats(self) -> Any:
        """Pages and GB/s since the last call, in the form of SGLang's StorageMetrics; None when metrics are off."""
        return self._stats.taken() if getattr(self._config, "enable_storage_metrics", False) else None

    def counts(self) -> dict[str, int]:
        """What came of blocks so far: hits, misses by reason, writes and failures."""
        total: Counter[str] = Counter()
        for blocks in {id(pool.blocks): pool.blocks for pool in self._pools.values()}.values():
            total.update(blocks.counts())
        return dict(total)

    def close(self) -> None:
        """Ends the connection; SGLang calls it when the backend is detached."""
        self._client.close()

    # Parts

    def _flat(self, keys: Sequence[str]) -> list[bytes]:
        return flat_keys(keys, self._config, bool(self._config.is_mla_model), self._generation.suffix)

    def _read(self, name: str, keys: Sequence[str], host_indices: Any) -> list[bool]:
        pool = self._pools[name]
        _check(pool, keys, host_indices)
        if pool.logical or not keys:
            return [True] * len(keys)
        begin = time.perf_counter()
        targets = [part for page in pool.pages.targets(host_indices) for part in page]
        read = pool.blocks.read(pool.keys(keys, self._generation.suffix), [target.buffer for target in targets],
                               arrived=lambda index: targets[index].place())
        pages = _by_page(read, pool)
        self._stats.read(sum(pages), sum(len(target.buffer) for target, here in zip(targets, read) if here), begin)
        return pages

    def _write(self, name: str, keys: Sequence[str], host_indices: Any) -> list[bool]:
        pool = self._pools[name]
        _check(pool, keys, host_indices)
        if pool.logical or not keys or not pool.writes:
            return [True] * len(keys)
        begin = time.perf_counter()
        parts = [part for page in pool.pages.sources(host_indices) for part in page]
        stored = pool.blocks.write(pool.keys(keys, self._generation.suffix), parts)
        pages = _by_page(stored, pool)
        self._stats.wrote(sum(pages), sum(len(part) for part, here in zip(parts, stored) if here), begin)
        return pages


def _by_page(parts: Sequence[bool], pool: Pool) -> list[bool]:
    return [all(parts[start:start + pool.parts]) for start in range(0, len(parts), pool.parts)]


def _check(pool: Pool, keys: Sequence[str], host_indices: Any) -> None:
    if host_indices is None or len(host_indices) != len(keys) * pool.page_size:
        told = "none" if host_indices is None else len(host_indices)
        raise ValueError(f"{told} slots of pool {pool.name} for {len(keys)} pages of {pool.page_size}")


def _version() -> str:
    try:
        return metadata.version("sglang")
    except metadata.PackageNotFoundError:
        return "unknown"


def _name(name: Any) -> str:
    return str(getattr(name, "value", name))

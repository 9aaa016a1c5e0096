"""As much of SGLang as its storage backends see, written for these tests: base class, configuration, host pools and a controller that
calls a backend in the engine's order. With REAL_SGLANG naming the folder that holds the real `sglang` package, the real base class and
types are used instead.
"""
import enum
import hashlib
import os
import struct
import sys
import types
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, List, Optional

import torch

BATCH = 128
_MODULE = "sglang.srt.mem_cache.hicache_storage"


class PoolName(str, enum.Enum):
    KV = "kv"
    MAMBA = "mamba"
    SWA = "swa"
    INDEXER = "indexer"
    DRAFT = "draft"


class PoolHitPolicy(str, enum.Enum):
    ALL_PAGES = "all_pages"
    TRAILING_PAGES = "trailing_pages"


@dataclass
class HiCacheStorageConfig:
    tp_rank: int = 0
    tp_size: int = 1
    pp_rank: int = 0
    pp_size: int = 1
    attn_cp_rank: int = 0
    attn_cp_size: int = 1
    is_mla_model: bool = False
    enable_storage_metrics: bool = True
    is_page_first_layout: bool = True
    model_name: Optional[str] = "meta-llama/Llama-3.1-8B"
    tp_lcm_size: Optional[int] = None
    should_split_heads: bool = False
    extra_config: Optional[dict] = None


@dataclass
class HiCacheStorageExtraInfo:
    prefix_keys: Optional[List[str]] = None
    extra_info: Optional[dict] = None


@dataclass
class PoolTransfer:
    name: PoolName
    host_indices: Optional[torch.Tensor] = None
    device_indices: Optional[torch.Tensor] = None
    keys: Optional[List[str]] = None
    hit_policy: PoolHitPolicy = PoolHitPolicy.ALL_PAGES


@dataclass
class PoolTransferResult:
    kv_hit_pages: int
    extra_pool_hit_pages: dict


class HiCacheStorage(ABC):
    def register_mem_pool_host(self, mem_pool_host):
        self.mem_pool_host = mem_pool_host

    def register_mem_host_pool_v2(self, host_pool, host_pool_name):
        self.registered_pools = {**getattr(self, "registered_pools", {}), host_pool_name: host_pool}

    @abstractmethod
    def get(self, key, target_location=None, target_sizes=None): ...

    @abstractmethod
    def batch_get(self, keys, target_locations=None, target_sizes=None): ...

    @abstractmethod
    def set(self, key, value=None, target_location=None, target_sizes=None): ...

    @abstractmethod
    def batch_set(self, keys, values=None, target_locations=None, target_sizes=None): ...

    @abstractmethod
    def exists(self, key): ...


def install():
    """Puts the stand-in where the backend imports it from, unless the real one is asked for."""
    real = os.environ.get("REAL_SGLANG")
    if real:
        sys.path.insert(0, real)
        return
    for name in ("sglang", "sglang.srt", "sglang.srt.mem_cache", _MODULE):
        sys.modules.setdefault(name, types.ModuleType(name))
    for one in (HiCacheStorage, HiCacheStorageConfig, HiCacheStorageExtraInfo, PoolName, PoolHitPolicy, PoolTransfer, PoolTransferResult):
        setattr(sys.modules[_MODULE], one.__name__, one)


def engine_types():
    """The module that the backend sees: ours or the real one."""
    import importlib

    return importlib.import_module(_MODULE)


def page_hashes(tokens, page_size, last=None):
    """SGLang's keys: chained SHA-256 of token ids, lower-case hex."""
    prior = bytes.fromhex(last) if last else b""
    keys = []
    for start in range(0, len(tokens) // page_size * page_size, page_size):
        prior = hashlib.sha256(prior + struct.pack(f"<{page_size}I", *tokens[start:start + page_size])).digest()
        keys.append(prior.hex())
    return keys


class HeadsPool:
    """A host pool of K and V by heads in one of SGLang's layouts, with pointers as the engine tells them."""

    def __init__(self, layout="page_first", pages=64, page_size=16, layers=3, heads=4, dim=8, dtype=torch.bfloat16, seed=0):
        self.layout, self.page_num, self.page_size, self.size = layout, pages, page_size, pages * page_size
        self.layer_num, self.head_num, self.head_dim, self.dtype = layers, heads, dim, dtype
        self.device, self.start_layer, self.end_layer = "cpu", 0, layers
        self.kv_buffer = torch.zeros({
            "layer_first": (2, layers, self.size, heads, dim), "page_first": (2, self.size, layers, heads, dim),
            "page_first_direct": (2, pages, layers, page_size, heads, dim), "page_head": (2, pages, heads, page_size, layers, dim),
        }[layout], dtype=dtype)
        if seed:
            generator = torch.Generator().manual_seed(seed)
            self.kv_buffer.copy_(torch.randn(self.kv_buffer.shape, generator=generator).to(dtype))

    def _page(self, start):
        if self.layout == "layer_first":
            return self.kv_buffer[:, :, start:start + self.page_size]
        if self.layout == "page_first":
            return self.kv_buffer[:, start:start + self.page_size]
        return self.kv_buffer[:, start // self.page_size]

    def logical(self, start):
        """A page as [K,V][layer][token][head][dim], whatever the layout."""
        order = {"layer_first": (0, 1, 2, 3, 4), "page_first": (0, 2, 1, 3, 4), "page_first_direct": (0, 1, 2, 3, 4),
                 "page_head": (0, 3, 2, 1, 4)}[self.layout]
        return self._page(start).permute(order)

    def get_data_page(self, index, flat=True):
        page = self._page(int(index))
        return page.flatten() if flat else page

    def get_dummy_flat_data_page(self):
        return torch.zeros(self._page(0).numel(), dtype=self.dtype)

    def set_from_flat_data_page(self, index, data_page):
        page = self._page(int(index))
        page.copy_(data_page.reshape(page.shape))

    def get_page_buffer_meta(self, indices):
        assert len(indices) % self.page_size == 0
        base, item = self.kv_buffer.data_ptr(), self.kv_buffer.element_size()
        half, row = self.kv_buffer[0].numel() * item, self.head_num * self.head_dim * item
        pointers = []
        for start in indices.tolist()[:: self.page_size]:
            if self.layout == "layer_first":
                for layer in range(self.layer_num):
                    pointers += [base + (layer * self.size + start) * row, base + (layer * self.size + start) * row + half]
            else:
                pointers += [base + start * self.layer_num * row, base + start * self.layer_num * row + half]
        length = self.page_size * row * (1 if self.layout == "layer_first" else self.layer_num)
        return pointers, [length] * len(pointers)

    def get_split_heads_page_buffer_meta(self, indices, split_factor):
        assert self.layout == "page_head" and self.head_num % split_factor == 0
        base, item = self.kv_buffer.data_ptr(), self.kv_buffer.element_size()
        half = self.kv_buffer[0].numel() * item
        head = self.page_size * self.layer_num * self.head_dim * item
        share = self.head_num // split_factor
        pointers = []
        for start in indices.tolist()[:: self.page_size]:
            for first in range(0, self.head_num, share):
                at = base + (start // self.page_size * self.head_num + first) * head
                pointers += [at, at + half]
        return pointers, [share * head] * len(pointers)


class LatentPool:
    """A host pool of MLA latents, the same on each rank; page-first or layer-first."""

    def __init__(self, layout="page_first", pages=32, page_size=16, layers=3, width=40, dtype=torch.bfloat16, seed=0):
        self.layout, self.page_size, self.size, self.layer_num, self.kv_cache_dim = layout, page_size, pages * page_size, layers, width
        self.dtype, self.device, self.start_layer, self.end_layer = dtype, "cpu", 0, layers
        shape = (layers, self.size, 1, width) if layout == "layer_first" else (self.size, layers, 1, width)
        generator = torch.Generator().manual_seed(seed)
        self.kv_buffer = torch.randn(shape, generator=generator).to(dtype) if seed else torch.zeros(shape, dtype=dtype)

    def get_data_page(self, index, flat=True):
        index = int(index)
        rows = slice(index, index + self.page_size)
        page = self.kv_buffer[:, rows] if self.layout == "layer_first" else self.kv_buffer[rows]
        return page.flatten() if flat else page

    def get_dummy_flat_data_page(self):
        return torch.zeros(self.layer_num * self.page_size * self.kv_cache_dim, dtype=self.dtype)

    def get_page_buffer_meta(self, indices):
        base, row = self.kv_buffer.data_ptr(), self.kv_cache_dim * self.kv_buffer.element_size()
        starts = indices.tolist()[:: self.page_size]
        if self.layout == "layer_first":
            pointers = [base + (layer * self.size + start) * row for start in starts for layer in range(self.layer_num)]
            return pointers, [self.page_size * row] * len(pointers)
        return [base + start * self.layer_num * row for start in starts], [self.layer_num * self.page_size * row] * len(starts)


class StatePool:
    """A side pool with one state a page. ``pointers`` False: it tells none, as layer-first state pools of the engine do."""

    def __init__(self, pages=32, width=24, pointers=True, seed=0):
        self.page_size, self.layout, self.dtype, self.pointers = 1, "page_first" if pointers else "layer_first", torch.float32, pointers
        self.temporal_buffer = self.kv_buffer = torch.zeros((pages, width))
        if seed:
            self.kv_buffer.copy_(torch.randn((pages, width), generator=torch.Generator().manual_seed(seed)))

    def get_page_buffer_meta(self, indices):
        if not self.pointers:
            raise ValueError("Mamba storage zero-copy requires page_first layout")
        row = self.kv_buffer.shape[1] * 4
        return [self.kv_buffer.data_ptr() + index * row for index in indices.tolist()], [row] * len(indices)

    def get_data_page(self, index, flat=True):
        return self.kv_buffer[int(index)].flatten()

    def get_dummy_flat_data_page(self):
        return torch.zeros(self.kv_buffer.shape[1])

    def set_from_flat_data_page(self, index, data_page):
        self.kv_buffer[int(index)] = data_page


class Controller:
    """What SGLang's cache controller does with a backend, in one thread."""

    def __init__(self, backend_class, pool, extra_config, side_pools=None, **config):
        kind = engine_types().HiCacheStorageConfig
        names = set(getattr(kind, "__dataclass_fields__", {}))
        extra = {"backend_name": "kvtier", "module_path": "kvtier_sglang.backend", "class_name": "KvTierHiCache", "interface_v1": 1,
                 **extra_config}
        defaults = {"tp_rank": 0, "tp_size": 1, "pp_rank": 0, "pp_size": 1, "attn_cp_rank": 0, "attn_cp_size": 1, "is_mla_model": False,
                    "enable_storage_metrics": True, "is_page_first_layout": pool.layout == "page_first",
                    "model_name": "meta-llama/Llama-3.1-8B"}
        values = {**defaults, "extra_config": extra, **config}
        self.config = kind(**{name: value for name, value in values.items() if name in names})
        self.pool, self.page_size, self.zero_copy = pool, pool.page_size, bool(extra.get("interface_v1"))
        self.storage = backend_class(self.config, {})
        self.storage.register_mem_pool_host(pool)
        for name, side in (side_pools or {}).items():
            self.storage.register_mem_host_pool_v2(side, name)

    def slots(self, pages):
        """Slots of the pool for pages, page_size each."""
        return torch.tensor([page * self.page_size + slot for page in pages for slot in range(self.page_size)], dtype=torch.int64)

    def backup(self, keys, pages) -> int:
        """Writes pages, up to 128 at once; how many batches' pages were all written."""
        done = 0
        for start in range(0, len(keys), BATCH):
            some, slots = keys[start:start + BATCH], self.slots(pages[start:start + BATCH])
            info = engine_types().HiCacheStorageExtraInfo(prefix_keys=keys[:start])
            if self.zero_copy:
                success = all(self.storage.batch_set_v1(some, slots, info))
            else:
                success = self.storage.batch_set(some, [self.pool.get_data_page(slots[i * self.page_size]) for i in range(len(some))])
            if not success:
                break
            done += len(some)
        return done

    def hits(self, keys) -> int:
        """Pages from the first on that storage has."""
        found = 0
        for start in range(0, len(keys), BATCH):
            some = keys[start:start + BATCH]
            count = self.storage.batch_exists(some, engine_types().HiCacheStorageExtraInfo(prefix_keys=keys[:start]))
            found += count
            if count < len(some):
                break
        return found

    def prefetch(self, keys, pages) -> int:
        """Reads pages; how many came without a gap."""
        came = 0
        for start in range(0, len(keys), BATCH):
            some, slots = keys[start:start + BATCH], self.slots(pages[start:start + BATCH])
            if self.zero_copy:
                results = self.storage.batch_get_v1(some, slots, engine_types().HiCacheStorageExtraInfo())
            else:
                data = self.storage.batch_get(some, [self.pool.get_dummy_flat_data_page() for _ in some])
                results = [page is not None for page in data]
                for index, page in enumerate(data):
                    if page is not None:
                        self.pool.set_from_flat_data_page(slots[index * self.page_size], page)
            count = next((index for index, result in enumerate(results) if not result), len(results))
            came += count
            if count < len(some):
                break
        return came

    def detach(self):
        self.storage.close()

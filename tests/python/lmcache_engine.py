"""As much of LMCache as its remote connectors see, written for these tests: keys, memory objects with reference counts over a bounded CPU
pool, base classes, the wrapper around a connector and the remote backend's order of calls. With REAL_LMCACHE naming the folder that
holds the real `lmcache` package, its base class of connectors, memory objects and formats are used instead.
"""
import abc
import asyncio
import enum
import importlib
import os
import sys
import threading
import types
from dataclasses import dataclass, field

import torch

_CONNECTOR = "lmcache.v1.storage_backend.connector"
_BASE = _CONNECTOR + ".base_connector"
_WRAPPER = _CONNECTOR + ".instrumented_connector"
_MEMORY = "lmcache.v1.memory_management"
_NATIVE = "lmcache.native_storage_ops"
_INTERNAL = "lmcache.v1.distributed.internal_api"
_L2 = "lmcache.v1.distributed.l2_adapters.base"


class MemoryFormat(enum.Enum):
    UNDEFINED = 0
    KV_2LTD = 1
    KV_T2D = 2
    KV_2TD = 3
    BINARY = 4
    BINARY_BUFFER = 5
    KV_MLA_FMT = 6


class MemoryObj:
    """Memory of the pool. It goes back when nobody counts on it; a count below zero, or a use after that, is an error."""

    def __init__(self, pool, shapes, dtypes, form):
        self.pool, self.shapes, self.dtypes, self.form, self.refs = pool, shapes, dtypes, form, 1
        self.raw = torch.zeros(sum(shape.numel() * dtype.itemsize if hasattr(dtype, "itemsize") else _size(shape, dtype)
                                   for shape, dtype in zip(shapes, dtypes)), dtype=torch.uint8)

    def get_shape(self):
        return self.shapes[0]

    def get_dtype(self):
        return self.dtypes[0]

    def get_shapes(self):
        return self.shapes

    def get_dtypes(self):
        return self.dtypes

    def get_memory_format(self):
        return self.form

    def get_size(self):
        return self.raw.numel()

    @property
    def byte_array(self):
        assert self.refs > 0, "memory that was given back is used"
        return memoryview(self.raw.numpy())

    def ref_count_up(self):
        assert self.refs > 0
        self.refs += 1

    def ref_count_down(self):
        assert self.refs > 0, "memory that was given back is given back again"
        self.refs -= 1
        if not self.refs:
            self.pool.give_back(self)


def _size(shape, dtype):
    return shape.numel() * torch.empty(0, dtype=dtype).element_size()


class CpuPool:
    """LMCache's local_cpu_backend: so many bytes. Without room and with `busy_loop` it waits as LMCache does, which a test must not see."""

    def __init__(self, room=1 << 30):
        self.room, self.taken, self.lock = room, set(), threading.Lock()

    def allocate(self, shapes, dtypes, fmt=MemoryFormat.KV_2LTD, eviction=True, busy_loop=True):
        shapes = [shapes] if isinstance(shapes, torch.Size) else list(shapes)
        dtypes = list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes]
        need = sum(_size(shape, dtype) for shape, dtype in zip(shapes, dtypes))
        with self.lock:
            if need > self.room:
                assert not busy_loop, "allocate would wait without an end"
                return None
            self.room -= need
            memory = MemoryObj(self, shapes, dtypes, fmt)
            self.taken.add(id(memory))
        return memory

    def give_back(self, memory):
        with self.lock:
            self.taken.remove(id(memory))
            self.room += memory.get_size()

    @property
    def held(self):
        with self.lock:
            return len(self.taken)


class RemoteConnector(abc.ABC):
    def __init__(self, config, metadata):
        assert metadata is not None
        self._connector_metadata = metadata

    @abc.abstractmethod
    async def exists(self, key): ...

    @abc.abstractmethod
    def exists_sync(self, key): ...

    @abc.abstractmethod
    async def get(self, key): ...

    @abc.abstractmethod
    async def put(self, key, memory_obj): ...

    @abc.abstractmethod
    async def list(self): ...

    @abc.abstractmethod
    async def close(self): ...


class ConnectorAdapter(abc.ABC):
    def __init__(self, schema=""):
        self.schema = schema

    @abc.abstractmethod
    def create_connector(self, context): ...


class InstrumentedRemoteConnector:
    """The wrapper that gives the memory of puts back, whatever happens."""

    def __init__(self, connector):
        self.connector = connector

    async def put(self, key, memory_obj):
        try:
            await self.connector.put(key, memory_obj)
        finally:
            memory_obj.ref_count_down()

    async def batched_put(self, keys, memory_objs):
        try:
            await self.connector.batched_put(keys, memory_objs)
        finally:
            for memory_obj in memory_objs:
                memory_obj.ref_count_down()

    def __getattr__(self, name):
        return getattr(self.connector, name)


class Bitmap:
    """Bits that are 0 until they are set."""

    def __init__(self, size):
        self.bits = [False] * size

    def set(self, index):
        self.bits[index] = True


class L2StoreResult(int):
    def __new__(cls, success, bytes_transferred):
        return super().__new__(cls, bytes_transferred if success else -1)


class L2AdapterInterface(abc.ABC):
    def __init__(self, max_capacity_bytes=0):
        self.stored, self.accessed = [], []

    def _notify_keys_stored(self, keys, sizes):
        self.stored += list(zip(keys, sizes))

    def _notify_keys_accessed(self, keys):
        self.accessed += keys


for _name in ("get_store_event_fd", "get_lookup_and_lock_event_fd", "get_load_event_fd", "submit_store_task", "pop_completed_store_tasks",
              "submit_lookup_and_lock_task", "query_lookup_and_lock_result", "submit_unlock", "submit_load_task", "query_load_result"):
    setattr(L2AdapterInterface, _name, abc.abstractmethod(lambda self, *_: None))
L2AdapterInterface.__abstractmethods__ = frozenset(name for name, one in vars(L2AdapterInterface).items()
                                                   if getattr(one, "__isabstractmethod__", False))


def install():
    """Puts the stand-in where the plug-in imports it from, unless the real one is asked for."""
    real = os.environ.get("REAL_LMCACHE")
    if real:
        sys.path.insert(0, real)
        return
    for name in ("lmcache", "lmcache.v1", "lmcache.v1.storage_backend", "lmcache.v1.distributed",
                 "lmcache.v1.distributed.l2_adapters", _CONNECTOR, _BASE, _WRAPPER, _MEMORY, _NATIVE, _INTERNAL, _L2):
        sys.modules.setdefault(name, types.ModuleType(name))
    for module, ones in ((_CONNECTOR, [ConnectorAdapter]), (_BASE, [RemoteConnector]), (_WRAPPER, [InstrumentedRemoteConnector]),
                         (_MEMORY, [MemoryObj, MemoryFormat]), (_NATIVE, [Bitmap]), (_INTERNAL, [L2StoreResult]),
                         (_L2, [L2AdapterInterface])):
        for one in ones:
            setattr(sys.modules[module], one.__name__, one)


@dataclass(frozen=True)
class Key:
    """LMCache's CacheEngineKey, as far as connectors use it."""

    chunk_hash: int
    model: str = "meta-llama/Llama-3.1-8B"
    world: int = 1
    worker: int = 0
    dtype: str = "bfloat16"

    def to_string(self):
        return f"{self.model}@{self.world}@{self.worker}@{self.chunk_hash:x}@{self.dtype}"


@dataclass(frozen=True)
class ObjectKey:
    """The key of the multi-process mode."""

    chunk_hash: bytes
    model_name: str = "meta-llama/Llama-3.1-8B"
    kv_rank: int = 0x02000200
    object_group_id: int = 0
    cache_salt: str = ""


@dataclass
class Metadata:
    """LMCacheMetadata: the groups of layers are known only after the engine has registered its caches."""

    model_name: str = "meta-llama/Llama-3.1-8B"
    chunk_size: int = 256
    use_mla: bool = False
    groups: list = field(default_factory=list)

    def get_shapes(self):
        return [torch.Size(shape) for shape, _ in self.groups] or [torch.Size((2, 4, self.chunk_size, 64))]

    def get_dtypes(self):
        return [dtype for _, dtype in self.groups] or [torch.bfloat16]

    def get_num_groups(self):
        return len(self.get_shapes())


@dataclass
class Config:
    extra_config: dict
    remote_storage_plugins: list = field(default_factory=lambda: ["kvtier"])
    use_layerwise: bool = False
    blocking_timeout_secs: float = 10


class Engine:
    """LMCache's remote backend: finds the adapter by its configuration, runs the connector on a loop of its own and waits with a limit."""

    def __init__(self, options, metadata=None, room=1 << 30, url="plugin://kvtier", plugin="kvtier"):
        prefix = f"remote_storage_plugin.{plugin}."
        extra = {prefix + "module_path": "kvtier_lmcache.adapter", prefix + "class_name": "KvTierConnectorAdapter",
                 **{prefix + name: value for name, value in options.items()}}
        self.config, self.metadata, self.pool = Config(extra), metadata or Metadata(), CpuPool(room)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        adapter = getattr(importlib.import_module(extra[prefix + "module_path"]), extra[prefix + "class_name"])()
        assert adapter.can_parse(url)
        context = types.SimpleNamespace(url=url, loop=self.loop, local_cpu_backend=self.pool, config=self.config, metadata=self.metadata,
                                        plugin_name=plugin)
        self.connector = InstrumentedRemoteConnector(adapter.create_connector(context))

    def run(self, work, seconds=100):
        """A coroutine's result; when it takes longer it is cancelled, as the remote backend does."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(seconds)
        except Exception:
            future.cancel()
            raise

    def memory(self, fill, tokens=256):
        """A chunk in the pool with bytes that depend on `fill`."""
        shapes = [torch.Size((*shape[:2], tokens, *shape[3:])) if len(shape) == 4 else shape for shape in self.metadata.get_shapes()]
        form = MemoryFormat.KV_MLA_FMT if self.metadata.use_mla else MemoryFormat.KV_2LTD
        memory = self.pool.allocate(shapes if len(shapes) > 1 else shapes[0], self.metadata.get_dtypes() if len(shapes) > 1
                                    else self.metadata.get_dtypes()[0], form)
        memory.raw.copy_(torch.arange(memory.get_size(), dtype=torch.int64).mul_(fill + 1).remainder_(251).to(torch.uint8))
        return memory

    def put(self, key, fill, tokens=256):
        """As submit_put_task: the engine's own count is given back at once, the wrapper's after the put."""
        memory = self.memory(fill, tokens)
        self.run(self.connector.put(key, memory))

    def close(self):
        self.run(self.connector.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

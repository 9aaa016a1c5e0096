"""LMCache's remote connector over KvTier.

Work runs in a few threads of its own. A memory object that was taken for a chunk is handed to LMCache or given back on every path: a
miss, a wrong layout, an error, and a call that LMCache stopped waiting for.
"""
from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Callable, List, Optional, Sequence, TypeVar

from kvtier.engine import hash_seed
from kvtier.guarded import GuardedBlocks
from kvtier.handshake import Handshake, instance_of
from kvtier.plugin import Troubles
from lmcache.v1.memory_management import MemoryFormat
from lmcache.v1.storage_backend.connector.base_connector import RemoteConnector

from .allocate import Allocator
from .chunks import Chunks, bytes_of, chunk_profile, layout_of
from .options import Options

logger = logging.getLogger("kvtier.lmcache")
T = TypeVar("T")


class KvTierConnector(RemoteConnector):
    """Chunks of one model in a silo or a cluster."""

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop, local_cpu_backend: Any, config: Any, metadata: Any,
                 releases_batches: bool = True) -> None:
        """Connects to nothing yet.

        :param releases_batches: whether LMCache gives the memory of a batched put back by itself.
        """
        if RemoteConnector.__init__ is not object.__init__:  # old releases have none
            super().__init__(config, metadata)
        self._metadata = metadata
        self._config = config
        self._loop = loop
        self._releases_batches = releases_batches
        self._troubles = Troubles(logger)
        self._client = options.client(self._troubles)
        profile = chunk_profile(str(getattr(metadata, "model_name", None) or ""), options.namespace)
        self.chunks = Chunks(GuardedBlocks(self._client, profile, options.tenant, options.limits))
        self._allocator = Allocator(local_cpu_backend, self._expected, MemoryFormat)
        self._handshake = Handshake(
            self._client, profile, options.tenant, "lmcache", _version(), self._said, deadline_ms=options.lookup_timeout_ms, logger=logger,
            instance=instance_of(getattr(metadata, "worker_id", 0)))
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="kvtier-lmcache")
        logger.info("kvtier: chunks in namespace %s/%s at %s", options.tenant, profile.name, options.endpoint)

    # Look-ups

    async def exists(self, key: Any) -> bool:
        """Whether the chunk is here."""
        self._handshake.say()
        return await self._run(lambda: self.chunks.prefix([key.to_string()]) == 1, False)

    def exists_sync(self, key: Any) -> bool:
        """The same, from any thread."""
        return self.batched_contains([key]) == 1

    def support_batched_contains(self) -> bool:
        """One request for a list of chunks."""
        return True

    def batched_contains(self, keys: Sequence[Any], *_: Any, **__: Any) -> int:
        """How many chunks from the first on are here."""
        self._handshake.say()
        return self._guarded(lambda: self.chunks.prefix([key.to_string() for key in keys]), 0)

    async def batched_async_contains(self, lookup_id: str, keys: Sequence[Any], pin: bool = False) -> int:
        """The same as a coroutine."""
        self._handshake.say()
        return await self._run(lambda: self.chunks.prefix([key.to_string() for key in keys]), 0)

    # Reads

    async def get(self, key: Any) -> Optional[Any]:
        """A memory object with the chunk, or None."""
        return (await self.batched_get([key]))[0]

    def support_batched_get(self) -> bool:
        """One request for a list of chunks."""
        return True

    async def batched_get(self, keys: Sequence[Any]) -> List[Optional[Any]]:
        """A memory object or None for each chunk."""
        return await self._run(lambda: self._read(keys, False), [None] * len(keys), _release)

    async def batched_get_non_blocking(self, lookup_id: str, keys: Sequence[Any]) -> List[Any]:
        """Memory objects of the chunks from the first on; what came after a gap is given back."""
        memories = await self._run(lambda: self._read(keys, True), [], _release)
        end = memories.index(None) if None in memories else len(memories)
        _release(memories[end:])
        return memories[:end]

    # Writes

    async def put(self, key: Any, memory_obj: Any) -> None:
        """Stores a chunk. LMCache's wrapper counts the reference down after it, whatever happens."""
        await self._run(lambda: self._write([key], [memory_obj]), None)

    def support_batched_put(self) -> bool:
        """Only where LMCache gives the memory back after it, as current releases do; older ones would leak it."""
        return self._releases_batches

    async def batched_put(self, keys: Sequence[Any], memory_objs: Sequence[Any]) -> None:
        """Stores chunks."""
        await self._run(lambda: self._write(keys, memory_objs), None)

    def remove_sync(self, key: Any) -> bool:
        """Deletes a chunk."""
        return self._guarded(lambda: self.chunks.remove(key.to_string()), False)

    # Upkeep

    def support_ping(self) -> bool:
        """LMCache's monitor may ask."""
        return True

    async def ping(self) -> int:
        """0 when the silo answers."""
        return await self._run(lambda: self._client.attempt(lambda client: client.ping() or 0, 1, what="a ping"), 1)

    async def list(self) -> List[str]:
        """Nothing: a silo knows its blocks by digests of their keys."""
        return []

    async def close(self) -> None:
        """Ends the threads and the connection."""
        self._threads.shutdown(wait=False)
        self._client.close()

    def __repr__(self) -> str:
        return f"KvTierConnector({self.chunks.counts()})"

    # Parts

    def _expected(self) -> tuple[list[Any], list[Any]]:
        if hasattr(self._metadata, "get_shapes"):
            return list(self._metadata.get_shapes()), list(self._metadata.get_dtypes())
        return [], []

    def _said(self) -> dict[str, object]:
        """What engines must have in common to share chunks. Names are in the keys, so ranks may differ."""
        shapes, dtypes = self._expected()
        algorithm = getattr(self._config, "pre_caching_hash_algorithm", None)
        return {
            "hash_algorithm": algorithm or "builtin", "seed": hash_seed() if algorithm in (None, "builtin") else "any",
            "model_digest": hashlib.sha256(str(getattr(self._metadata, "model_name", "")).encode()).hexdigest()[:12],
            "dtype": ",".join(str(dtype).replace("torch.", "") for dtype in dtypes) or "any", "rank": "any",
            "world_size": str(getattr(self._metadata, "world_size", "any")),
            "block_tokens": str(getattr(self._config, "chunk_size", None) or getattr(self._metadata, "chunk_size", "any")),
            "page_shape": ";".join("x".join(str(int(size)) for size in shape) for shape in shapes) or "any",
        }

    def _read(self, keys: Sequence[Any], to_first_miss: bool) -> list[Any]:
        names = [key.to_string() for key in keys]
        memories: list[Any] = [None] * len(names)
        try:
            for index, layout in enumerate(self.chunks.layouts(names)):
                refusal = None if layout is None else self._allocator.refusal(layout)
                if refusal:
                    self._troubles.report("a chunk that does not fit this engine", refusal)
                elif layout is not None:
                    memories[index] = self._allocator.take(layout)
                    if memories[index] is None:
                        self._troubles.report("no memory for chunks", f"{layout.length} bytes from LMCache's CPU backend")
                if memories[index] is None and to_first_miss:
                    break
            wanted = [index for index, memory in enumerate(memories) if memory is not None]
            targets = [bytes_of(memories[index]) for index in wanted]
            for index, came in zip(wanted, self.chunks.read([names[index] for index in wanted], targets, to_first_miss)):
                if not came:
                    _release([memories[index]])
                    memories[index] = None
        except BaseException:
            _release(memories)
            raise
        return memories

    def _write(self, keys: Sequence[Any], memories: Sequence[Any]) -> None:
        self.chunks.write([key.to_string() for key in keys], [layout_of(memory) for memory in memories],
                          [bytes_of(memory) for memory in memories])

    def _guarded(self, work: Callable[[], T], default: T) -> T:
        try:
            return work()
        except Exception as error:
            self._troubles.report("a call failed", f"{type(error).__name__}: {error}")
            logger.debug("kvtier: a call failed", exc_info=True)
            return default

    async def _run(self, work: Callable[[], T], default: T, unwanted: Callable[[T], None] | None = None) -> T:
        """Runs work in a thread. When LMCache stops waiting, the work ends all the same and ``unwanted`` takes its result: memory that is
        being received into must not go back before that."""
        try:
            running: Future[T] = self._threads.submit(self._guarded, work, default)
        except RuntimeError:
            return default  # closed
        try:
            return await asyncio.shield(asyncio.wrap_future(running))
        except asyncio.CancelledError:
            if unwanted is not None:
                running.add_done_callback(lambda done: unwanted(done.result()))
            raise


def _version() -> str:
    try:
        return version("lmcache")
    except PackageNotFoundError:
        return "unknown"


def _release(memories: Sequence[Any]) -> None:
    for memory in memories:
        if memory is not None:
            memory.ref_count_down()


"""LMCache's multi-process mode: KvTier as an L2 adapter, loaded by `--l2-adapter '{"type": "plugin", …}'`.

Two controller threads submit tasks and are woken by event descriptors; the work runs in threads of our own. A lock on an object is a pin
in the silo, which ends by itself after a time, so that an unlock that is lost does no harm.
"""
from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Sequence

from kvtier.guarded import GuardedBlocks
from kvtier.plugin import Troubles
from kvtier.profile import Profile
from lmcache.native_storage_ops import Bitmap
from lmcache.v1.distributed.internal_api import L2StoreResult
from lmcache.v1.distributed.l2_adapters.base import L2AdapterInterface

from .chunks import bytes_of
from .options import Options

logger = logging.getLogger("kvtier.lmcache")
_LOCK_MS = 60_000
_ENGINE_KEYS = ("type", "module_path", "class_name", "adapter_params", "config_class_name")


class KvTierL2Adapter(L2AdapterInterface):
    """Objects as blocks, whole and without metadata: LMCache says their length with each load."""

    def __init__(self, adapter_params: dict[str, Any] | None = None, **_: Any) -> None:
        """Connects to nothing yet.

        :param adapter_params: our options.
        :raises InvalidArgument: an option that is unknown or can't be.
        """
        super().__init__()
        params = {name: value for name, value in (adapter_params or {}).items() if name not in _ENGINE_KEYS}
        options = Options.parse(params, "adapter_params.")
        self._troubles = Troubles(logger)
        self._client = options.client(self._troubles)
        profile = Profile.opaque(options.namespace or "lmcache-mp")
        profile.validate()
        self.blocks = GuardedBlocks(self._client, profile, options.tenant, options.limits)
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="kvtier-l2")
        self._mutex = threading.Lock()
        self._next = 0
        self._locks: Counter[bytes] = Counter()
        self._events = {kind: os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for kind in ("store", "lookup", "load")}
        self._done: dict[str, dict[int, Any]] = {"store": {}, "lookup": {}, "load": {}}
        self._closed = False

    def get_store_event_fd(self) -> int:
        """Signalled when a store has ended."""
        return self._events["store"]

    def get_lookup_and_lock_event_fd(self) -> int:
        """Signalled when a look-up has ended."""
        return self._events["lookup"]

    def get_load_event_fd(self) -> int:
        """Signalled when a load has ended."""
        return self._events["load"]

    def submit_store_task(self, keys: Sequence[Any], objects: Sequence[Any], *_: Any, **__: Any) -> int:
        """Stores objects; those that are here already are not sent."""
        return self._submit("store", lambda: self._store(keys, objects), lambda: L2StoreResult(False, 0))

    def pop_completed_store_tasks(self) -> dict[int, Any]:
        """What became of stores that have ended since the last call."""
        with self._mutex:
            done, self._done["store"] = self._done["store"], {}
        return done

    def submit_lookup_and_lock_task(self, keys: Sequence[Any], *_: Any, **__: Any) -> int:
        """Looks which objects are here and keeps those from eviction."""
        return self._submit("lookup", lambda: self._lookup(keys), lambda: Bitmap(len(keys)))

    def query_lookup_and_lock_result(self, task_id: int) -> Any:
        """A bitmap once, None before and afterwards."""
        with self._mutex:
            return self._done["lookup"].pop(task_id, None)

    def submit_unlock(self, keys: Sequence[Any], *_: Any, **__: Any) -> None:
        """Ends locks; where the silo does not hear of it they end by themselves."""
        names = [_name(key) for key in keys]
        with self._mutex:
            self._locks.subtract(names)
            free = [name for name in set(names) if self._locks[name] <= 0]
            for name in free:
                del self._locks[name]
            if free and not self._closed:
                self._threads.submit(self.blocks.attempt, "an unlock", None, lambda space, deadline: space.unpin(
                    free, deadline_ms=deadline.left_ms("lookup")))

    def submit_load_task(self, keys: Sequence[Any], objects: Sequence[Any], *_: Any, **__: Any) -> int:
        """Receives objects into memory that LMCache has taken for them."""
        return self._submit("load", lambda: self._load(keys, objects), lambda: Bitmap(len(keys)))

    def query_load_result(self, task_id: int) -> Any:
        """A bitmap once, None before and afterwards."""
        with self._mutex:
            return self._done["load"].pop(task_id, None)

    def delete(self, keys: Sequence[Any], *_: Any, **__: Any) -> None:
        """Deletes objects."""
        names = [_name(key) for key in keys]
        self.blocks.attempt("a delete", None, lambda space, deadline: space.delete(names, deadline_ms=deadline.left_ms("lookup")))

    def report_status(self) -> dict[str, Any]:
        """For LMCache's status page."""
        with self._mutex:
            locked = len(self._locks)
        return {"is_healthy": not self._client.is_open, "type": "KvTierL2Adapter", "locked_key_count": locked, **self.blocks.counts()}

    def close(self) -> None:
        """Waits for tasks that run, each of which has a deadline, then closes descriptors and connection."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
        self._threads.shutdown(wait=True)
        self._client.close()
        for descriptor in self._events.values():
            os.close(descriptor)

    def _submit(self, kind: str, work: Callable[[], Any], failed: Callable[[], Any]) -> int:
        with self._mutex:
            number = self._next
            self._next += 1
            if self._closed:
                self._done[kind][number] = failed()
                return number
            self._threads.submit(self._run, kind, number, work, failed)
        return number

    def _run(self, kind: str, number: int, work: Callable[[], Any], failed: Callable[[], Any]) -> None:
        try:
            result = work()
        except Exception as error:
            self._troubles.report(f"a {kind} failed", f"{type(error).__name__}: {error}")
            result = failed()
        with self._mutex:
            self._done[kind][number] = result
        os.eventfd_write(self._events[kind], 1)

    def _store(self, keys: Sequence[Any], objects: Sequence[Any]) -> Any:
        values = [bytes_of(one) for one in objects]
        outcomes = self.blocks.store([_name(key) for key in keys], values)
        new = [(key, len(value)) for key, value, outcome in zip(keys, values, outcomes) if outcome == "stored"]
        if new and hasattr(self, "_notify_keys_stored"):
            self._notify_keys_stored([key for key, _ in new], [size for _, size in new])
        return L2StoreResult(None not in outcomes, sum(size for _, size in new))

    def _lookup(self, keys: Sequence[Any]) -> Any:
        names = [_name(key) for key in keys]
        found = self.blocks.attempt("a look-up", [False] * len(names), lambda space, deadline: space.pin(
            names, _LOCK_MS, deadline_ms=deadline.left_ms("lookup")))
        bits = Bitmap(len(names))
        with self._mutex:
            for index, here in enumerate(found):
                if here:
                    bits.set(index)
                    self._locks[names[index]] += 1
        return bits

    def _load(self, keys: Sequence[Any], objects: Sequence[Any]) -> Any:
        bits = Bitmap(len(keys))
        came = self.blocks.read([_name(key) for key in keys], [bytes_of(one) for one in objects], to_first_miss=False)
        for index, here in enumerate(came):
            if here:
                bits.set(index)
        loaded = [key for key, here in zip(keys, came) if here]
        if loaded and hasattr(self, "_notify_keys_accessed"):
            self._notify_keys_accessed(loaded)
        return bits


def _name(key: Any) -> bytes:
    """An object's key: the model, the rank with the sizes it is one of, the group of layers, the hash of the tokens and the salt."""
    chunk = key.chunk_hash
    name = f"{key.model_name}@{int(key.kv_rank):08x}@{int(getattr(key, 'object_group_id', 0)):x}@" + (
        chunk.hex() if isinstance(chunk, (bytes, bytearray)) else f"{chunk:x}")
    salt = getattr(key, "cache_salt", "")
    return (name + (f"@{salt}" if salt else "")).encode()

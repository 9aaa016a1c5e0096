"""The connector in a worker: layers are fetched ahead of the forward pass, and saved behind it."""
from __future__ import annotations

import queue
import threading
import time
from typing import Any, Optional, Sequence

import numpy as np

from kvtier.client import Client
from kvtier.errors import InvalidArgument
from kvtier.plugin import LazyClient

from .options import ConnectorOptions
from .pages import LayerPages
from .plan import Plan
from .scheduling import Transfer


class StepLoad:
    """The loads of one step: layer after layer into buffers of its own, so that what comes late is written nowhere else."""

    def __init__(self, client: LazyClient, plan: Plan, options: ConnectorOptions, transfers: Sequence[Transfer]) -> None:
        self.blocks = [block for one in transfers for block in one.blocks]
        self.owners = [one.request for one in transfers for _ in one.blocks]
        self._client = client
        self._plan = plan
        self._options = options
        self._keys = plan.rank_keys([key for one in transfers for key in one.keys])
        self._until = time.monotonic() + options.load_ms / 1000
        self._data: dict[int, Any] = {}
        self._good = np.ones(len(self.blocks), bool)
        self._ready = [threading.Event() for _ in plan.layers]
        self._is_over = False
        threading.Thread(target=self._fetch, name="kvtier-layers", daemon=True).start()

    def take(self, layer: int) -> tuple[Any, Any]:
        """Waits for a layer: its pages, and which blocks have them. After the deadline, and after a failure, none has."""
        waited = self._ready[layer].wait(max(0.0, self._until - time.monotonic()))
        data = self._data.pop(layer, None)
        if not waited or data is None:
            self._is_over = True
            self._good[:] = False
        return data, self._good

    def cancel(self) -> None:
        """Fetches no more."""
        self._is_over = True

    def _fetch(self) -> None:
        try:
            self._client.attempt(self._fetch_layers, None, what="a load")
        except Exception as error:  # the engine must not wait for a thread that is gone
            self._client.troubles.report("a load failed", repr(error))
        finally:
            for event in self._ready:
                event.set()

    def _fetch_layers(self, client: Client) -> None:
        plan, count = self._plan, len(self._keys)
        namespace = client.namespace(plan.profile, self._options.tenant, deadline_ms=self._left())
        for layer, event in enumerate(self._ready):
            if self._is_over:
                return
            data = np.empty((count, plan.part_page_bytes), np.uint8)
            ranges = [(layer * plan.part_page_bytes, plan.part_page_bytes)] * count
            hits = namespace.get_many(self._keys, [memoryview(row) for row in data], ranges, deadline_ms=self._left())
            good = np.array([bool(hit) for hit in hits]).reshape(-1, plan.parts).all(axis=1)
            self._good &= good
            self._data[layer] = data.reshape(len(self.blocks), plan.parts, -1)
            event.set()

    def _left(self) -> float:
        return max(1.0, (self._until - time.monotonic()) * 1000)


class Saver:
    """Puts saved blocks in the background. What has no room in ``staging_bytes`` is not saved."""

    def __init__(self, client: LazyClient, plan: Plan, options: ConnectorOptions) -> None:
        self._client = client
        self._plan = plan
        self._options = options
        self._queue: queue.SimpleQueue[Optional[tuple[list[bytes], Any, float]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._staged = 0
        self._is_closed = False
        self.saved = self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="kvtier-saves", daemon=True)
        self._thread.start()

    def stage(self, blocks: int) -> Optional[Any]:
        """Memory for some blocks: ``[block][part][layer][byte]``, or None when there is no room."""
        plan = self._plan
        size = blocks * plan.page_bytes * len(plan.layers)
        with self._lock:
            if self._is_closed or self._staged + size > self._options.staging_bytes:
                self.dropped += blocks
                has_room = False
            else:
                self._staged += size
                has_room = True
        if not has_room:
            self._client.troubles.report("blocks are not saved", f"{self._staged} bytes wait to be (staging_bytes)")
            return None
        return np.empty((blocks, plan.parts, len(plan.layers), plan.part_page_bytes), np.uint8)

    def part(self, staged: Any, kept: Any) -> Any:
        """Some of the staged blocks; the others' memory is given back."""
        rows = staged[kept]
        with self._lock:
            self._staged -= staged.nbytes - rows.nbytes
        return rows

    def give_back(self, staged: Any) -> None:
        """Ends the use of memory that was not put."""
        with self._lock:
            self._staged -= staged.nbytes

    def put(self, keys: Sequence[bytes], staged: Any) -> None:
        """Has blocks put; returns at once."""
        self._queue.put((self._plan.rank_keys(keys), staged, time.monotonic() + self._options.save_ms / 1000))

    def drain(self, seconds: float) -> bool:
        """Waits until nothing is staged."""
        until = time.monotonic() + seconds
        while self._staged and time.monotonic() < until:
            time.sleep(0.005)
        return not self._staged

    def close(self, seconds: float) -> None:
        """Saves what is staged, for so long."""
        self._is_closed = True
        self._queue.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            keys, staged, until = item
            try:
                left = (until - time.monotonic()) * 1000
                if left >= 1:
                    done = self._client.attempt(lambda client: self._put(client, keys, staged, left), 0, what="a save")
                    self.saved += done
            except Exception as error:  # a bug must not end the thread
                self._client.troubles.report("a save failed", repr(error))
            finally:
                self.give_back(staged)
                item = staged = None  # type: ignore[assignment]

    def _put(self, client: Client, keys: list[bytes], staged: Any, left: float) -> int:
        rows = staged.reshape(len(keys), -1)
        namespace = client.namespace(self._plan.profile, self._options.tenant, deadline_ms=left)
        outcomes = namespace.put_many([(key, memoryview(row)) for key, row in zip(keys, rows)], ack=self._options.ack,
                                      ttl_ms=self._options.ttl_ms, deadline_ms=left)
        refused = next((one.error for one in outcomes if one.error is not None), None)
        if refused is not None:
            self._client.troubles.report(f"a save failed ({refused.name})", refused)
        return sum(map(bool, outcomes)) // self._plan.parts


class WorkerSide:
    """State of the connector in a worker. vLLM calls it from one thread."""

    def __init__(self, client: LazyClient, plan: Plan, options: ConnectorOptions, blocks: int) -> None:
        self._client = client
        self._plan = plan
        self._options = options
        self._blocks = blocks
        self._index = {name: at for at, name in enumerate(plan.layers)}
        self._pages: dict[str, LayerPages] = {}
        self._is_broken = False
        self.saver = Saver(client, plan, options)
        self._load: Optional[StepLoad] = None
        self._saves: list[Transfer] = []
        self._staged: Any = None
        self._filled: set[str] = set()
        self._errors: set[int] = set()
        self._spoilt: set[str] = set()

    def register(self, tensors: dict[str, Any]) -> None:
        """Takes the layers' tensors. What can't be used is said once, and then nothing is loaded or saved."""
        try:
            self._pages = {name: LayerPages(name, tensor, self._blocks, self._plan)
                           for name, tensor in tensors.items() if name in self._index}
            missing = [name for name in self._index if name not in self._pages]
            if missing:
                raise InvalidArgument("kv_caches", f"without {missing[0]}", "a tensor for each layer of the group")
        except InvalidArgument as error:
            self._is_broken = True
            self._client.troubles.report("the engine's tensors can't be used", error)

    def begin(self, loads: Sequence[Transfer], saves: Sequence[Transfer]) -> None:
        """A step begins: layers are fetched from now on."""
        self._end_load()
        self._abandon_saves()
        self._spoilt = set()
        loads = [one for one in loads if one.keys]
        if loads and (self._is_broken or not self._pages):
            self._errors.update(block for one in loads for block in one.blocks)
            self._spoilt.update(one.request for one in loads)
        elif loads:
            self._load = StepLoad(self._client, self._plan, self._options, loads)
        if saves and self._plan.writes and self._pages and not self._is_broken:
            self._saves = list(saves)

    def wait_layer(self, name: str) -> None:
        """A layer's pages are in its tensor when this returns, or their blocks are among the errors."""
        load, layer = self._load, self._index.get(name)
        if load is None or layer is None:
            return
        data, good = load.take(layer)
        self._errors.update(block for block, fine in zip(load.blocks, good) if not fine)
        self._spoilt.update(owner for owner, fine in zip(load.owners, good) if not fine)
        at = np.flatnonzero(good)
        if len(at):
            self._pages[name].scatter([load.blocks[i] for i in at], data if len(at) == len(good) else data[at])
        if layer == len(self._index) - 1:
            self._end_load()

    def save_layer(self, name: str) -> None:
        """Copies a layer's pages of the blocks that are to be saved."""
        layer = self._index.get(name)
        if layer is None or not self._saves:
            return
        blocks = [block for one in self._saves for block in one.blocks]
        if self._staged is None:
            self._staged = self.saver.stage(len(blocks))
            if self._staged is None:
                self._saves = []
                return
        self._staged[:, :, layer] = self._pages[name].gather(blocks)
        self._filled.add(name)

    def end_saves(self) -> None:
        """All layers were copied: the paged memory may change, and the copies go their way.

        What a request computed on top of blocks that could not be loaded is wrong, and is not saved; the engine computes it again.
        """
        if self._staged is None:
            return
        fine = [one.request not in self._spoilt for one in self._saves for _ in one.blocks]
        if len(self._filled) == len(self._index) and any(fine):
            keys = [key for one in self._saves for key in one.keys]
            if all(fine):
                self.saver.put(keys, self._staged)
            else:
                self.saver.put([key for key, kept in zip(keys, fine) if kept], self.saver.part(self._staged, np.array(fine)))
            self._staged = None
        self._abandon_saves()

    def take_errors(self) -> set[int]:
        """Blocks that could not be loaded since the last call."""
        errors, self._errors = self._errors, set()
        return errors

    def close(self) -> None:
        """Ends what is on its way, within ``shutdown_ms``."""
        self._end_load()
        self._abandon_saves()
        self.saver.close(self._options.shutdown_ms / 1000)
        self._pages = {}

    def _end_load(self) -> None:
        if self._load is not None:
            self._load.cancel()
            self._load = None

    def _abandon_saves(self) -> None:
        if self._staged is not None:
            self.saver.give_back(self._staged)
        self._staged, self._filled, self._saves = None, set(), []

"""The part of vLLM that calls a secondary tier, in its order, and nothing else: rows in shared memory, jobs, steps.

Names and order of calls are those of vLLM's TieringOffloadingManager; no code of it is here.
"""
import contextlib
import mmap
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from kvtier_vllm.bases import tier_bases
from kvtier_vllm.tier import KvTierSecondaryTier
from processes import until

LookupResult = tier_bases()["LookupResult"]
STRIDE = 8192
PATIENT_MS = 30_000
ROOMY = 10.0
"""Longest that a call of the scheduler's thread may take on a machine that stalls, in seconds; they take microseconds."""


@dataclass
class ReqContext:
    req_id: str
    kv_transfer_params: dict = field(default_factory=dict)


@dataclass
class TransferJob:
    job_id: int
    keys: list
    block_ids: np.ndarray
    is_promotion: bool
    req_context: ReqContext


def key(number: int, group: int = 0) -> bytes:
    """As vLLM makes them: the block's hash, then the group in 4 bytes."""
    return number.to_bytes(32, "big") + group.to_bytes(4, "big")


def content(number: int, length: int = STRIDE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, length, dtype=np.uint8)


def spec(engine_id: str, dtype: str = "bfloat16", events: bool = False, **parallel) -> SimpleNamespace:
    """What a tier reads of vLLM's offloading spec."""
    sizes = {"world_size": 1, "tp_size": 1, "pp_size": 1, "pcp_size": 1, "dcp_size": 1, **parallel}
    return SimpleNamespace(
        _engine_id=engine_id, blocks_per_chunk=1, kv_events_config=SimpleNamespace(enable_kv_cache_events=events),
        config=SimpleNamespace(
            engine_id=engine_id, model=SimpleNamespace(name="meta-llama/Llama-3.1-8B", dtype=dtype),
            groups=(SimpleNamespace(tokens_per_block=16, layer_names=("model.layers.0", "model.layers.1")),),
            cache=SimpleNamespace(tokens_per_hash=16, blocks_per_chunk=1), parallel=SimpleNamespace(**sizes)))


class PrimaryTier:
    """vLLM's file of rows and the view of it that tiers get."""

    def __init__(self, rows: int = 16, stride: int = STRIDE, folder: str = "/dev/shm"):
        self.engine_id = f"test-{uuid.uuid4().hex[:12]}"
        self.path = f"{folder}/vllm_offload_{self.engine_id}.mmap"
        descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        os.ftruncate(descriptor, rows * stride)
        self._mapping = mmap.mmap(descriptor, rows * stride)
        os.close(descriptor)
        self._array = np.frombuffer(self._mapping, np.int8).reshape(rows, stride)
        self.view = memoryview(self._array)

    def __getitem__(self, row: int) -> np.ndarray:
        return self._array[row].view(np.uint8)

    def close(self) -> None:
        """As vLLM: the view is released, the file closed and removed. Raises BufferError when a tier still holds the view."""
        self.view.release()
        self._array = None
        try:
            self._mapping.close()
        finally:
            # Nobody maps it any more, so a silo that removes such files may have been first.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


class Caller:
    """Calls a plug-in as the scheduler's thread does. It notes how long it was held up, and whether it asked the silo itself."""

    def __init__(self, client):
        self.longest = 0.0
        self.asked = 0
        self._inside: "int | None" = None
        self._call = client.call
        client.call = self._watched

    def __call__(self, method, *arguments):
        self._inside, begun = threading.get_ident(), time.monotonic()
        try:
            return method(*arguments)
        finally:
            self._inside = None
            self.longest = max(self.longest, time.monotonic() - begun)

    @property
    def never_waited(self) -> bool:
        """True when no call asked a silo, however fast it answers, or took long for another reason."""
        return self.asked == 0 and self.longest < ROOMY

    def _watched(self, work):
        # What the plug-in's own threads ask meanwhile is as it should be.
        self.asked += self._inside == threading.get_ident()
        return self._call(work)


class Scheduler:
    """One engine's scheduler with one secondary tier."""

    def __init__(self, endpoint: str, primary: "PrimaryTier | None" = None, dtype: str = "bfloat16", events: bool = False, **options):
        self.primary = primary or PrimaryTier()
        self.spec = spec(self.primary.engine_id, dtype, events)
        # Patient, as the tests' machines may be busy; `hurry` is for what is to be late.
        options = {"lookup_ms": PATIENT_MS, "load_ms": PATIENT_MS, "store_ms": PATIENT_MS, "connect_ms": PATIENT_MS, **options}
        self.tier = KvTierSecondaryTier(self.spec, self.primary.view, "KvTierSecondaryTier", endpoint=endpoint, **options)
        self.call = Caller(self.tier._client)
        self._last_job = 0

    def ready(self) -> "Scheduler":
        """Waits until the silo has taken a block: a busy machine may need several tries for the first one."""
        until(lambda: self.store([999], [0]).success, 60, "the first store")
        return self

    def hurry(self, lookup_ms: int = 100, load_ms: int = 400, store_ms: int = 400) -> None:
        """From now on these are the deadlines."""
        options = self.tier.options
        options.lookup_ms, options.load_ms, options.store_ms = lookup_ms, load_ms, store_ms

    def calm(self) -> None:
        """From now on it is patient again. A row whose load was given up is closed to the silo until its deadline, so these are short."""
        self.hurry(PATIENT_MS, 5000, 5000)

    def begin(self, request: str = "r") -> ReqContext:
        context = ReqContext(request)
        self.call(self.tier.on_new_request, context)
        return context

    def lookup(self, keys, context, seconds: float = 90) -> list:
        """Asks in each step until nothing is RETRY."""
        until = time.monotonic() + seconds
        while True:
            results = [self.call(self.tier.lookup, each, context) for each in keys]
            if LookupResult.RETRY not in results:
                return [result.name for result in results]
            assert time.monotonic() < until, results
            self.step()

    def step(self) -> list:
        self.call(self.tier.on_schedule_end, None)
        time.sleep(0.002)
        return []

    def submit(self, keys, rows, is_load: bool, context=None) -> int:
        self._last_job += 1
        job = TransferJob(self._last_job, list(keys), np.array(rows, dtype=np.int64), is_load, context or ReqContext("r"))
        self.call(self.tier.submit_load if is_load else self.tier.submit_store, job)
        return self._last_job

    def collect(self, seconds: float = 60) -> list:
        """Steps until a job ends."""
        until = time.monotonic() + seconds
        while True:
            done = list(self.call(self.tier.get_finished_jobs))
            if done:
                return done
            assert time.monotonic() < until, "no job ended"
            assert self.tier.has_pending_work()
            self.step()

    def run(self, keys, rows, is_load: bool, context=None):
        number = self.submit(keys, rows, is_load, context)
        done = self.collect()
        assert [one.job_id for one in done] == [number]
        return done[0]

    def store(self, numbers, rows):
        for number, row in zip(numbers, rows):
            self.primary[row][:] = content(number)
        return self.run([key(number) for number in numbers], rows, is_load=False)

    def load(self, numbers, rows, context=None):
        return self.run([key(number) for number in numbers], rows, is_load=True, context=context)

    def holds(self, number: int, row: int) -> bool:
        return np.array_equal(self.primary[row], content(number))

    def close(self) -> None:
        self.tier.shutdown()
        self.primary.close()

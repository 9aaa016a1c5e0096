"""``KvTierSecondaryTier``: KvTier below vLLM's own host tier.

    --kv-transfer-config '{"kv_connector": "OffloadingConnector", "kv_role": "kv_both", "kv_load_failure_policy": "recompute",
      "kv_connector_extra_config": {"spec_name": "TieringOffloadingSpec", "cpu_bytes_to_use": 17179869184,
        "secondary_tiers": [{"type": "KvTierSecondaryTier", "module_path": "kvtier_vllm.tier",
                             "endpoint": "unix:/run/kvtier.sock"}]}}'

All methods run in vLLM's scheduler process and return at once: look-ups and copies are done by threads, copies by the silo where it can
reach vLLM's file of rows. Options: :class:`kvtier_vllm.options.TierOptions`.
"""
from __future__ import annotations

import dataclasses
import gc
import logging
import time
from typing import Any, Collection, Iterable, Optional, Sequence

from kvtier.client import Client
from kvtier.errors import InvalidArgument
from kvtier.handshake import Handshake
from kvtier.plugin import LazyClient, Troubles, parse_options

from .bases import tier_bases
from .gate import worth_loading
from .identity import common_profile, engine_instance, get, hash_fields, opaque_profile, row_tokens, tier_fields, vllm_version
from .jobs import Done, Job, Jobs
from .lookups import Lookups
from .options import TierOptions
from .region import rows_of
from .rows import open_rows

_LOG = logging.getLogger("kvtier.vllm")
_BASES = tier_bases()
_Manager, _Result, _Lookup = _BASES["SecondaryTierManager"], _BASES["JobResult"], _BASES["LookupResult"]
_METRICS = {
    "vllm:kvtier_rows_stored": "Rows stored in KvTier.",
    "vllm:kvtier_rows_loaded": "Rows loaded from KvTier.",
    "vllm:kvtier_rows_failed": "Rows that could not be stored or loaded; the log says why.",
    "vllm:kvtier_lookup_hits": "Keys that KvTier had.",
    "vllm:kvtier_lookup_misses": "Keys that KvTier did not have, or did not answer for in time.",
}


class KvTierSecondaryTier(_Manager):  # type: ignore[misc,valid-type]
    """A secondary tier of vLLM. vLLM makes it; see the module."""

    medium = _BASES["Medium"].STORAGE

    def __init__(self, offloading_spec: Any, primary_kv_view: memoryview, tier_type: str = "KvTierSecondaryTier", **config: Any) -> None:
        """:raises InvalidArgument: an option is unknown or can't be, or the view is not vLLM's."""
        super().__init__(offloading_spec, primary_kv_view, tier_type)
        self.options = parse_options(TierOptions, config, prefix="secondary_tiers.", ignore=("module_path", "type", "locality"))
        self.options.check()
        options, self.troubles = self.options, Troubles(_LOG)
        self._rows: Any = rows_of(primary_kv_view)
        self.profile = opaque_profile("tier", _model(offloading_spec), tier_fields(offloading_spec, self._rows.shape[1]))
        self._row_bytes = int(self._rows.shape[1])
        self._row_tokens = row_tokens(offloading_spec)
        self._client = LazyClient(options.endpoint, token=options.token, timeout_ms=options.connect_ms, troubles=self.troubles)
        engine = str(get(offloading_spec, "_engine_id", get(offloading_spec, "config.engine_id", "vllm")))
        self._ways, self._link, refusal = open_rows(
            self._client, self._rows, primary_kv_view, engine, options, self.profile)
        if refusal is not None:
            self.troubles.report("rows are copied by this process, not by the silo", refusal)
        self._lookups = Lookups(self._probe, self._client, options, "a look-up")
        batch = max(1, options.batch_bytes // self._rows.shape[1])
        self._jobs = Jobs(self._ways.load, self._ways.store, options.threads, options.jobs_max, batch, self.troubles)
        self._events: Optional[list[Any]] = [] if self._wants_events() else None
        self._counts = dict.fromkeys(_METRICS, 0)
        self._uncollected = 0
        said = {"layout": "rows", "namespace": self.profile.name}
        self._hello = Handshake(
            self._client, common_profile(_model(offloading_spec)), options.tenant, "vllm", vllm_version(),
            lambda: {**hash_fields(get(offloading_spec, "vllm_config", offloading_spec)), **said},
            instance=engine_instance(get(offloading_spec, "config", offloading_spec)), logger=_LOG)
        self._hello.say()
        _LOG.info("kvtier: secondary tier in namespace %s/%s at %s, %s rows of %s bytes, copied by %s", options.tenant,
                  self.profile.name, options.endpoint, *self._rows.shape, "the silo" if self._link else "this process")

    # What vLLM calls while it schedules.

    def on_new_request(self, req_context: Any) -> Any:
        """Whole requests are nothing special here."""
        self._hello.say()
        return _BASES["RequestOffloadingContext"]()

    def lookup(self, key: bytes, req_context: Any) -> Any:
        """HIT or MISS once it is known; RETRY before, for at most twice ``lookup_ms``."""
        found = self._lookups.ask(bytes(key), req_context.req_id)
        if found is None:
            return _Lookup.RETRY
        return _Lookup.HIT if found else _Lookup.MISS

    def submit_store(self, job_metadata: Any) -> None:
        """Has rows stored; the end is among :meth:`get_finished_jobs`."""
        self._submit(job_metadata, is_load=False)

    def submit_load(self, job_metadata: Any) -> None:
        """Has rows loaded; the end is among :meth:`get_finished_jobs`."""
        self._submit(job_metadata, is_load=True)

    def get_finished_jobs(self) -> Iterable[Any]:
        """The jobs that have ended. Keys that could not be loaded are misses for the requests that asked for them."""
        self._lookups.flush()
        results = [self._result(done) for done in self._jobs.take()]
        self._uncollected -= len(results)
        return results

    def has_pending_work(self) -> bool:
        """True while a job has not been collected: the engine goes on stepping."""
        return self._uncollected > 0

    def on_schedule_end(self, context: Any = None) -> None:
        """Sends the step's look-ups."""
        self._lookups.flush()

    def touch(self, keys: Collection[bytes], req_context: Any) -> None:
        """Nothing: a look-up that hits touches its blocks, and vLLM's own tier has those that are used now."""

    def on_request_finished(self, req_context: Any) -> None:
        """Forgets the request."""
        self._lookups.finish(req_context.req_id)

    def take_events(self) -> Iterable[Any]:
        """Events of blocks stored, where ``enable_kv_events`` and vLLM's own events are on."""
        events, self._events = self._events or [], None if self._events is None else []
        return events

    def drain_jobs(self) -> None:
        """Waits until no job touches a row any more.

        :raises TimeoutError: a silo that is stopped holds a row for longer than ``drain_ms``; the rows must not be given to others.
        """
        if not self._jobs.drain(self.options.drain_ms / 1000):
            raise TimeoutError(f"kvtier: {self._jobs.open_count} jobs did not end within drain_ms ({self.options.drain_ms}); is the "
                               f"silo at {self.options.endpoint} stopped?")
        self._lookups.clear()

    def shutdown(self) -> None:
        """Ends threads and connections, and lets go of the view, so that vLLM can close its file."""
        longest = (max(self.options.load_ms, self.options.store_ms) + 500) / 1000
        self._jobs.close(longest)
        self._lookups.close(1.0)
        self._ways.close()
        self._client.close()
        self._jobs = self._ways = self._rows = None  # type: ignore[assignment]
        self._primary_kv_view = None
        gc.collect()  # Errors of calls that failed keep their callers' frames, and so rows, until then; vLLM is about to unmap them.

    # Figures.

    @classmethod
    def build_metric_definitions(cls, extra_config: dict[str, Any]) -> dict[str, Any]:
        """The metrics that :meth:`get_stats` fills."""
        kind = _BASES["CounterMetadata"]
        return {} if kind is None else {name: kind(documentation=text) for name, text in _METRICS.items()}

    def get_stats(self) -> Any:
        """What was counted since the last call, where this vLLM takes figures of tiers."""
        kind = _BASES["Stats"]
        if kind is None:
            return None
        stats, counts = kind(), self.take_counts()
        for name, count in counts.items():
            if count:
                stats.increase_counter(name, count)
        return None if not any(counts.values()) else stats

    def take_counts(self) -> dict[str, int]:
        """What was counted since the last call."""
        counts, self._counts = self._counts, dict.fromkeys(_METRICS, 0)
        counts["vllm:kvtier_lookup_hits"], self._lookups.hits = self._lookups.hits, 0
        counts["vllm:kvtier_lookup_misses"], self._lookups.misses = self._lookups.misses, 0
        return counts

    def _submit(self, job_metadata: Any, is_load: bool) -> None:
        numbers = getattr(job_metadata, "block_ids", None)
        if numbers is None:  # Newer versions of vLLM call blocks of this tier chunks.
            numbers = job_metadata.chunk_ids
        longest = self.options.load_ms if is_load else self.options.store_ms
        job = Job(job_metadata.job_id, tuple(bytes(key) for key in job_metadata.keys), tuple(int(number) for number in numbers),
                  time.monotonic() + longest / 1000, is_load)
        if len(job.keys) != len(job.rows):
            raise InvalidArgument("job.block_ids", len(job.rows), f"{len(job.keys)}, one for each key")
        self._uncollected += 1
        self._jobs.submit(job)

    def _result(self, done: Done) -> Any:
        job, count = done.job, sum(done.copied)
        good = [key for key, copied in zip(job.keys, done.copied) if copied]
        self._counts["vllm:kvtier_rows_loaded" if job.is_load else "vllm:kvtier_rows_stored"] += count
        self._counts["vllm:kvtier_rows_failed"] += len(job.keys) - count
        if job.is_load and count < len(job.keys):
            self._lookups.mark_missing(key for key, copied in zip(job.keys, done.copied) if not copied)
        if self._events is not None and not job.is_load and good:
            self._events.append(_event(good, self.medium, self.locality))
        success = count == len(job.keys)
        partial = {"successful_keys": good} if job.is_load and good and not success else {}
        return _make(_Result, job_id=job.number, success=success, transfer_time=done.seconds,
                     transfer_size=count * self._row_bytes, **partial)

    def _probe(self, client: Client, keys: Sequence[bytes]) -> Sequence[bool]:
        """Which keys are stored. They come in the order of a prefix, so that is asked first, in one request; it touches the blocks."""
        until = time.monotonic() + self.options.lookup_ms / 1000
        namespace = client.namespace(self.profile, self.options.tenant, deadline_ms=self.options.lookup_ms)
        count = namespace.prefix(keys, touch=True, deadline_ms=self.options.lookup_ms).count
        rest = keys[count + 1:]
        found = [True] * count + [False] * (len(keys) - count)
        left = (until - time.monotonic()) * 1000
        if self._row_tokens:
            count = worth_loading(namespace, keys[:count], self._row_tokens, self._row_bytes, self.options, left)
            if count < sum(found):
                return [at < count for at in range(len(keys))]
        left = (until - time.monotonic()) * 1000
        if rest and left >= 1:  # Behind a gap: blocks of another group, or of a window that slides.
            found[count + 1:] = [bool(one) for one in namespace.describe(rest, deadline_ms=left)]
        return found

    def _wants_events(self) -> bool:
        wanted = self.options.enable_kv_events
        offered = bool(get(self._offloading_spec, "kv_events_config.enable_kv_cache_events", False))
        if wanted and not offered:
            self.troubles.report("no events", "enable_kv_events is set, but vLLM's own (--kv-events-config) are off")
        return wanted and offered


def _model(spec: Any) -> str:
    return str(get(spec, "config.model.name", get(spec, "vllm_config.model_config.model", get(spec, "model_config.model", "model"))))


def _event(keys: list[bytes], medium: Any, locality: Any) -> Any:
    return _make(_BASES["OffloadingEvent"], keys=keys, medium=medium, removed=False, locality=locality)


def _make(kind: Any, **values: Any) -> Any:
    """Makes one of vLLM's dataclasses from the fields that this version of it has."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names})

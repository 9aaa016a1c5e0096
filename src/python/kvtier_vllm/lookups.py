"""Look-ups in the background: the engine's scheduler asks, goes on, and asks again."""
from __future__ import annotations

import queue
import threading
import time
from typing import Any, Callable, Iterable, Optional, Sequence

from kvtier.client import Client
from kvtier.plugin import LazyClient

Probe = Callable[[Client, Sequence[bytes]], Sequence[bool]]
"""Says of each key whether it is stored; called in a thread of its own. It raises KvTierError, or ends within its deadline."""

_OLD_SECONDS = 1.0


class _Verdict:
    __slots__ = ("found", "since", "requests")

    def __init__(self) -> None:
        self.found: Optional[bool] = None
        self.since = time.monotonic()
        self.requests: set[str] = set()


class Lookups:
    """Verdicts on keys, for the requests that asked. All methods are called by the scheduler's thread, except the probe."""

    def __init__(self, probe: Probe, client: LazyClient, options: Any, what: str) -> None:
        self._probe = probe
        self._client = client
        self._options = options
        self._what = what
        self._verdicts: dict[bytes, _Verdict] = {}
        self._by_request: dict[str, set[bytes]] = {}
        self._batch: dict[str, list[bytes]] = {}
        self._queue: queue.SimpleQueue[Optional[dict[str, list[bytes]]]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[tuple[bytes, bool]]] = queue.SimpleQueue()
        self.hits = self.misses = 0
        self._thread = threading.Thread(target=self._work, name=f"kvtier-{what}", daemon=True)
        self._thread.start()

    def ask(self, key: bytes, request: str) -> Optional[bool]:
        """True or False once it is known, None before. A silo that does not answer is a False."""
        self._take()
        verdict = self._verdicts.get(key)
        if verdict is None or self._is_old(verdict, request):
            verdict = self._verdicts[key] = _Verdict()
            self._batch.setdefault(request, []).append(key)
        verdict.requests.add(request)
        self._by_request.setdefault(request, set()).add(key)
        if verdict.found is None and time.monotonic() - verdict.since > 2 * self._options.lookup_ms / 1000:
            verdict.found = False
        return verdict.found

    @staticmethod
    def _is_old(verdict: _Verdict, request: str) -> bool:
        """True for what another request asked a while ago: it may be stored or gone by now, or the silo back."""
        return verdict.found is not None and request not in verdict.requests and time.monotonic() - verdict.since > _OLD_SECONDS

    def flush(self) -> None:
        """Sends what was asked since the last call to the background."""
        self._take()
        if self._batch:
            self._queue.put(self._batch)
            self._batch = {}

    def mark_missing(self, keys: Iterable[bytes]) -> None:
        """Keys that could not be loaded are not found by the same requests again: they would be loaded in vain for ever."""
        for key in keys:
            verdict = self._verdicts.get(key)
            if verdict is not None:
                verdict.found = False

    def finish(self, request: str) -> None:
        """Forgets a request, and verdicts that nobody else asked for."""
        for key in self._by_request.pop(request, ()):
            verdict = self._verdicts.get(key)
            if verdict is not None:
                verdict.requests.discard(request)
                if not verdict.requests:
                    del self._verdicts[key]

    def clear(self) -> None:
        """Forgets every verdict."""
        self._take()
        self._verdicts.clear()
        self._by_request.clear()
        self._batch.clear()

    def close(self, seconds: float) -> None:
        """Ends the thread, and waits for it that long."""
        self._queue.put(None)
        self._thread.join(seconds)

    def _take(self) -> None:
        while True:
            try:
                answers = self._answers.get_nowait()
            except queue.Empty:
                return
            for key, found in answers:
                verdict = self._verdicts.get(key)
                if verdict is not None and verdict.found is None:
                    verdict.found = found
                    self.hits += found
                    self.misses += not found

    def _work(self) -> None:
        while True:
            batch = self._queue.get()
            if batch is None:
                return
            for keys in batch.values():
                try:
                    found = self._client.attempt(lambda client: list(self._probe(client, keys)), [False] * len(keys), what=self._what)
                except Exception as error:  # a bug must not end the thread: the scheduler would wait for every key
                    self._client.troubles.report(f"{self._what} failed", repr(error))
                    found = [False] * len(keys)
                self._answers.put(list(zip(keys, found)))

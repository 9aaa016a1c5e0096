"""Says to a silo how an engine makes keys and bytes, and tells its user when another engine differs: two such engines find nothing of each
other's, and nothing else would say so.
"""
from __future__ import annotations

import hashlib
import logging
import sys
import threading
import time
from typing import Any, Callable, Mapping

from .client import Client
from .engine import instance_name
from .plugin import LazyClient
from .profile import Profile

__all__ = ["Handshake", "instance_of"]

_AGAIN_SECONDS = 300.0
_RETRY_SECONDS = 10.0


def instance_of(rank: object) -> str:
    """A name for this process that is the same after a restart: its host, a digest of its command line and its rank."""
    return instance_name(f"{hashlib.sha256(repr(sys.argv).encode()).hexdigest()[:8]}/{rank}")


class Handshake:
    """A hello after the start and every few minutes, in a thread of its own, and each difference logged once.

    :param profile: the namespace that all engines of one model have in common, whatever they disagree in.
    :param fields: what must agree, as text; see :meth:`kvtier.Namespace.hello`. A function, for what is known only later.
    """

    def __init__(self, client: LazyClient, profile: Profile, tenant: str, engine: str, version: str,
                 fields: Callable[[], Mapping[str, object]], *, instance: str = "", deadline_ms: int = 1000,
                 logger: logging.Logger | None = None) -> None:
        self._client = client
        self._profile = profile
        self._tenant = tenant
        self._said = (engine, version, instance)
        self._fields = fields
        self._deadline_ms = deadline_ms
        self._logger = logger or logging.getLogger("kvtier")
        self._lock = threading.Lock()
        self._running = False
        self._due = 0.0
        self._told: set[Any] = set()

    def say(self) -> None:
        """Says hello if it is time for it; returns at once. To be called with each use of the cache."""
        with self._lock:
            if self._running or time.monotonic() < self._due:
                return
            self._running = True
        threading.Thread(target=self._run, name="kvtier-hello", daemon=True).start()

    def _run(self) -> None:
        wait = _RETRY_SECONDS
        try:
            if self._client.attempt(self._hello, False, what="a hello"):
                wait = _AGAIN_SECONDS
        except Exception as error:  # an engine goes on whatever this finds
            self._logger.debug("kvtier: hello failed: %s", error)
        finally:
            with self._lock:
                self._running = False
                self._due = time.monotonic() + wait

    def _hello(self, client: Client) -> bool:
        engine, version, instance = self._said
        space = client.namespace(self._profile, self._tenant)
        report = space.hello(engine, version, self._fields(), instance=instance, deadline_ms=self._deadline_ms)
        for difference in report.differences:
            if difference not in self._told:
                self._told.add(difference)
                self._logger.warning("kvtier: this engine and another one can't use each other's cache: %s", difference)
        return True

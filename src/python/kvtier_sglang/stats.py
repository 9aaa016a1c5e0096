"""Figures for SGLang's metrics."""
from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

_BATCHES_MAX = 10_000


@dataclass
class StorageMetrics:
    """What SGLang's collector reads: a number for each batch; bandwidths in GB/s (of 2^30 bytes)."""

    prefetch_pgs: list[int] = field(default_factory=list)
    backup_pgs: list[int] = field(default_factory=list)
    prefetch_bandwidth: list[float] = field(default_factory=list)
    backup_bandwidth: list[float] = field(default_factory=list)


class Stats:
    """Collects them until they are taken. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept = StorageMetrics()

    def read(self, pages: int, length: int, begin: float) -> None:
        """Counts a batch that was read; ``begin`` on time.perf_counter."""
        with self._lock:
            _add(self._kept.prefetch_pgs, self._kept.prefetch_bandwidth, pages, length, begin)

    def wrote(self, pages: int, length: int, begin: float) -> None:
        """Counts a batch that was written."""
        with self._lock:
            _add(self._kept.backup_pgs, self._kept.backup_bandwidth, pages, length, begin)

    def taken(self) -> StorageMetrics:
        """What was collected since the last call."""
        with self._lock:
            taken, self._kept = self._kept, StorageMetrics()
        return taken


def _add(counts: list[int], speeds: list[float], pages: int, length: int, begin: float) -> None:
    if len(counts) < _BATCHES_MAX:
        counts.append(pages)
        speeds.append(length / (1 << 30) / max(1e-9, time.perf_counter() - begin))

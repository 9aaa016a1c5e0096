"""Jobs of a secondary tier: some threads that copy, and results that the scheduler collects."""
from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence

from kvtier.plugin import Troubles

Copy = Callable[[Sequence[bytes], Sequence[int], float], Sequence[bool]]


@dataclass(frozen=True)
class Job:
    """Rows to copy until a deadline."""

    number: int
    keys: tuple[bytes, ...]
    rows: tuple[int, ...]
    deadline: float
    is_load: bool


@dataclass(frozen=True)
class Done:
    """What became of a job: whether each key's row was copied."""

    job: Job
    copied: tuple[bool, ...]
    seconds: float


class Jobs:
    """Runs jobs in threads, loads before stores. Submitting never waits: what finds no room fails."""

    def __init__(self, load: Copy, store: Copy, threads: int, jobs_max: int, batch_rows: int, troubles: Troubles) -> None:
        self._copies = {True: load, False: store}
        self._jobs_max = jobs_max
        self._batch_rows = batch_rows
        self._troubles = troubles
        self._waiting: queue.PriorityQueue[tuple[int, int, Optional[Job]]] = queue.PriorityQueue()
        self._finished: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._open = 0
        self._turn = 0
        self._is_closed = False
        self._threads = [threading.Thread(target=self._work, name=f"kvtier-copy-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def open_count(self) -> int:
        """Jobs that have not ended."""
        return self._open

    def submit(self, job: Job) -> None:
        """Takes a job. Its end is among those that :meth:`take` answers, whatever happens."""
        with self._changed:
            has_room = not self._is_closed and self._open < self._jobs_max
            if has_room:
                self._open += 1
                self._turn += 1
                self._waiting.put((0 if job.is_load else 1, self._turn, job))
        if not has_room:
            self._troubles.report("too many jobs", f"{self._jobs_max} are open (jobs_max)")
            self._finished.put(Done(job, (False,) * len(job.keys), 0.0))

    def take(self) -> list[Done]:
        """The jobs that have ended since the last call."""
        done = []
        while True:
            try:
                done.append(self._finished.get_nowait())
            except queue.Empty:
                return done

    def drain(self, seconds: float) -> bool:
        """Waits until every job has ended. False when it took longer; then rows are still in use."""
        until = time.monotonic() + seconds
        with self._changed:
            while self._open:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self, seconds: float) -> bool:
        """Takes no more jobs, fails those that have not begun, and waits for the others."""
        with self._changed:
            self._is_closed = True
        for turn, _ in enumerate(self._threads):
            self._waiting.put((2, turn, None))
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while True:
            job = self._waiting.get()[2]
            if job is None:
                return
            begun = time.monotonic()
            copied: list[bool] = []
            try:
                copied = self._copy(job)
            except Exception as error:  # a bug must not leave the engine waiting for a job
                self._troubles.report("a copy failed", repr(error))
            copied += [False] * (len(job.keys) - len(copied))
            self._finished.put(Done(job, tuple(copied), time.monotonic() - begun))
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def _copy(self, job: Job) -> list[bool]:
        copied: list[bool] = []
        for at in range(0, len(job.keys), self._batch_rows):
            if self._is_closed or time.monotonic() >= job.deadline:
                break
            end = at + self._batch_rows
            copied += self._copies[job.is_load](job.keys[at:end], job.rows[at:end], job.deadline)
        return copied

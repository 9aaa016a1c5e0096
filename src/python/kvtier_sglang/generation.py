"""What `clear` does: pages belong to a generation, and a clear begins the next one for all engines of the namespace.

Blocks are immutable, and a silo has no list of a namespace's keys, so nothing is deleted: pages of older generations are asked for no
more and leave by eviction. The newest generation is told by marker blocks, one for each clear, which are kept in use and pinned.
"""
from __future__ import annotations

import threading
import time
from typing import Callable

from kvtier.guarded import Deadline, GuardedBlocks
from kvtier.namespace import Namespace

_LOOK_SECONDS = 1.0
_PIN_SECONDS = 3600.0
_PIN_MS = 24 * 3600 * 1000
_STEP = 16


class Generation:
    """The number of clears of this namespace, looked up at most once a second."""

    def __init__(self, store: GuardedBlocks, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._number = 0
        self._looked = float("-inf")
        self._pinned = float("-inf")

    @property
    def suffix(self) -> str:
        """What keys of the newest known generation end with; empty before the first clear."""
        with self._lock:
            if self._clock() - self._looked >= _LOOK_SECONDS:
                self._store.attempt("a look-up of clears", None, self._look)
                self._looked = self._clock()
            return f"~{self._number}" if self._number else ""

    def forget(self) -> None:
        """Looks again before the next key is made."""
        with self._lock:
            self._looked = float("-inf")

    def advance(self) -> bool:
        """Begins the next generation. False when the silo could not be told."""
        with self._lock:
            self._looked = float("-inf")
            return bool(self._store.attempt("a clear", False, self._mark))

    def _look(self, space: Namespace, deadline: Deadline) -> None:
        while True:
            here = space.touch([_marker(self._number + step) for step in range(1, _STEP + 1)], deadline_ms=deadline.left_ms("lookup"))
            ahead = max((step for step, known in enumerate(here, 1) if known), default=0)
            self._number += ahead
            if ahead < _STEP:
                break
        if self._number and self._clock() - self._pinned >= _PIN_SECONDS:
            space.pin([_marker(self._number)], _PIN_MS, deadline_ms=deadline.left_ms("lookup"))
            self._pinned = self._clock()
        elif self._number:
            space.touch([_marker(self._number)], deadline_ms=deadline.left_ms("lookup"))

    def _mark(self, space: Namespace, deadline: Deadline) -> bool:
        self._look(space, deadline)
        while space.put(_marker(self._number + 1), b"cleared", deadline_ms=deadline.left_ms("lookup")) != "stored":
            self._number += 1  # another engine cleared at the same time: this clear is one more
        self._number += 1
        self._pinned = float("-inf")
        self._look(space, deadline)
        return True


def _marker(number: int) -> bytes:
    return b"generation.%d" % number

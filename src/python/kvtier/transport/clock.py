"""Deadlines: seconds on the monotonic clock, which on Linux is CLOCK_MONOTONIC, the one that lease deadlines are on."""
from __future__ import annotations

import time

from ..errors import DeadlineExceeded, InvalidArgument

now = time.monotonic
now_ns = time.monotonic_ns
DEADLINE_MS_MAX = 300_000


def after(ms: float) -> float:
    """The deadline that is so many ms from now.

    :param ms: above 0, at most 300,000.
    """
    if not isinstance(ms, (int, float)) or isinstance(ms, bool) or not 0 < ms <= DEADLINE_MS_MAX:
        raise InvalidArgument("deadline_ms", ms, f"above 0 to {DEADLINE_MS_MAX}")
    return now() + ms / 1000


def left(deadline: float, what: str) -> float:
    """Seconds until a deadline.

    :raises DeadlineExceeded: it has passed.
    """
    rest = deadline - now()
    if rest <= 0:
        raise DeadlineExceeded(what, "not answered in time", "a longer deadline")
    return rest


def left_ms(deadline: float, most: int = DEADLINE_MS_MAX) -> int:
    """What is left as a silo is told it: whole ms, at least 1."""
    return max(1, min(int((deadline - now()) * 1000), most))

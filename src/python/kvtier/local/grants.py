"""What a client holds of a silo's shared memory."""
from __future__ import annotations

import weakref
from typing import Any, Callable

import numpy as np


class _Grant(weakref.ref):  # type: ignore[type-arg]
    """Notices when nobody has a view of a slot any more."""

    __slots__ = ("number", "key", "give_back")
    number: int
    key: int
    give_back: Callable[[list[int]], None]


_live: dict[int, _Grant] = {}


def _forgotten(grant: _Grant) -> None:
    if _live.pop(grant.key, None) is not None:
        grant.give_back([grant.number])


def slot_view(memory: memoryview, offset: int, length: int, number: int, give_back: Callable[[list[int]], None]) -> tuple[Any, Any]:
    """A view of a slot, and the grant that is given back once no view, array or tensor made of it is left.

    :param memory: of the whole arena; the view can be written if it can.
    """
    root: Any = np.frombuffer(memory, np.uint8, length, offset) if length else np.empty(0, np.uint8)
    grant = _Grant(root, _forgotten)  # type: ignore[arg-type]
    grant.number = number
    grant.key = id(grant)
    grant.give_back = give_back
    _live[grant.key] = grant
    return memoryview(root), grant


def end(grant: Any) -> bool:
    """Ends a grant by hand; False when it had ended."""
    return _live.pop(grant.key, None) is not None

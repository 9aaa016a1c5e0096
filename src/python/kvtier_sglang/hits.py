"""How far a prefix can be used when side pools must have their share of it too."""
from __future__ import annotations

from typing import Any, Mapping, Sequence


def usable_prefix(kv_pages: int, transfers: Sequence[Any], here: Mapping[Any, Sequence[bool]]) -> tuple[int, dict[Any, int]]:
    """The usable pages, and for each pool how far it goes alone (pools with nothing are left out).

    :param kv_pages: pages of the KV pool from the first on.
    :param transfers: SGLang's PoolTransfer of each side pool; ``all_pages`` wants each page of the prefix, ``trailing_pages`` its last
        ``len(keys)`` (states and windows, which are only ever read at a prefix's end).
    :param here: by pool, which of the ``kv_pages`` pages it has.
    """
    reaches, windows, whole = {"kv": kv_pages}, [], kv_pages
    for transfer in transfers:
        pages = list(here.get(transfer.name, ()))[:kv_pages]
        pages += [False] * (kv_pages - len(pages))
        if _policy(transfer) == "trailing_pages":
            ends = _window_ends(pages, max(1, len(transfer.keys or ())))
            windows.append(ends)
            reaches[transfer.name] = max(ends, default=0)
        else:
            reaches[transfer.name] = pages.index(False) if False in pages else kv_pages
            whole = min(whole, reaches[transfer.name])
    usable = next((length for length in range(whole, 0, -1) if all(length in ends for ends in windows)), 0)
    return usable, {name: reach for name, reach in reaches.items() if reach}


def _window_ends(pages: Sequence[bool], window: int) -> set[int]:
    """Lengths of the prefixes whose last pages, a window of them, are all here."""
    ends, run = set(), 0
    for length, here in enumerate(pages, 1):
        run = run + 1 if here else 0
        if run >= min(window, length):
            ends.add(length)
    return ends


def _policy(transfer: Any) -> str:
    policy = getattr(transfer, "hit_policy", "all_pages")
    return str(getattr(policy, "value", policy))

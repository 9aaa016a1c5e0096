"""What routers are to be told of the blocks that the connector saves: hashes, parents and tokens, for the silo's KV events."""
from __future__ import annotations

import queue
import threading
import time
from typing import Any, NamedTuple, Optional, Sequence

from kvtier.client import Client
from kvtier.engine import EventNote, NotesTaken
from kvtier.plugin import LazyClient

from .options import ConnectorOptions
from .plan import Plan

_WAITING_MAX = 256
_ASK_AGAIN_SECONDS = 60.0


class _Saves(NamedTuple):
    notes: list[tuple[bytes, EventNote]]
    lora: Optional[str]


class Noting:
    """Sends notes in a thread of its own; never holds the engine up. Where the silo publishes no events there is a try a minute.

    A block of the engine is stored in parts; the first one stands for it.
    """

    def __init__(self, client: LazyClient, plan: Plan, options: ConnectorOptions) -> None:
        self._client, self._plan, self._options = client, plan, options
        self._waiting: queue.Queue[Optional[_Saves]] = queue.Queue(_WAITING_MAX)
        self._thread: Optional[threading.Thread] = None
        self._silent_until = 0.0

    def saved(self, request: Any, keys: Sequence[bytes], first: int) -> None:
        """Blocks of a request, from its block ``first`` on, are being saved under these keys."""
        tokens = getattr(request, "all_token_ids", None)
        if not self._options.event_notes or tokens is None or not keys or time.monotonic() < self._silent_until:
            return
        size, hashes = self._plan.block_tokens, request.block_hashes
        notes = []
        for at, key in enumerate(keys, first):
            parent = bytes(hashes[at - 1]) if at else None
            notes.append((key, EventNote(bytes(hashes[at]), parent, list(tokens[at * size:(at + 1) * size]))))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="kvtier-notes", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(_Saves(notes, getattr(getattr(request, "lora_request", None), "lora_name", None)))
        except queue.Full:  # Routers hear less; nothing else depends on it.
            pass

    def close(self) -> None:
        """Ends the thread once it has sent what it is sending."""
        self._silent_until = float("inf")
        if self._thread is not None:
            try:
                self._waiting.put_nowait(None)
            except queue.Full:
                pass

    def _run(self) -> None:
        while True:
            saves = self._waiting.get()
            if saves is None:
                return
            if time.monotonic() < self._silent_until:
                continue
            taken = self._client.attempt(lambda client: self._send(client, saves), None, what="telling routers of blocks")
            if taken is None or not taken.publishing:
                self._silent_until = max(self._silent_until, time.monotonic() + _ASK_AGAIN_SECONDS)

    def _send(self, client: Client, saves: _Saves) -> NotesTaken:
        namespace = client.namespace(self._plan.rank_profiles[0], self._options.tenant)
        rows = [(self._plan.all_keys([key])[0][0], note) for key, note in saves.notes]
        return namespace.event_notes(rows, block_tokens=self._plan.block_tokens, lora_name=saves.lora)

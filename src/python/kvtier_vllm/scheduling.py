"""The connector in vLLM's scheduler: what can be loaded, and what is to be loaded and saved in a step."""
from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Iterable, Optional, Sequence

from kvtier.client import Client
from kvtier.plugin import LazyClient

from .bases import connector_bases
from .gate import worth_loading
from .lookups import Lookups
from .noting import Noting
from .options import ConnectorOptions
from .plan import Plan

_Metadata = connector_bases()["KVConnectorMetadata"]


@dataclass
class Transfer:
    """Blocks of one request to load or save."""

    request: str
    keys: list[bytes]
    blocks: list[int]


@dataclass
class KvTierMetadata(_Metadata):  # type: ignore[misc,valid-type]
    """What the workers are told of a step."""

    loads: list[Transfer] = field(default_factory=list)
    saves: list[Transfer] = field(default_factory=list)


@dataclass
class _Tracked:
    """A request: its blocks, how many of them need no saving, and what it waits to load."""

    request: Any
    blocks: list[int] = field(default_factory=list)
    saved: int = 0
    asked_from: int = 0
    external: int = 0


class SchedulerSide:
    """State of the connector in the scheduler. One thread."""

    def __init__(self, client: LazyClient, plan: Plan, options: ConnectorOptions) -> None:
        self._plan = plan
        self._options = options
        self.lookups = Lookups(self._probe, client, options, "a look-up")
        self._noting = Noting(client, plan, options)
        self._tracked: dict[str, _Tracked] = {}
        self._loading: dict[int, bytes] = {}

    def matched(self, request: Any, computed: int) -> Optional[int]:
        """Tokens that can be loaded beyond the computed ones; None while it is not known. It changes nothing that a second call sees."""
        size = self._plan.block_tokens
        tracked = self._track(request)
        tracked.asked_from = computed
        first = -(-computed // size)
        # One token at least is left to compute: its output is what the engine is after.
        last = min((request.num_tokens - 1) // size, len(request.block_hashes))
        if first >= last:
            return 0
        found = 0
        for key in self._keys(request, first, last):
            verdict = self.lookups.ask(key, request.request_id)
            if verdict is None:
                found = -1
            elif found >= 0 and not verdict:
                break
            elif found >= 0:
                found += 1
        self.lookups.flush()
        if found < 0:
            return None
        return max(0, (first + found) * size - computed) if found else 0

    def allocated(self, request: Any, external: int) -> None:
        """Blocks were allocated for so many tokens to load; 0 for nothing. The last call before the step counts."""
        self._track(request).external = external

    def build(self, output: Any) -> KvTierMetadata:
        """What the workers do in this step. The output is only read."""
        metadata = KvTierMetadata()
        for new in output.scheduled_new_reqs:
            tracked = self._tracked.get(new.req_id)
            if tracked is not None:
                tracked.blocks = list(new.block_ids[0])
                tracked.saved = 0
                self._add(metadata, new.req_id, tracked, new.num_computed_tokens, output)
        cached = output.scheduled_cached_reqs
        resumed = _resumed(cached)
        for number, request_id in enumerate(cached.req_ids):
            tracked = self._tracked.get(request_id)
            if tracked is None:
                continue
            added = cached.new_block_ids[number]
            if request_id in resumed:  # It was preempted: these are all its blocks, and none of the old ones.
                tracked.blocks, tracked.saved = list(added[0]) if added else [], 0
            elif added:
                tracked.blocks.extend(added[0])
            self._add(metadata, request_id, tracked, cached.num_computed_tokens[number], output)
        if metadata.loads:  # Steps overlap, so that the output of one comes after the next was built: kept until there are others.
            self._loading = {block: key for one in metadata.loads for block, key in zip(one.blocks, one.keys)}
        return metadata

    def failed(self, blocks: Iterable[int]) -> None:
        """Blocks could not be loaded: their keys are not offered again to those that asked."""
        self.lookups.mark_missing(self._loading[block] for block in blocks if block in self._loading)

    def finished(self, request_id: str) -> None:
        """Forgets a request."""
        self._tracked.pop(request_id, None)
        self.lookups.finish(request_id)

    def reset(self) -> None:
        """Forgets what was looked up."""
        self.lookups.clear()

    def close(self) -> None:
        """Ends the look-ups and the notes."""
        self._noting.close()
        self.lookups.close(1.0)

    def _track(self, request: Any) -> _Tracked:
        tracked = self._tracked.get(request.request_id)
        if tracked is None:
            tracked = self._tracked[request.request_id] = _Tracked(request)
        tracked.request = request
        return tracked

    def _add(self, metadata: KvTierMetadata, request_id: str, tracked: _Tracked, computed: int, output: Any) -> None:
        size = self._plan.block_tokens
        if tracked.external > 0:
            first = -(-tracked.asked_from // size)
            last = min((tracked.asked_from + tracked.external) // size, len(tracked.blocks))
            if first < last:
                metadata.loads.append(Transfer(request_id, self._keys(tracked.request, first, last), tracked.blocks[first:last]))
            tracked.saved = max(tracked.saved, last)
            tracked.external = 0
        # Fewer are computed than were saved when blocks could not be loaded and are computed again.
        tracked.saved = computed // size if not tracked.saved else min(tracked.saved, computed // size)
        request = tracked.request
        known = getattr(request, "num_publishable_block_hashes", None)
        known = len(request.block_hashes) if known is None else min(known, len(request.block_hashes))
        if not self._options.save_decode:
            known = min(known, request.num_prompt_tokens // size)
        last = min((computed + output.num_scheduled_tokens.get(request_id, 0)) // size, known, len(tracked.blocks))
        if tracked.saved < last:
            metadata.saves.append(
                Transfer(request_id, self._keys(request, tracked.saved, last), tracked.blocks[tracked.saved:last]))
            self._noting.saved(request, metadata.saves[-1].keys, tracked.saved)
            tracked.saved = last

    @staticmethod
    def _keys(request: Any, first: int, last: int) -> list[bytes]:
        # As vLLM's own offloading makes them: the block's hash and the group, of which there is one.
        return [bytes(one) + bytes(4) for one in request.block_hashes[first:last]]

    def _probe(self, client: Client, keys: Sequence[bytes]) -> list[bool]:
        until = time.monotonic() + self._options.lookup_ms / 1000
        expanded, parts = self._plan.all_keys(keys)
        count = len(keys)
        for profile in self._plan.rank_profiles:
            left = max(1.0, (until - time.monotonic()) * 1000)
            namespace = client.namespace(profile, self._options.tenant, deadline_ms=left)
            left = max(1.0, (until - time.monotonic()) * 1000)
            here = namespace.prefix(expanded, touch=True, deadline_ms=left).count // parts
            tokens = max(1, self._plan.block_tokens // parts)
            left = (until - time.monotonic()) * 1000
            here = worth_loading(namespace, expanded[:here * parts], tokens, self._plan.part_bytes, self._options, left) // parts
            count = min(count, here)
        return [True] * count + [False] * (len(keys) - count)


def _resumed(cached: Any) -> set[str]:
    names = getattr(cached, "resumed_req_ids", None)
    if names is not None:
        return set(names)
    flags = getattr(cached, "resumed_from_preemption", None) or []
    return {request_id for request_id, flag in zip(cached.req_ids, flags) if flag}

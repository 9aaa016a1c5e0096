"""The cost gate: blocks that would arrive later than they are computed are not offered."""
from __future__ import annotations

from typing import Any, Sequence

from kvtier.errors import DeadlineExceeded, KvTierError, Unreachable
from kvtier.namespace import Namespace

_KEYS_MAX = 4096


def worth_loading(namespace: Namespace, keys: Sequence[bytes], block_tokens: int, block_bytes: int, options: Any, left_ms: float) -> int:
    """How many of the ordered keys, all of which are stored, load sooner than they are computed.

    :param options: ``cost_gate`` and ``prefill_tokens_per_second``; 0 for what the silo was told. Where nobody knows, all are.
    """
    if not options.cost_gate or not keys or left_ms < 1:
        return len(keys)
    asked = keys[:_KEYS_MAX]
    try:
        answer = namespace.loadable(asked, prefill_tokens_per_second=options.prefill_tokens_per_second, block_tokens=block_tokens,
                                    block_bytes=block_bytes, deadline_ms=int(left_ms))
    except (Unreachable, DeadlineExceeded):
        raise
    except KvTierError:  # An older silo has no gate.
        return len(keys)
    # One that is gone since it was counted is found out by the load.
    return len(keys) if answer.blocks >= min(len(asked), answer.present) else answer.blocks

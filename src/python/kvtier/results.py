"""What calls answer."""
from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal, Sequence, Union

from .errors import KvTierError

MISS_REASONS = (
    "none", "never_stored", "evicted", "expired", "deleted", "corrupt", "deadline", "not_sealed", "shutting_down", "moved", "owner_lost",
)
SSD_HIT = 128


def miss_reason(number: int) -> str:
    """The name of a miss reason, such as ``never_stored``."""
    return MISS_REASONS[number] if number < len(MISS_REASONS) else f"unknown_{number}"


class Tier(enum.IntFlag):
    """The tiers that hold a block."""

    NONE = 0
    DEVICE = 1
    HOST = 2
    SSD = 4


class PutStatus(str, enum.Enum):
    """What became of a block of a put."""

    STORED = "stored"
    PRESENT = "present"
    REFUSED = "refused"
    MOVED = "moved"

    def __str__(self) -> str:
        return self.value


PUT_STATUSES = (PutStatus.STORED, PutStatus.PRESENT, PutStatus.REFUSED, PutStatus.MOVED)


class Hit:
    """A block that is here.

    ``data`` is a memoryview of its bytes (of ``into`` where that was given; read-only shared memory under a lease), ``tier`` where they
    came from (``host`` or ``ssd``), ``codec`` their stored form (0 is raw), ``block_length`` the whole block's bytes.
    """

    __slots__ = ("data", "tier", "codec", "block_length")

    def __init__(self, data: memoryview, tier: str, codec: int = 0, block_length: int | None = None) -> None:
        self.data = data
        self.tier = tier
        self.codec = codec
        self.block_length = len(data) if block_length is None else block_length

    def __bool__(self) -> Literal[True]:
        return True

    def __len__(self) -> int:
        return len(self.data)

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    def array(self, dtype: Any = "u1", shape: Sequence[int] | None = None) -> Any:
        """The bytes as a numpy array, without a copy.

        :param dtype: a numpy dtype or one of the profile's names (``bf16`` as uint16, fp8 as uint8).
        :param shape: its shape; flat when left out.
        """
        from .arrays import view

        return view(self.data, dtype, shape)

    def tensor(self, dtype: Any = "raw", shape: Sequence[int] | None = None) -> Any:
        """The bytes as a torch tensor on the CPU, without a copy; it must not be written under a lease. Needs torch.

        :param dtype: a torch dtype or one of the profile's names, ``bf16`` and fp8 included.
        """
        from .tensors import to_tensor

        return to_tensor(self, dtype, shape)

    def __repr__(self) -> str:
        return f"Hit({len(self.data)} bytes from {self.tier})"


class Miss:
    """A block that is not here; ``reason`` says why (``never_stored``, ``evicted``, …). It is false in a condition."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __bool__(self) -> Literal[False]:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Miss) and other.reason == self.reason

    def __hash__(self) -> int:
        return hash(self.reason)

    def __repr__(self) -> str:
        return f"Miss({self.reason})"


GetResult = Union[Hit, Miss]


@dataclass(frozen=True)
class PutOutcome:
    """What became of one block of a batch; ``error`` says why it was refused, or why the ack asked for could not be given."""

    status: PutStatus
    error: KvTierError | None = None

    def __bool__(self) -> bool:
        return self.error is None and self.status in (PutStatus.STORED, PutStatus.PRESENT)


@dataclass(frozen=True)
class Prefix:
    """How many of the ordered blocks are here without a gap, and in which tiers each of them is."""

    count: int
    tiers: tuple[Tier, ...]


@dataclass(frozen=True)
class Description:
    """What is known of a block; times are Unix times in ms, 0 for none."""

    tiers: Tier
    reason: str
    length: int
    codec: int
    payload_crc: int
    expiry_unix_ms: int
    pinned_until_unix_ms: int
    durable: bool

    def __bool__(self) -> bool:
        return self.tiers != Tier.NONE

"""The arithmetic of weighted rendezvous hashing, as silos and all other clients compute it."""
from __future__ import annotations

import hashlib
import math

_MASK = (1 << 64) - 1


def seed_of(name: str) -> int:
    """The seed of a silo: the first 8 bytes of SHA-256 of its name, little-endian."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def mix(value: int) -> int:
    """The finalizer of SplitMix64."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def hash_of(seed: int, group: bytes) -> int:
    """64 bits that belong to a silo and a group."""
    return mix(mix(seed ^ int.from_bytes(group[:8], "big")) ^ int.from_bytes(group[8:16], "big"))


def score(value: int, weight: float) -> float:
    """The score of a silo for a group; the highest one owns it."""
    return weight / -math.log(((value >> 12) + 0.5) * (1.0 / (1 << 52)))

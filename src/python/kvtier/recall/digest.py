"""Digests: what stands in for a chunk when recall scores it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ..errors import InvalidArgument, ProtocolError

KINDS = {"mean": 1, "minmax": 2, "cuboid": 3, "moments": 4, "centroids": 5, "vq": 6}
FORMS = {"fp32": 1, "fp16": 2, "int8": 3}
PAIRINGS = {"half": 1, "interleaved": 2}


def number_of(field: str, name: str, numbers: dict[str, int]) -> int:
    """The wire's number of a name."""
    if name not in numbers:
        raise InvalidArgument(field, name, ", ".join(numbers))
    return numbers[name]


def name_of(number: int, numbers: dict[str, int]) -> str:
    """The name of a wire's number."""
    return next((name for name, value in numbers.items() if value == number), f"unknown_{number}")


@dataclass(frozen=True)
class Digest:
    """Which digest a sequence keeps; see docs/reference/selectors.md for what each field allows. The silo checks them."""

    kind: str = "moments"
    chunk_tokens: int = 16
    form: str = "fp16"
    fanout: int = 0
    sub_chunks: int = 1
    rank: int = 0
    peaks: int = 0
    value_map: bool = False
    bounds: bool = False
    outlier_chunks: int = 0
    codebook_size: int = 0

    def to_wire(self) -> list[Any]:
        """As requests carry it."""
        return [
            number_of("digest.kind", self.kind, KINDS), self.chunk_tokens, number_of("digest.form", self.form, FORMS), self.fanout,
            self.sub_chunks, self.rank, self.peaks, self.value_map, self.bounds, self.outlier_chunks, self.codebook_size,
        ]

    @staticmethod
    def from_wire(fields: list[Any]) -> Digest:
        """Reads what :meth:`to_wire` wrote."""
        return Digest(name_of(fields[0], KINDS), fields[1], name_of(fields[2], FORMS), *fields[3:11])


@dataclass(frozen=True)
class Rotation:
    """How keys that are stored before rotation are to be rotated: pair j of a token at position p turns by
    ``p / scaling_factor * theta ** (-2 j / rotary_dim)``.

    ``rotary_dim`` 0 means all dimensions; ``pairing`` is ``half`` (Llama, Qwen) or ``interleaved`` (GPT-J).
    """

    theta: float
    scaling_factor: float = 1.0
    rotary_dim: int = 0
    pairing: str = "half"
    first_position: int = 0

    def to_wire(self) -> list[Any]:
        """As requests carry it."""
        pairing = number_of("rotation.pairing", self.pairing, PAIRINGS)
        return [float(self.theta), float(self.scaling_factor), self.rotary_dim, pairing, self.first_position]


def rotation_from(fields: Optional[list[Any]]) -> Optional[Rotation]:
    """Reads a rotation, or nil."""
    if fields is None:
        return None
    try:
        return Rotation(fields[0], fields[1], fields[2], name_of(fields[3], PAIRINGS), fields[4])
    except IndexError:
        raise ProtocolError("rotation", f"{len(fields)} fields", 5) from None

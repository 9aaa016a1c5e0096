"""Sequences: ordered chains of stored blocks that recall searches."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence as Ordered

from ..errors import InvalidArgument, ProtocolError
from ..ids import Key
from ..wire import opcodes as op
from .digest import Digest, Rotation, rotation_from

NAME_BYTES_MAX = 256


@dataclass(frozen=True)
class SequenceInfo:
    """What a silo knows of a sequence; sizes in bytes."""

    name: str
    blocks: int
    tokens: int
    digests: tuple[Digest, ...]
    rotation: Optional[Rotation]
    digest_bytes: int
    hot_bytes: int
    quarantined_chunks: int
    device_bytes: int

    @staticmethod
    def from_wire(fields: list[Any]) -> SequenceInfo:
        """Reads one."""
        try:
            name, blocks, tokens, digests, rotation, digest_bytes, hot_bytes, quarantined, device_bytes = fields[:9]
            made = tuple(Digest.from_wire(one) for one in digests)
            return SequenceInfo(name, blocks, tokens, made, rotation_from(rotation), digest_bytes, hot_bytes, quarantined, device_bytes)
        except (TypeError, ValueError, IndexError) as error:
            raise ProtocolError("sequence", str(error), "9 fields") from None


class Sequence:
    """A sequence that is open. ``info`` is what the silo said of it last."""

    def __init__(self, ns: Any, info: SequenceInfo) -> None:
        self._ns = ns
        self.info = info

    @property
    def name(self) -> str:
        """Its name."""
        return self.info.name

    @property
    def tokens(self) -> int:
        """Tokens in it, as far as is known here."""
        return self.info.tokens

    def append(self, keys: Ordered[Key], tokens: int, replace_last: bool = False, expected_tokens: Optional[int] = None, *,
               deadline_ms: Optional[int] = None) -> SequenceInfo:
        """Appends blocks that are stored, and has their digests built.

        :param keys: the blocks in order, at most 4,096.
        :param tokens: tokens in them: all are full but the last one, which has at least one.
        :param replace_last: True when the first takes the place of the last block so far, which was partly filled.
        :param expected_tokens: tokens that the sequence must have now; those of ``info`` by default, so that it is done once however
            often it is sent.
        :raises InvalidArgument: on ``expectedTokens`` when another client has appended; :meth:`describe` says how far it is.
        """
        expected = self.info.tokens if expected_tokens is None else expected_tokens
        ids = b"".join(self._ns.ids_of(keys))
        self.info = self._ns.ask_sequence(op.SEQUENCE_APPEND, self.name, [tokens, bool(replace_last), expected, ids], deadline_ms)
        return self.info

    def fork(self, name: str, tokens: int = 0, *, deadline_ms: Optional[int] = None) -> Sequence:
        """Makes a sequence that begins with this one's first tokens (whole blocks, or all: 0) and shares blocks and digests."""
        check_name("new_name", name)
        return Sequence(self._ns, self._ns.ask_sequence(op.SEQUENCE_FORK, self.name, [name, tokens], deadline_ms, False))

    def describe(self, *, deadline_ms: Optional[int] = None) -> SequenceInfo:
        """Asks what it is now."""
        self.info = self._ns.ask_sequence(op.SEQUENCE_DESCRIBE, self.name, [], deadline_ms)
        return self.info

    def close(self, *, deadline_ms: Optional[int] = None) -> SequenceInfo:
        """Has the silo forget it; its blocks stay. What it was."""
        return self._ns.ask_sequence(op.SEQUENCE_CLOSE, self.name, [], deadline_ms, False)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Sequence({self.name}, {self.info.tokens} tokens)"


def check_name(field: str, name: str) -> None:
    """Raises InvalidArgument when it can't be a sequence's name."""
    size = len(name.encode()) if isinstance(name, str) else 0
    if not 1 <= size <= NAME_BYTES_MAX:
        raise InvalidArgument(f"{field}.length", size, f"1 to {NAME_BYTES_MAX} bytes of UTF-8")

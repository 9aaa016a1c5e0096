"""Blocks for engines: batches cut to size, one deadline over all of a batch, and no exception: what did not work is not there."""
from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Callable, Sequence, TypeVar

from .client import Client
from .errors import DeadlineExceeded, InvalidArgument
from .namespace import Namespace
from .plugin import LazyClient
from .profile import Profile
from .results import PutStatus

T = TypeVar("T")
_KEYS_OF_A_REQUEST = 4096


@dataclass(frozen=True)
class Limits:
    """How long batches may take in ms, how large requests are, and how blocks are put."""

    lookup_ms: int = 500
    read_ms: int = 2000
    write_ms: int = 5000
    batch_bytes: int = 64 << 20
    ack: str = "memory"
    ttl_ms: int = 0

    def validate(self, prefix: str = "") -> None:
        """Raises InvalidArgument for the first that can't be; ``prefix`` stands before its name."""
        if self.ack not in ("memory", "ssd", "replica"):
            raise InvalidArgument(f"{prefix}ack", self.ack, "memory, ssd, replica")
        for name, value in (("lookup_timeout_ms", self.lookup_ms), ("read_timeout_ms", self.read_ms), ("write_timeout_ms", self.write_ms),
                            ("batch_bytes", self.batch_bytes)):
            if value < 1:
                raise InvalidArgument(f"{prefix}{name}", value, "1 or more")
        if self.ttl_ms < 0:
            raise InvalidArgument(f"{prefix}ttl_ms", self.ttl_ms, "0 or more")


class Deadline:
    """A time by which all steps of a call have to be done."""

    def __init__(self, ms: int) -> None:
        self._end = time.monotonic() + ms / 1000

    def left_ms(self, what: str) -> int:
        """What is left of it, 1 or more.

        :raises DeadlineExceeded: nothing is left.
        """
        left = int((self._end - time.monotonic()) * 1000)
        if left < 1:
            raise DeadlineExceeded(what, "late", "the option that ends in _timeout_ms")
        return left


class GuardedBlocks:
    """Blocks of one namespace. Thread-safe; no method raises but for misuse."""

    def __init__(self, client: LazyClient, profile: Profile, tenant: str = "default", limits: Limits = Limits()) -> None:
        self.profile = profile
        self._client = client
        self._tenant = tenant
        self._limits = limits
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def counts(self) -> dict[str, int]:
        """What came of blocks so far: ``hit``, ``miss_<reason>``, ``stored``, ``present``, ``refused_<error>`` and their bytes."""
        with self._lock:
            return dict(self._counts)

    def prefix(self, keys: Sequence[bytes], each: int = 1) -> int:
        """How many keys from the first on are here.

        :param each: so many keys belong together, and all of them are to be asked of one request.
        """
        deadline = Deadline(self._limits.lookup_ms)
        step = max(each, _KEYS_OF_A_REQUEST // each * each)
        found = 0
        for start in range(0, len(keys), step):
            some = keys[start:start + step]
            count = self._attempt("a look-up", 0, lambda space: space.prefix(
                some, touch=True, deadline_ms=deadline.left_ms("lookup")).count)
            found += count
            if count < len(some):
                break
        return found

    def here(self, keys: Sequence[bytes], timeout_ms: int | None = None) -> list[bool]:
        """Which keys are here; they count as used."""
        deadline = Deadline(timeout_ms or self._limits.lookup_ms)
        known: list[bool] = []
        for start in range(0, len(keys), _KEYS_OF_A_REQUEST):
            some = keys[start:start + _KEYS_OF_A_REQUEST]
            found = self._attempt("a look-up", None, lambda space: space.touch(some, deadline_ms=deadline.left_ms("lookup")))
            if found is None:
                return known + [False] * (len(keys) - len(known))
            known += found
        return known

    def write(self, keys: Sequence[bytes], values: Sequence[memoryview]) -> list[bool]:
        """Stores what is not here yet. True where it is here afterwards."""
        return [outcome is not None for outcome in self.store(keys, values)]

    def store(self, keys: Sequence[bytes], values: Sequence[memoryview]) -> list[PutStatus | None]:
        """The same, and tells what was ``stored`` and what was ``present``; None for what is not here."""
        outcomes: list[PutStatus | None] = [PutStatus.PRESENT if here else None for here in self.here(keys)]
        missing = [index for index, outcome in enumerate(outcomes) if outcome is None]
        self._count(present=len(keys) - len(missing))
        deadline = Deadline(self._limits.write_ms)
        for some in self._batches(missing, [len(values[index]) for index in missing]):
            answers = self._attempt("a write", None, lambda space: space.put_many(
                [(keys[index], values[index]) for index in some], ack=self._limits.ack, ttl_ms=self._limits.ttl_ms,
                deadline_ms=deadline.left_ms("write")))
            if answers is None:
                break
            for index, answer in zip(some, answers):
                if answer.error is None and answer.status in (PutStatus.STORED, PutStatus.PRESENT):
                    outcomes[index] = answer.status
                    self._count(**{answer.status.value: 1, "written_bytes": len(values[index])})
                else:
                    self._count(**{f"refused_{answer.error.name if answer.error is not None else answer.status.value}": 1})
        return outcomes

    def fetch(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Small blocks of unknown length."""
        deadline = Deadline(self._limits.read_ms)
        values: list[bytes | None] = []
        for start in range(0, len(keys), _KEYS_OF_A_REQUEST):
            some = keys[start:start + _KEYS_OF_A_REQUEST]
            found = self._attempt("a read", None, lambda space: space.get_many(some, deadline_ms=deadline.left_ms("read")))
            if found is None:
                break
            self._count(**Counter("hit" if got else f"miss_{got.reason}" for got in found))
            values += [bytes(got.data) if got else None for got in found]
        return values + [None] * (len(keys) - len(values))

    def read(self, keys: Sequence[bytes], targets: Sequence[memoryview], to_first_miss: bool = True,
             arrived: Callable[[int], None] | None = None) -> list[bool]:
        """Receives blocks into memory of their length. True where all bytes came.

        :param arrived: called with the index of each block that came, before the next request.
        :param to_first_miss: nothing after a missing block is of use, so requests after it are not made.
        """
        deadline = Deadline(self._limits.read_ms)
        read = [False] * len(keys)
        for some in self._batches(range(len(keys)), [len(target) for target in targets]):
            found = self._attempt("a read", None, lambda space: space.get_many(
                [keys[index] for index in some], into=[targets[index] for index in some], deadline_ms=deadline.left_ms("read")))
            if found is None:
                break
            for index, got in zip(some, found):
                if got and len(got.data) == len(targets[index]) == got.block_length:
                    if arrived is not None:
                        arrived(index)
                    read[index] = True
                    self._count(hit=1, read_bytes=got.block_length)
                else:
                    self._count(**{"miss_length" if got else f"miss_{got.reason}": 1})
            if to_first_miss and not all(read[index] for index in some):
                break
        return read

    def attempt(self, what: str, default: T, work: Callable[[Namespace, Deadline], T]) -> T:
        """Runs other work in the namespace, within the look-up's deadline."""
        deadline = Deadline(self._limits.lookup_ms)
        return self._attempt(what, default, lambda space: work(space, deadline))

    def _attempt(self, what: str, default: T, work: Callable[[Namespace], T]) -> T:
        failed: Any = object()

        def with_client(client: Client) -> T:
            return work(client.namespace(self.profile, self._tenant))

        answer = self._client.attempt(with_client, failed, what=what)
        if answer is failed:
            self._count(**{"failed_" + what.replace(" ", "_"): 1})
            return default
        return answer

    def _batches(self, indices: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        batches: list[list[int]] = []
        room = 0
        for index, length in zip(indices, lengths):
            if length > room or not batches or len(batches[-1]) >= _KEYS_OF_A_REQUEST:
                batches.append([])
                room = max(length, self._limits.batch_bytes)
            batches[-1].append(index)
            room -= length
        return batches

    def _count(self, **amounts: int) -> None:
        with self._lock:
            self._counts.update(amounts)

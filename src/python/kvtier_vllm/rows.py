"""Copies between vLLM's rows and the silo: by the silo itself, or by this process where it can't."""
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Optional, Sequence

import numpy as np

from kvtier import Profile
from kvtier.client import Client
from kvtier.errors import DeadlineExceeded, KvTierError, Unreachable, Unsupported
from kvtier.namespace import Namespace
from kvtier.plugin import LazyClient
from kvtier.wire.blocks import ack_number

from .options import TierOptions
from .region import Fence, RegionLink, RowFile, mark

_STORED, _MOVED_PUT, _MOVED_GET = (0, 1), 3, 9
_HITS = (0, 128)
_FENCE_POLL_SECONDS = 0.02
_FENCE_WARN_SECONDS = 1.0
_REFUSED_SECONDS = 60.0


class ClientRows:
    """Copies by this process, over whatever way the client has to the silo. A load is copied here, so a late silo can't write."""

    def __init__(self, client: LazyClient, rows: np.ndarray[Any, Any], options: TierOptions, profile: Profile) -> None:
        self._client = client
        self._rows = rows
        self._options = options
        self._profile = profile

    def close(self) -> None:
        """Lets go of the rows."""
        self._rows = None  # type: ignore[assignment]

    def namespace(self, client: Client) -> Namespace:
        """The namespace of these rows."""
        return client.namespace(self._profile, self._options.tenant, deadline_ms=self._options.connect_ms)

    def store(self, keys: Sequence[bytes], rows: Sequence[int], deadline: float) -> list[bool]:
        """Stores rows: True for each that is there."""
        def work(client: Client) -> list[bool]:
            left = _left_ms(deadline)
            outcomes = self.namespace(client).put_many(
                [(key, memoryview(self._rows[row])) for key, row in zip(keys, rows)], ack=self._options.ack,
                ttl_ms=self._options.ttl_ms, deadline_ms=left)
            refused = next((one.error for one in outcomes if one.error is not None), None)
            if refused is not None:
                self._client.troubles.report(f"a store failed ({refused.name})", refused)
            return [bool(one) for one in outcomes]

        return self._client.attempt(work, [False] * len(keys), what="a store")

    def load(self, keys: Sequence[bytes], rows: Sequence[int], deadline: float) -> list[bool]:
        """Loads rows: True for each that has its block."""
        def work(client: Client) -> list[bool]:
            into = [memoryview(self._rows[row]) for row in rows]
            hits = self.namespace(client).get_many(keys, into, deadline_ms=_left_ms(deadline))
            return [bool(hit) and hit.block_length == len(view) for hit, view in zip(hits, into)]  # type: ignore[union-attr]

        return self._client.attempt(work, [False] * len(keys), what="a load")


class RegionRows:
    """Copies by the silo. Rows of blocks that another silo of a cluster has go the other way."""

    def __init__(self, link: RegionLink, other: ClientRows, client: LazyClient, rows: np.ndarray[Any, Any], file: RowFile,
                 options: TierOptions) -> None:
        self._link = link
        self._other = other
        self._client = client
        self._rows = rows
        self._file = file
        self._options = options
        self._refused_until = 0.0

    def store(self, keys: Sequence[bytes], rows: Sequence[int], deadline: float) -> list[bool]:
        """As ClientRows.store."""
        ack, ttl_ms = ack_number(self._options.ack), self._options.ttl_ms

        def work(client: Client, sending: Callable[[], None]) -> tuple[bytes, Any]:
            return self._link.store(keys, rows, deadline, ack, ttl_ms, sending)

        if self._is_refused():
            return self._other.store(keys, rows, deadline)
        answer, is_open = self._ask(work, "a store")
        if answer is not None:
            return self._settle(keys, rows, deadline, answer, _STORED, _MOVED_PUT, self._other.store)
        if is_open:  # What the silo reads after the deadline it throws away: the rows may be given to others then, not before.
            time.sleep(max(0.0, deadline - time.monotonic()))
        return [False] * len(keys)

    def load(self, keys: Sequence[bytes], rows: Sequence[int], deadline: float) -> list[bool]:
        """As ClientRows.load."""
        marks: list[bytes] = []

        def work(client: Client, sending: Callable[[], None]) -> tuple[bytes, Any]:
            namespace = self._other.namespace(client)
            ids = [namespace.id_of(key) for key in keys]
            marks.append(mark(self._rows, rows))
            return self._link.load(ids, rows, deadline, sending)

        if self._is_refused():
            return self._other.load(keys, rows, deadline)
        answer, is_open = self._ask(work, "a load")
        if answer is not None:
            return self._settle(keys, rows, deadline, answer, _HITS, _MOVED_GET, self._other.load)
        if is_open:
            self._keep_off(rows, deadline, marks[0])
        return [False] * len(keys)

    def close(self) -> None:
        """Lets go of the rows, and ends the link."""
        self._link.close()
        self._other.close()
        self._rows = None  # type: ignore[assignment]

    def _ask(self, work: Callable[[Client, Callable[[], None]], tuple[bytes, Any]], what: str) -> tuple[Optional[tuple[bytes, Any]], bool]:
        """The silo's answer, or None; then whether it may still be at it."""
        sent = threading.Event()
        try:
            answer = self._client.call(lambda client: work(client, sent.set))
        except (Unreachable, DeadlineExceeded) as error:
            if error.field != "circuit":
                self._client.troubles.report(f"{what} failed ({error.name})", error)
            return None, sent.is_set()
        except KvTierError as error:  # The silo's own answer: nothing was done.
            self._client.troubles.report(f"{what} failed ({error.name})", error)
            self._refused(error, sent.is_set())
            return None, False
        self._client.troubles.over_all(f"{what} failed")
        return answer, False

    def _refused(self, error: KvTierError, is_open: bool) -> None:
        if not is_open and self._options.transfer == "auto":
            self._client.troubles.report("the silo does not open the engine's file, rows are copied by this process", error)
            self._refused_until = time.monotonic() + _REFUSED_SECONDS

    def _is_refused(self) -> bool:
        return time.monotonic() < self._refused_until

    def _settle(self, keys: Sequence[bytes], rows: Sequence[int], deadline: float, answer: tuple[bytes, Any], good: tuple[int, ...],
                moved: int, elsewhere: Any) -> list[bool]:
        statuses, error = answer
        if error is not None:
            self._client.troubles.report(f"rows could not be copied ({error.name})", error)
        done = [status in good for status in statuses]
        others = [i for i, status in enumerate(statuses) if status == moved]
        if others:
            there = elsewhere([keys[i] for i in others], [rows[i] for i in others], deadline)
            for i, result in zip(others, there):
                done[i] = result
        return done

    def _keep_off(self, rows: Sequence[int], deadline: float, made: bytes) -> None:
        """Returns when the silo can't write into the rows any more."""
        try:
            fence = Fence(self._file, self._rows, rows, made)
        except OSError as error:
            self._client.troubles.report("rows could not be locked", error)
            time.sleep(max(0.0, deadline - time.monotonic()))
            return
        begun = time.monotonic()
        while not fence.try_close():
            if time.monotonic() - max(begun, deadline) > _FENCE_WARN_SECONDS:
                self._client.troubles.report("a silo is stopped in the middle of a row",
                                             "its rows are kept until it goes on or ends")
            time.sleep(_FENCE_POLL_SECONDS)
        self._client.troubles.over("a silo is stopped in the middle of a row")
        wait = deadline + _FENCE_POLL_SECONDS - time.monotonic()
        if wait <= 0:
            fence.release()
        else:  # The locks keep the silo away until the deadline does.
            timer = threading.Timer(wait, fence.release)
            timer.daemon = True
            timer.start()


def _left_ms(deadline: float) -> float:
    left = (deadline - time.monotonic()) * 1000
    if left < 1:
        raise Unreachable("deadline", "passed", "a longer load_ms or store_ms")
    return left


def open_rows(client: LazyClient, rows: np.ndarray[Any, Any], view: Any, engine: str, options: TierOptions, profile: Profile,
              ) -> tuple[Any, Optional[RegionLink], Optional[KvTierError]]:
    """Chooses the way of copying: the rows, the link where the silo copies, and why it does not where that was wanted.

    :raises KvTierError: ``transfer`` is ``region`` and the view is no file, or the endpoint no Unix socket.
    """
    plain = ClientRows(client, rows, options, profile)
    if options.transfer == "client":
        return plain, None, None
    try:
        if not options.endpoint.startswith("unix:"):
            raise Unsupported("endpoint", options.endpoint, "unix:/path of the silo on this machine, for transfer=region")
        file = RowFile.behind(view, engine)
    except KvTierError as error:
        if options.transfer == "region":
            raise
        return plain, None, error
    link = RegionLink(options.endpoint, options.token, file, options.tenant, profile, options.connect_ms)
    return RegionRows(link, plain, client, rows, file, options), link, None

"""The asyncio client: the same names as coroutines.

Each call runs on a thread of the client's own, at most ``threads`` at once, over the synchronous client: several requests share a
connection, sockets are waited for without the interpreter's lock, and numpy computes checks without it, so the event loop goes on.
Cancelling a call ends the wait only: what was sent may be done. Memory that was passed belongs to the call until its deadline, cancelled
or not.
"""
from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence as Ordered, TypeVar, Union

from . import client as sync
from .engine_types import EngineReport, EventNote, Loadable, NotesTaken
from .ids import BlockId, Key
from .local.leases import Leases
from .local.reservations import Reservation, Reservations
from .namespace import Buffer, Groups, Namespace as SyncNamespace
from .profile import OPAQUE, Profile
from .recall.digest import Digest, Rotation
from .recall.namespace import RecallItems
from .recall.query import Item, RecallItem
from .recall.selector import Selector
from .recall.sequence import Sequence as SyncSequence
from .recall.sequence import SequenceInfo
from .results import Description, GetResult, Prefix, PutOutcome, PutStatus

T = TypeVar("T")


async def connect(endpoint: Union[str, Iterable[str]], *, threads: int = 16, **options: Any) -> Client:
    """Connects as :func:`kvtier.connect` does.

    :param threads: calls that run at once; further ones wait.
    """
    runner = ThreadPoolExecutor(threads, "kvtier-aio")
    try:
        made = await asyncio.get_running_loop().run_in_executor(runner, partial(sync.connect, endpoint, **options))
    except BaseException:
        runner.shutdown(wait=False)
        raise
    return Client(made, runner)


class _Runs:
    def __init__(self, runner: ThreadPoolExecutor) -> None:
        self._runner = runner

    async def _run(self, work: Callable[..., T], *args: Any, **options: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._runner, partial(work, *args, **options))


class Client(_Runs):
    """As :class:`kvtier.Client`; an asynchronous context manager. ``sync`` is the client below."""

    def __init__(self, made: sync.Client, runner: ThreadPoolExecutor) -> None:
        super().__init__(runner)
        self.sync = made

    async def ping(self, **options: Any) -> None:
        """Asks for an empty answer."""
        await self._run(self.sync.ping, **options)

    async def stat(self, **options: Any) -> dict[str, Any]:
        """The silo's figures."""
        return await self._run(self.sync.stat, **options)

    async def namespaces(self, **options: Any) -> list[dict[str, Any]]:
        """The silo's namespaces."""
        return await self._run(self.sync.namespaces, **options)

    async def namespace(self, profile: Profile = OPAQUE, tenant: str = "default", **options: Any) -> Namespace:
        """Opens a namespace."""
        return Namespace(await self._run(self.sync.namespace, profile, tenant, **options), self._runner)

    async def close(self) -> None:
        """Closes the connections."""
        await self._run(self.sync.close)
        self._runner.shutdown(wait=False)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()


class Namespace(_Runs):
    """As :class:`kvtier.Namespace`. ``sync`` is the namespace below."""

    def __init__(self, made: SyncNamespace, runner: ThreadPoolExecutor) -> None:
        super().__init__(runner)
        self.sync = made

    def id_of(self, key: Key) -> BlockId:
        """The block id of a key."""
        return self.sync.id_of(key)

    async def put(self, key: bytes, value: Buffer, **options: Any) -> PutStatus:
        """Stores a block."""
        return await self._run(self.sync.put, key, value, **options)

    async def put_many(self, blocks: Ordered[tuple[bytes, Buffer]], **options: Any) -> list[PutOutcome]:
        """Stores blocks in one request."""
        return await self._run(self.sync.put_many, blocks, **options)

    async def get(self, key: Key, into: Optional[Buffer] = None, **options: Any) -> GetResult:
        """Fetches a block."""
        return await self._run(self.sync.get, key, into, **options)

    async def get_many(self, keys: Ordered[Key], into: Optional[Ordered[Buffer]] = None,
                       ranges: Optional[Ordered[tuple[int, int]]] = None, **options: Any) -> list[GetResult]:
        """Fetches blocks, or ranges of them."""
        return await self._run(self.sync.get_many, keys, into, ranges, **options)

    async def lease(self, keys: Ordered[Key], lease_ms: int = 0, **options: Any) -> Leases:
        """Leases blocks in shared memory; the leases are used without waiting, as in the synchronous client."""
        return await self._run(self.sync.lease, keys, lease_ms, **options)

    async def reserve(self, blocks: Ordered[tuple[bytes, int]], **options: Any) -> AsyncReservations:
        """Reserves slots in shared memory."""
        return AsyncReservations(await self._run(self.sync.reserve, blocks, **options), self._runner)

    async def prefix(self, keys: Ordered[Key], touch: bool = False, **options: Any) -> Prefix:
        """How many of the ordered blocks are here without a gap."""
        return await self._run(self.sync.prefix, keys, touch, **options)

    async def delete(self, keys: Ordered[Key], groups: Groups = None, **options: Any) -> list[bool]:
        """Deletes blocks."""
        return await self._run(self.sync.delete, keys, groups=groups, **options)

    async def pin(self, keys: Ordered[Key], ms: int, **options: Any) -> list[bool]:
        """Keeps blocks from eviction."""
        return await self._run(self.sync.pin, keys, ms, **options)

    async def unpin(self, keys: Ordered[Key], **options: Any) -> list[bool]:
        """Ends pins."""
        return await self._run(self.sync.unpin, keys, **options)

    async def touch(self, keys: Ordered[Key], **options: Any) -> list[bool]:
        """Marks blocks as used."""
        return await self._run(self.sync.touch, keys, **options)

    async def prefetch(self, keys: Ordered[Key], **options: Any) -> list[bool]:
        """Starts reading blocks into host memory."""
        return await self._run(self.sync.prefetch, keys, **options)

    async def hello(self, engine: str, version: str, fields: Mapping[str, object], **options: Any) -> EngineReport:
        """Says how this engine makes keys and bytes, and hears in what it differs from others of the namespace."""
        return await self._run(self.sync.hello, engine, version, fields, **options)

    async def loadable(self, keys: Ordered[Key], **options: Any) -> Loadable:
        """How many blocks of the prefix load sooner than they are computed."""
        return await self._run(self.sync.loadable, keys, **options)

    async def event_notes(self, notes: Ordered[tuple[Key, EventNote]], **options: Any) -> NotesTaken:
        """Says what routers are to be told of blocks."""
        return await self._run(self.sync.event_notes, notes, **options)

    async def describe(self, keys: Ordered[Key], **options: Any) -> list[Description]:
        """What is known of blocks."""
        return await self._run(self.sync.describe, keys, **options)

    async def sequence(self, name: str, digests: Optional[Ordered[Digest]] = None, rotation: Optional[Rotation] = None,
                       **options: Any) -> Sequence:
        """Opens a sequence."""
        return Sequence(await self._run(self.sync.sequence, name, digests, rotation, **options), self._runner)

    async def find_sequence(self, name: str, **options: Any) -> Sequence:
        """Finds a sequence that is open."""
        return Sequence(await self._run(self.sync.find_sequence, name, **options), self._runner)

    async def sequences(self, **options: Any) -> list[SequenceInfo]:
        """The sequences of the namespace."""
        return await self._run(self.sync.sequences, **options)

    async def recall(self, items: Ordered[Any], queries: Any, selector: Union[str, Selector] = "moments", mode: str = "attend",
                     **options: Any) -> list[RecallItem]:
        """Finds the chunks that queries need."""
        return await self._run(self.sync.recall, _names(items), queries, selector, mode, **options)

    async def recall_lease(self, items: Ordered[Any], queries: Any, selector: Union[str, Selector] = "moments", mode: str = "gather",
                           **options: Any) -> RecallItems:
        """The same with the answer in shared memory."""
        return await self._run(self.sync.recall_lease, _names(items), queries, selector, mode, **options)


class AsyncReservations(_Runs):
    """As :class:`kvtier.local.reservations.Reservations`; an asynchronous context manager."""

    def __init__(self, made: Reservations, runner: ThreadPoolExecutor) -> None:
        super().__init__(runner)
        self.sync = made

    def __getitem__(self, index: int) -> Reservation:
        return self.sync[index]  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.sync)

    async def commit(self, **options: Any) -> list[PutOutcome]:
        """Seals what was written."""
        return await self._run(self.sync.commit, **options)

    async def __aenter__(self) -> AsyncReservations:
        return self

    async def __aexit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        self.sync.__exit__(kind, error, trace)


class Sequence(_Runs):
    """As :class:`kvtier.Sequence`. ``sync`` is the sequence below."""

    def __init__(self, made: SyncSequence, runner: ThreadPoolExecutor) -> None:
        super().__init__(runner)
        self.sync = made

    @property
    def name(self) -> str:
        """Its name."""
        return self.sync.name

    @property
    def info(self) -> SequenceInfo:
        """What the silo said of it last."""
        return self.sync.info

    async def append(self, keys: Ordered[Key], tokens: int, replace_last: bool = False, expected_tokens: Optional[int] = None,
                     **options: Any) -> SequenceInfo:
        """Appends blocks."""
        return await self._run(self.sync.append, keys, tokens, replace_last, expected_tokens, **options)

    async def fork(self, name: str, tokens: int = 0, **options: Any) -> Sequence:
        """Makes a sequence that begins as this one does."""
        return Sequence(await self._run(self.sync.fork, name, tokens, **options), self._runner)

    async def describe(self, **options: Any) -> SequenceInfo:
        """Asks what it is now."""
        return await self._run(self.sync.describe, **options)

    async def close(self, **options: Any) -> SequenceInfo:
        """Has the silo forget it."""
        return await self._run(self.sync.close, **options)


def _names(items: Ordered[Any]) -> list[Item]:
    return [(one if isinstance(one, str) else one.name, layer) for one, layer in items]

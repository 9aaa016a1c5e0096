"""What a namespace does with sequences."""
from __future__ import annotations

from concurrent.futures import Future
from types import TracebackType
from typing import Any, Callable, Optional, Sequence as Ordered, TypeVar, Union

from ..buffers import new_buffer
from ..errors import ProtocolError, Unsupported
from ..ids import BlockId, block_id
from ..local.grants import end, slot_view
from ..transport import clock
from ..transport.connection import Connection
from ..transport.silo import Silo
from ..wire import opcodes as op
from .digest import Digest, Rotation
from .query import Item, RecallItem, RecallQuery, check_part
from .selector import Selector, selector_of, selectors
from .sequence import Sequence, SequenceInfo, check_name

T = TypeVar("T")
_PAGE = 1024


class RecallItems(list[RecallItem]):
    """Items whose arrays lie in the silo's shared memory, read-only. Given back by ``with``, by :meth:`release`, or when no array of them
    is left. Values count only if :attr:`is_valid` still holds after the last of them was read."""

    def __init__(self, items: list[RecallItem], session: Any = None, grant: Any = None, deadline_ns: int = 0) -> None:
        super().__init__(items)
        self._session = session
        self._grant = grant
        self._deadline_ns = deadline_ns
        self._ended = False

    @property
    def is_valid(self) -> bool:
        """True while the lease holds, or when there is none."""
        return not self._ended and (self._session is None or (clock.now_ns() < self._deadline_ns and self._session.is_open))

    def release(self) -> None:
        """Gives the memory back; the arrays must not be used any more."""
        self._ended = True
        if self._grant is not None and end(self._grant):
            self._session.release([self._grant.number])

    def __enter__(self) -> RecallItems:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.release()


class RecallMixin:
    """Sequences and recall of a namespace."""

    client: Any
    profile: Any
    fingerprint: bytes
    descriptor: Any
    _blocks: Any
    _cluster: Any

    def sequence(self, name: str, digests: Optional[Ordered[Digest]] = None, rotation: Optional[Rotation] = None, *,
                 deadline_ms: Optional[int] = None) -> Sequence:
        """Opens a sequence, or finds it when it is open with the same digests and rotation.

        :param digests: those it keeps, 1 to 8; that of ``selectors.moments`` by default. A selector scores one of them.
        :param rotation: for profiles whose keys are stored before rotation, and only then.
        """
        check_name("name", name)
        kept = [one.to_wire() for one in (digests or [selectors.moments.digest])]
        fields = [kept, None if rotation is None else rotation.to_wire()]
        return Sequence(self, self.ask_sequence(op.SEQUENCE_OPEN, name, fields, deadline_ms))

    def find_sequence(self, name: str, *, deadline_ms: Optional[int] = None) -> Sequence:
        """Finds a sequence that is open.

        :raises InvalidArgument: there is none of this name.
        """
        check_name("name", name)
        return Sequence(self, self.ask_sequence(op.SEQUENCE_DESCRIBE, name, [], deadline_ms))

    def sequences(self, *, deadline_ms: Optional[int] = None) -> list[SequenceInfo]:
        """The sequences of the namespace, by name; in a cluster those of all silos."""
        deadline = self._until(deadline_ms)
        silos = [self._blocks.silo] if self._cluster is None else [link.silo for link in self._cluster.source.table.links]
        found = {info.name: info for silo in silos for info in self._list(silo, deadline)}
        return [found[name] for name in sorted(found)]

    def recall(self, items: Ordered[Item], queries: Any, selector: Union[str, Selector] = "moments", mode: str = "attend", *,
               layout: str = "kv_head_token", temperature: float = 1.0, lse_multiplier: float = 1.0,
               held: Optional[Ordered[Any]] = None, deadline_ms: Optional[int] = None) -> list[RecallItem]:
        """Finds the chunks that queries need, and answers with their ``ids``, their rows (``gather``), or the attention (``attend``).

        :param items: (sequence or its name, layer) for each item.
        :param queries: [item, W, Hq, D] or [item, Hq, D], float32, float16 (numpy) or bfloat16 (torch); rotated as the keys are.
        :param selector: a preset's name or a Selector; the sequence must keep its digest.
        :param layout: order of a gather's rows: ``kv_head_token`` [K,V][Hkv][n][D], ``head_kv_token`` or ``kv_token_head``.
        :param held: for each item [Hkv, slots] of units that the caller has, -1 for a free slot: those are not sent again.
        :raises Corrupt: a part of the answer failed its check.
        """
        query = RecallQuery(self.profile, items, queries, selector_of(selector), mode, layout, temperature, lse_multiplier, held)
        deadline = self._until(deadline_ms)
        if self._cluster is None:
            silo = self._blocks.silo
            return silo.attempt(lambda one: self._recall(silo, one, query, deadline, 0), deadline)  # type: ignore[no-any-return]
        return self._recall_routed(query, deadline)

    def recall_lease(self, items: Ordered[Item], queries: Any, selector: Union[str, Selector] = "moments", mode: str = "gather", *,
                     layout: str = "kv_head_token", temperature: float = 1.0, lse_multiplier: float = 1.0,
                     held: Optional[Ordered[Any]] = None, lease_ms: int = 0, deadline_ms: Optional[int] = None) -> RecallItems:
        """As :meth:`recall`, with the arrays in the silo's shared memory: no byte moves. In a cluster, of one silo's sequences only.

        :raises Unsupported: that silo's memory is not mapped.
        """
        query = RecallQuery(self.profile, items, queries, selector_of(selector), mode, layout, temperature, lse_multiplier, held)
        deadline = self._until(deadline_ms)
        if self._cluster is None:
            silo = self._blocks.silo
            return silo.attempt(lambda one: self._lease(silo, one, query, lease_ms, deadline, 0), deadline)  # type: ignore[no-any-return]

        def ask(owner: Silo, epoch: int, until: float) -> RecallItems:
            return owner.attempt(lambda one: self._lease(owner, one, query, lease_ms, until, epoch), until)

        return self._cluster.at_owner(self._group(query.items[0][0]), "recall", deadline, ask)  # type: ignore[no-any-return]

    def ask_sequence(self, opcode: int, name: str, fields: list[Any], deadline_ms: Optional[int],
                     is_repeatable: bool = True) -> SequenceInfo:
        """Sends a request about a sequence to its owner."""

        def ask(silo: Silo, epoch: int, until: float) -> SequenceInfo:
            def work(connection: Connection) -> list[Any]:
                handle = silo.handle(connection, self.descriptor, until)
                route = [epoch] if epoch else []
                return connection.call(opcode, [handle, clock.left_ms(until), name, *fields, *route], until)

            return SequenceInfo.from_wire(silo.attempt(work, until, is_repeatable))

        deadline = self._until(deadline_ms)
        if self._cluster is None:
            return ask(self._blocks.silo, 0, deadline)
        return self._cluster.at_owner(  # type: ignore[no-any-return]
            self._group(name), f"sequence {name}", deadline, ask, is_repeatable)

    def _group(self, sequence: str) -> BlockId:
        return block_id(self.fingerprint, b"sequence/" + sequence.encode())

    def _until(self, ms: Optional[int]) -> float:
        return clock.after(self.client.timeout_ms if ms is None else ms)

    def _list(self, silo: Silo, deadline: float) -> list[SequenceInfo]:
        found: list[SequenceInfo] = []
        while True:
            after = found[-1].name if found else ""

            def work(connection: Connection) -> list[Any]:
                return connection.call(op.SEQUENCE_LIST, [silo.handle(connection, self.descriptor, deadline), after, _PAGE], deadline)

            body = silo.attempt(work, deadline)
            if not body or not isinstance(body[0], list):
                raise ProtocolError("sequenceList", body, "[[sequence, …]]")
            if not body[0]:
                return found
            found.extend(SequenceInfo.from_wire(one) for one in body[0])

    def _recall(self, silo: Silo, connection: Connection, query: RecallQuery, deadline: float, epoch: int) -> list[RecallItem]:
        views: list[memoryview] = []

        def sink(body: list[Any], payload_length: int) -> list[memoryview]:
            parts = query.parts(body, 0)
            if sum(part[2] for part in parts) != payload_length:
                raise ProtocolError("recall.payloadLength", payload_length, "the sum of the items' lengths")
            views[:] = [new_buffer(part[2]) for part in parts]
            return [view for view in views if len(view)]

        fields = query.fields(silo.handle(connection, self.descriptor, deadline), clock.left_ms(deadline), 0, epoch)
        body = connection.call(op.RECALL, fields, deadline, payload=[query.data], payload_length=len(query.data), sink=sink)
        results = []
        for i, (item, _, _, check) in enumerate(query.parts(body, 0)):
            check_part(i, views[i], check)
            results.append(query.result(item, views[i]))
        return results

    def _recall_routed(self, query: RecallQuery, deadline: float) -> list[RecallItem]:
        places: dict[int, list[int]] = {}
        map_ = self._cluster.source.table.map
        for i, (name, _) in enumerate(query.items):
            places.setdefault(map_.owner_of(self._group(name)), []).append(i)

        def part(some: list[int]) -> list[RecallItem]:
            asked = query if len(some) == len(query.items) else query.part(some)

            def ask(silo: Silo, epoch: int, until: float) -> list[RecallItem]:
                return silo.attempt(lambda one: self._recall(silo, one, asked, until, epoch), until)

            return self._cluster.at_owner(self._group(asked.items[0][0]), "recall", deadline, ask)  # type: ignore[no-any-return]

        groups = list(places.values())
        running: list[Future[list[RecallItem]]] = [self._cluster.threads.submit(part, some) for some in groups[1:]]
        answers = [part(groups[0]), *(one.result() for one in running)]
        results: list[Any] = [None] * len(query.items)
        for some, answer in zip(groups, answers):
            for place, one in zip(some, answer):
                results[place] = one
        return results

    def _lease(self, silo: Silo, connection: Connection, query: RecallQuery, lease_ms: int, deadline: float, epoch: int) -> RecallItems:
        session = connection.local
        if session is None:
            raise Unsupported("local", "not mapped", "a Unix socket to a silo on this machine that offers its arena to this user")
        handle = silo.handle(connection, self.descriptor, deadline)
        fields = query.fields(handle, clock.left_ms(deadline), lease_ms or session.lease_ms, epoch)
        body = connection.call(op.LOCAL_RECALL, fields, deadline, payload=[query.data], payload_length=len(query.data),
                               late=lambda late: session.release([late[1]] if len(late) > 1 and late[1] else []))
        try:
            deadline_ns, lease, offset, length = body[:4]
        except ValueError:
            raise ProtocolError("localRecall", f"{len(body)} fields", 5) from None
        if lease and not 0 <= offset <= offset + length <= session.arena.size:
            raise ProtocolError("localRecall.offset", f"{offset} + {length}", f"within {session.arena.size} bytes")
        parts = query.parts(body, 4)
        if not lease:
            return RecallItems([query.result(part[0], memoryview(b"")) for part in parts])
        whole, grant = slot_view(session.arena.readable, offset, length, lease, session.release)
        items = []
        for i, (item, start, size, _) in enumerate(parts):
            if not 0 <= start <= start + size <= length:
                raise ProtocolError(f"recall.items[{i}].payloadOffset", f"{start} + {size}", f"within {length} bytes")
            items.append(query.result(item, whole[start:start + size]))
        return RecallItems(items, session, grant, deadline_ns)

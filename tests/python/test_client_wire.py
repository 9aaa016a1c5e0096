"""Silos that answer wrongly, late or not at all: a fake one that is told what to send."""
import os
import socket
import struct
import threading
import time

import pytest

import kvtier
from clients import CALL_MS, connect
from kvtier.crc32c import crc32c
from kvtier.transport import clock
from kvtier.transport.silo import PROBE
from kvtier.wire import frame
from kvtier.wire import opcodes as op
from kvtier.wire.checks import block_check
from silos import until

LIMITS = {"frameBodyBytesMax": 4 << 20}


class FakeSilo:
    """Answers Hello and NamespaceOpen as a silo does; the rest as `answer(opcode, body, payload) -> bytes` says."""

    def __init__(self, folder, answer):
        self.path = str(folder / "fake.sock")
        self.answer = answer
        self.connections = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def close(self):
        """Ends the thread before its socket: a call that a signal interrupts goes on with whatever has the socket's number by then."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join(60)
        self.listener.close()

    def accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def serve(self, one):
        with one, one.makefile("rb") as source:
            while True:
                raw = source.read(32)
                if len(raw) < 32:
                    return
                header = frame.read_header(raw)
                body = frame.unpack_body(source.read(header.body_length))
                payload = source.read(header.payload_length)
                try:
                    one.sendall(self.reply(header, body, payload))
                except OSError:
                    return

    def reply(self, header, body, payload):
        if header.opcode == op.HELLO:
            assert body[4] == PROBE
            return response(header, [1, "fake", "0", None, LIMITS])
        if header.opcode == op.CLUSTER_MAP:
            return response(header, [0, "", "fake", None])
        if header.opcode == op.NAMESPACE_OPEN:
            return response(header, [3, kvtier.fingerprint("default", kvtier.OPAQUE), 0])
        return self.answer(header, body, payload)


def response(header, fields, payload=b"", kind=frame.RESPONSE, opcode=None, request_id=None):
    body = frame.pack_body(fields)
    head = frame.pack_header(
        kind, header.opcode if opcode is None else opcode, header.request_id if request_id is None else request_id, body, len(payload))
    return head + body + payload


def hit(body, data, check=None, length=None):
    size = len(data) if length is None else length
    return [0, size, 0, block_check(body[2][:16], 0, 0, len(data), crc32c(data)) if check is None else check, size]


@pytest.fixture
def fake(folder):
    made = []

    def start(answer, **options):
        made.append(FakeSilo(folder, answer))
        client = connect("unix:" + made[-1].path, retries_max=0, cluster="never", **options)
        return made[-1], client, client.namespace()

    yield start
    for one in made:
        one.close()


def test_good_answer_is_taken(fake):
    _, _, ns = fake(lambda header, body, _: response(header, [[hit(body, b"hello")]], b"hello"))
    assert bytes(ns.get(b"k")) == b"hello"


def test_bytes_that_fail_their_check_are_a_miss(fake):
    _, _, ns = fake(lambda header, body, _: response(header, [[hit(body, b"hello")]], b"jello"))
    assert ns.get(b"k") == kvtier.Miss("corrupt")


def test_right_bytes_of_another_block_are_a_miss(fake):
    check = block_check(bytes(16), 0, 0, 5, crc32c(b"hello"))
    _, _, ns = fake(lambda header, body, _: response(header, [[hit(body, b"hello", check)]], b"hello"))
    assert ns.get(b"k") == kvtier.Miss("corrupt")


@pytest.mark.parametrize("make, says", [
    (lambda header, body: response(header, []), "items"),
    (lambda header, body: response(header, [[]]), "items"),
    (lambda header, body: response(header, [["hit"]]), "get.items"),
    (lambda header, body: response(header, [[hit(body, b"hello")]], b"hell"), "payloadLength"),
    (lambda header, body: response(header, [[hit(body, b"hello")]], b"hello", request_id=77), "requestId"),
    (lambda header, body: response(header, [[hit(body, b"hello")]], b"hello", opcode=22), "requestId"),
    (lambda header, body: response(header, [[]], kind=frame.REQUEST), "frame.kind"),
    (lambda header, body: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "frame.magic"),
    (lambda header, body: response(header, [[]])[:-1] + b"\x91", "bodyCrc"),
    (lambda header, body: frame.pack_header(2, 21, header.request_id, b"\xc1") + b"\xc1", "body"),
])
def test_answer_that_breaks_the_protocol_closes_the_connection(fake, make, says):
    wrong = [True]
    silo, _, ns = fake(lambda header, body, _: make(header, body) if wrong[0] else response(header, [[hit(body, b"hello")]], b"hello"))
    with pytest.raises(kvtier.ProtocolError, match=says):
        ns.get(b"k")
    wrong[0] = False
    assert bytes(ns.get(b"k")) == b"hello" and silo.connections == 2


@pytest.mark.parametrize("ask, fields", [
    (lambda ns: ns.prefix([b"k"]), [2, b"\x02\x02"]),
    (lambda ns: ns.prefix([b"k"]), ["many"]),
    (lambda ns: ns.delete([b"k"]), [b"\x01\x01"]),
    (lambda ns: ns.put(b"k", b"x"), [b"", None]),
    (lambda ns: ns.describe([b"k"]), [[[1, 2]]]),
    (lambda ns: ns.sequences(), ["none"]),
    (lambda ns: ns.client.stat(), [3]),
])
def test_other_answers_are_checked_as_strictly(fake, ask, fields):
    silo, client, ns = fake(lambda header, body, _: response(header, fields if header.opcode != op.PING else []))
    with pytest.raises(kvtier.ProtocolError):
        ask(ns)
    client.ping()
    assert silo.connections in (1, 2)


def test_error_frame_is_the_error_and_the_connection_goes_on(fake):
    silo, _, ns = fake(lambda header, body, _: response(header, [5, "hostBytes", "full", "room"], kind=frame.ERROR))
    for _ in range(2):
        with pytest.raises(kvtier.Refused, match="host_full: hostBytes is full; allowed: room"):
            ns.put(b"k", b"x")
    assert silo.connections == 1


def test_payload_that_stops_half_way_ends_at_the_deadline_and_is_written_nowhere_later(fake):
    data = os.urandom(1 << 20)
    go = threading.Event()

    def answer(header, body, _):
        whole = response(header, [[hit(body, data)]], data)
        if go.is_set():
            return whole
        one = silo_socket[0]
        one.sendall(whole[:500_000])
        go.wait(60)
        return whole[500_000:]

    silo_socket = []
    silo, _, ns = fake(answer)
    serve = silo.serve
    silo.serve = lambda one: (silo_socket.append(one), serve(one))
    ns.client._silo.close()
    ns.client._silo._is_closed = False
    # To connect is no part of the call that is to end.
    ns.client._silo.handle(ns.client._silo.connection(clock.after(CALL_MS)), ns.descriptor, clock.after(CALL_MS))
    target = bytearray(1 << 20)
    begun = time.monotonic()
    with pytest.raises(kvtier.DeadlineExceeded):
        ns.get(b"k", target, deadline_ms=300)
    assert time.monotonic() - begun < CALL_MS / 1000 / 2
    seen = bytes(target)
    go.set()
    time.sleep(0.2)
    assert bytes(target) == seen
    assert bytes(ns.get(b"k")) == data


def test_connection_that_ends_fails_all_who_wait(fake):
    release = threading.Event()

    def answer(header, body, _):
        release.wait(60)
        raise OSError("gone")

    _, client, ns = fake(answer, connections=1)
    failures = []

    def ask():
        try:
            ns.get(b"k")
        except kvtier.KvTierError as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: client._silo._connections[0].inflight == 3, 60, "three who wait")
    release.set()
    for thread in threads:
        thread.join(60)
    assert len(failures) == 3


def test_answers_out_of_order_reach_those_who_asked(fake):
    kept = []

    def answer(header, body, _):
        kept.append(response(header, [[hit(body, struct.pack("<Q", header.request_id))]], struct.pack("<Q", header.request_id)))
        return b"" if len(kept) < 4 else b"".join(reversed(kept))

    _, client, ns = fake(answer, connections=1)
    results = []
    threads = [threading.Thread(target=lambda: results.append(bytes(ns.get(b"k")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(results)) == 4


def test_answer_that_came_before_it_was_given_up_gives_back_what_it_grants(fake):
    _, client, _ = fake(lambda header, body, _: response(header, [header.request_id]))
    connection, given_back = client._silo._connections[0], []
    pending = connection.begin(op.STAT, [], clock.after(CALL_MS), late=given_back.append)
    connection.call(op.STAT, [], clock.after(CALL_MS))  # Reads the answers of both.
    assert pending.is_done and not given_back
    connection.give_up(pending)
    connection.give_up(pending)
    assert given_back == [[pending.number]]


def test_answer_that_comes_as_the_deadline_passes_is_taken(fake):
    _, client, _ = fake(lambda header, body, _: response(header, [header.request_id]))
    connection = client._silo._connections[0]
    pending = connection.begin(op.STAT, [], clock.after(CALL_MS))
    wait = connection._await

    def late(*_):
        connection._await = wait
        connection.call(op.STAT, [], clock.after(CALL_MS))  # As another thread does that reads the answers of both.
        raise kvtier.DeadlineExceeded("stat")

    connection._await = late
    assert connection.finish(pending, clock.after(CALL_MS)) == [pending.number]


def test_three_overdue_answers_make_a_new_connection(fake):
    silent, heard = [True], []

    def answer(header, body, _):
        heard.append(header.request_id)
        return b"" if silent[0] else response(header, [[hit(body, b"hello")]], b"hello")

    silo, client, ns = fake(answer)
    first = client._silo._connections[0]
    for _ in range(20):  # A call whose deadline passed before it was sent is not overdue at the silo.
        if first.is_open:
            with pytest.raises(kvtier.DeadlineExceeded):
                ns.get(b"k", deadline_ms=50)
    until(lambda: len(heard) == 3, 60, "three calls at the silo")
    assert not first.is_open and silo.connections == 1
    silent[0] = False
    assert bytes(ns.get(b"k")) == b"hello" and silo.connections == 2


def test_forked_child_makes_connections_of_its_own(silo):
    with connect(silo.unix, local="require") as client:
        ns = client.namespace(tenant="fork")
        ns.put(b"k", bytes(100_000), overwrite=True)
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if len(ns.get(b"k")) == 100_000 else 1)
            except BaseException:
                os._exit(2)
        assert os.waitpid(child, 0)[1] == 0
        assert len(ns.get(b"k")) == 100_000

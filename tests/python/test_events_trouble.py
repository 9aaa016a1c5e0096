"""KV events when things go wrong: subscribers that do not read, that come again, that are no subscribers; too many notes; passwords."""
import socket
import struct

import pytest
import zmq

import kvtier
from kvtier.engine import EventNote
from silos import reserve_port, until, within
from zmq_peers import BLOCK, CPU, TOPIC, ByHand, Subscriber, chain, connected, hash_of, hashes, opened, outlets, replay, store

ANY = "tcp://127.0.0.1:0"


def port_of(silo, place="endpoint"):
    return int(outlets(silo)[0][place].rpartition(":")[2])


def failures(silo):
    return silo.metric("kvtier_events_handshake_failures_total")


def test_a_silo_that_is_killed_and_comes_back_revokes_what_it_told(new_silo):
    # Not a port of the system's choice: while nobody listens there, the subscriber's tries could end at each other.
    port = reserve_port()
    silo = new_silo({"events-endpoint": f"tcp://127.0.0.1:{port}"}, name="pub")
    with Subscriber(f"tcp://127.0.0.1:{port}", RECONNECT_IVL=20) as sub:
        connected(silo, 1)
        client, ns = opened(silo)
        with client:
            store(ns, chain(100, 2))
            sub.until(lambda seen: hashes(seen, "BlockStored", CPU) == [100, 101])
        silo.kill()
        silo.start()
        # libzmq says again what it wants when its user next looks for messages.
        until(lambda: sub.read(0.05) or outlets(silo)[0]["subscribed"] == 1)
        client, ns = opened(silo)
        with client:
            store(ns, chain(200, 1))
            events = sub.until(lambda seen: 200 in hashes(seen, "BlockStored", CPU))
        assert [event["type"] for event in events].count("AllBlocksCleared") == 2
        assert sub.batches[-1][1] == 0


def test_a_silo_that_stops_in_order_revokes_what_it_told(new_silo):
    silo = new_silo({"events-endpoint": ANY}, name="pub")
    with Subscriber(outlets(silo)[0]["endpoint"]) as sub:
        connected(silo, 1)
        client, ns = opened(silo)
        with client:
            store(ns, chain(100, 1))
            sub.until(lambda seen: hashes(seen, "BlockStored", CPU) == [100])
        assert silo.stop() == 0
        assert sub.until(lambda seen: seen[-1]["type"] == "AllBlocksCleared")[0]["type"] == "AllBlocksCleared"


def test_a_subscriber_that_reads_nothing_loses_messages_and_holds_up_nobody(new_silo):
    silo = new_silo({"events-endpoint": ANY, "events-replay-endpoint": ANY, "events-hwm": 8, "stall-timeout-ms": 4000}, name="pub")
    client, ns = opened(silo)
    stuck = ByHand(port_of(silo), receive_bytes=4096)
    stuck.send(0, b"\x01")
    with client, Subscriber(outlets(silo)[0]["endpoint"]) as sub:
        connected(silo, 2)
        # Notes as long as they may be, so that what the system buffers for the one that does not read is soon full.
        tokens, total = [2 ** 30 + 1] * 4096, 0
        for number in range(150):
            note = EventNote(hash_of(number), None, tokens)
            with within(30, "a put beside a subscriber that does not read"):
                ns.event_notes([(b"long-%d" % number, note)], block_tokens=4096)
                ns.put(b"long-%d" % number, BLOCK)
            total += 1
            # The one that reads is never so far behind that messages are dropped for it too.
            if total % 4 == 0:
                sub.until(lambda seen: len(hashes(seen, "BlockStored", CPU)) == total)
            if silo.metric("kvtier_events_dropped_total") > 0 and total > 100:
                break
        until(lambda: silo.metric("kvtier_events_dropped_total") > 0)
        sub.until(lambda seen: len(hashes(seen, "BlockStored", CPU)) == total)
        assert [number for _, number, _ in sub.batches] == list(range(len(sub.batches)))
        until(lambda: silo.metric("kvtier_events_stalled_total") == 1)
        connected(silo, 1)
        silo.until_logged("does not keep up")
        assert len(replay(outlets(silo)[0]["replay"], 0)) == len(sub.batches)
    stuck.close()


def test_many_subscribers_see_the_same(new_silo):
    silo = new_silo({"events-endpoint": ANY}, name="pub")
    client, ns = opened(silo)
    peers = [Subscriber(outlets(silo)[0]["endpoint"], TOPIC if i % 2 else b"") for i in range(40)]
    try:
        with client:
            connected(silo, 40)
            store(ns, chain(0, 50))
            for peer in peers:
                peer.until(lambda seen: hashes(seen, "BlockStored", CPU) == list(range(50)))
    finally:
        for peer in peers:
            peer.close()
    connected(silo, 0)


def test_more_subscribers_than_allowed_are_refused_and_counted(new_silo):
    silo = new_silo({"events-endpoint": ANY, "events-subscribers-max": 2}, name="pub")
    kept = [ByHand(port_of(silo)) for _ in range(2)]
    with socket.create_connection(("127.0.0.1", port_of(silo))) as third:
        third.settimeout(60)
        assert third.recv(1) == b""
    assert silo.metric("kvtier_events_refused_total") == 1
    for peer in kept:
        peer.close()


GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
GARBAGE = {
    "http": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "does not speak ZMTP"),
    "zeros": (b"\0" * 200, "does not speak ZMTP"),
    "ours": (b"KVT1" + b"\x01" * 60, "does not speak ZMTP"),
    "zmtp 2.0": (b"\xff" + b"\0" * 8 + b"\x7f\x01" + b"\x02" * 60, "older than 3.0"),
    "zmtp 1.0": (b"\xff" + b"\0" * 7 + b"\x01\x00" + b"\0" * 60, "does not speak ZMTP"),
    "mechanism of binary": (b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"\x01" * 20 + b"\0" * 32, "does not speak ZMTP"),
    "another mechanism": (b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + b"\0" * 32, "mechanism is CURVE"),
    "unknown flags": (GREETING + b"\xf0\x05hello", "flags"),
    "a message for READY": (GREETING + b"\x00\x05hello", "READY was due"),
    "a frame too long": (
        GREETING + b"\x06" + b"\xff" * 8, "longer than 8192"),
    "a name cut short": (
        GREETING + b"\x04\x03\x09RE", "without a name"),
    "a push socket": (None, "it is a PUSH, wanted is SUB or XSUB"),
}


def test_garbage_is_refused_with_a_reason_and_the_silo_goes_on(new_silo):
    # At the usual level only the first reason is logged, and the others are counted.
    silo = new_silo({"events-endpoint": ANY, "log-level": "debug"}, name="pub")
    for name, (sent, reason) in GARBAGE.items():
        before, logged = failures(silo), len(silo.log())
        if sent is None:
            ByHand(port_of(silo), kind=b"PUSH").close()
        else:
            with socket.create_connection(("127.0.0.1", port_of(silo))) as peer:
                peer.sendall(sent)
                peer.settimeout(60)
                while True:
                    try:
                        if not peer.recv(4096):
                            break
                    except ConnectionResetError:
                        break
        until(lambda: failures(silo) == before + 1, what=name)
        silo.until_logged(reason, logged)
    client, ns = opened(silo)
    with client, Subscriber(outlets(silo)[0]["endpoint"]) as sub:
        connected(silo, 1)
        store(ns, chain(0, 1))
        assert sub.until(lambda seen: hashes(seen, "BlockStored", CPU))


def test_garbage_after_the_handshake_ends_that_subscriber_only(new_silo):
    silo = new_silo({"events-endpoint": ANY, "events-replay-endpoint": ANY}, name="pub")
    good = ByHand(port_of(silo))
    good.send(0, b"\x01")
    bad = ByHand(port_of(silo))
    bad.send(0, b"\x01")
    connected(silo, 2)
    bad.socket.sendall(b"\xff" * 100)
    connected(silo, 1)
    # A request that is none is ignored, as it may be one of a later form; the next is answered.
    asking = ByHand(port_of(silo, "replay"), kind=b"DEALER")
    asking.send(0, b"what did I miss?")
    until(lambda: silo.metric("kvtier_events_replays_refused_total") == 1)
    asking.send(1, b"")
    asking.send(0, struct.pack(">q", 0))
    assert asking.message()[-1] == b""
    client, ns = opened(silo)
    with client:
        store(ns, chain(7, 1))
    assert good.message()[0] == TOPIC
    for peer in (good, bad, asking):
        peer.close()


def test_a_peer_that_says_nothing_is_ended(new_silo):
    silo = new_silo({"events-endpoint": ANY, "hello-timeout-ms": 300}, name="pub")
    with socket.create_connection(("127.0.0.1", port_of(silo))) as peer:
        peer.settimeout(60)
        while peer.recv(4096):
            pass
    until(lambda: failures(silo) == 1)
    silo.until_logged("no handshake within 0.3 s")


def test_plain_lets_in_who_shows_user_and_password(new_silo):
    silo = new_silo({"events-endpoint": ANY, "events-replay-endpoint": ANY, "events-user": "router", "events-password": "secret"},
                    name="pub")
    endpoint = outlets(silo)[0]["endpoint"]
    client, ns = opened(silo)
    with client, Subscriber(endpoint, PLAIN_USERNAME=b"router", PLAIN_PASSWORD=b"secret") as right:
        connected(silo, 1)
        with Subscriber(endpoint, PLAIN_USERNAME=b"router", PLAIN_PASSWORD=b"wrong"), Subscriber(endpoint):
            until(lambda: failures(silo) >= 2)
            assert outlets(silo)[0]["subscribers"] == 1
        store(ns, chain(0, 1))
        assert right.until(lambda seen: hashes(seen, "BlockStored", CPU))
        got = replay(outlets(silo)[0]["replay"], 0, PLAIN_USERNAME=b"router", PLAIN_PASSWORD=b"secret")
        assert got == right.batches
        assert "secret" not in silo.http("/engines") and "secret" not in str(silo.stat())


def test_notes_beyond_their_memory_are_dropped_and_counted(new_silo):
    silo = new_silo({"events-endpoint": ANY, "events-note-bytes": "64KiB"}, name="pub")
    client, ns = opened(silo)
    with client, Subscriber(outlets(silo)[0]["endpoint"]) as sub:
        connected(silo, 1)
        # Of blocks that never came the oldest go; of those that are told none goes.
        assert ns.event_notes(chain(0, 500), block_tokens=4).dropped == 0
        assert silo.metric("kvtier_events_notes_dropped_total") > 250
        store(ns, chain(10_000, 20))
        sub.until(lambda seen: hashes(seen, "BlockStored", CPU) == list(range(10_000, 10_020)))
        for start in range(20_000, 20_400, 20):
            notes = chain(start, 20)
            if ns.event_notes(notes, block_tokens=4).dropped > 0:
                break
            assert all(one.error is None for one in ns.put_many([(key, BLOCK) for key, _ in notes]))
            # Until they are told, they make room for those that come next.
            sub.until(lambda seen: start + 19 in hashes(seen, "BlockStored", CPU))
        silo.until_logged("no room for more")
        assert silo.metric("kvtier_events_note_memory_bytes") <= 64 << 10


def test_without_an_endpoint_nothing_is_published_and_plugins_hear_so(silo):
    with kvtier.connect(silo.unix) as client:
        taken = client.namespace(kvtier.Profile("quiet", 1, 1, 64, block_tokens=4)).event_notes(chain(0, 2), block_tokens=4)
        assert taken == (0, 2, False)


@pytest.mark.parametrize("options, words", [
    ({"events-endpoint": "5557"}, "tcp://"),
    ({"events-replay-endpoint": ANY}, "events.endpoint"),
    ({"events-endpoint": ANY, "events-format": "both"}, "events.arrayEndpoint"),
    ({"events-endpoint": ANY, "events-user": "x"}, "events.password"),
])
def test_wrong_options_are_refused_by_name(new_silo, options, words):
    with pytest.raises(AssertionError, match=words.replace(".", r"\.")):
        new_silo(options)


def test_ipc_works_as_tcp_does(new_silo, folder):
    silo = new_silo({"events-endpoint": f"ipc://{folder}/events"}, name="pub")
    client, ns = opened(silo)
    with client, Subscriber(f"ipc://{folder}/events") as sub:
        connected(silo, 1)
        store(ns, chain(0, 1))
        assert sub.until(lambda seen: hashes(seen, "BlockStored", CPU))


def test_libzmq_peers_of_other_types_are_refused(new_silo):
    silo = new_silo({"events-endpoint": ANY}, name="pub")
    context = zmq.Context()
    pull = context.socket(zmq.PULL)
    pull.setsockopt(zmq.LINGER, 0)
    pull.connect(outlets(silo)[0]["endpoint"])
    until(lambda: failures(silo) >= 1)
    silo.until_logged("it is a PULL, wanted is SUB or XSUB")
    pull.close()
    context.term()

"""KV events over ZeroMQ: what subscribers over libzmq see, as maps and as arrays, and how they fill gaps."""
import struct

import pytest
import zmq

from kvtier.engine import EventNote
from silos import reserve_port, until
from zmq_peers import (
    BLOCK, CPU, END, STORAGE, TOPIC, ByHand, Subscriber, as_dict, chain, connected, events_of, hash_of, hashes, opened, outlets, replay,
    store,
)

@pytest.fixture
def pub(new_silo):
    """A silo that publishes maps and arrays, with replay of both."""
    any_port = "tcp://127.0.0.1:0"
    return new_silo({"events-endpoint": any_port, "events-replay-endpoint": any_port, "events-format": "both",
                     "events-array-endpoint": any_port, "events-array-replay-endpoint": any_port}, name="pub")


def test_subscribers_see_what_is_stored_and_removed_in_both_forms(pub):
    client, ns = opened(pub)
    maps, arrays = outlets(pub)
    with client, Subscriber(maps["endpoint"], b"kv@") as map_sub, Subscriber(arrays["endpoint"], TOPIC) as array_sub:
        connected(pub, 1, 0)
        connected(pub, 1, 1)
        store(ns, chain(100, 3), lora_name="adapter-1")
        # What comes and goes within a moment is not told at all.
        map_sub.until(lambda seen: 101 in hashes(seen, "BlockStored", CPU))
        ns.delete([b"key-101"])
        for sub in (map_sub, array_sub):
            events = sub.until(lambda seen: hashes(seen, "BlockRemoved", CPU))
            assert events[0] == {"type": "AllBlocksCleared"}
            assert hashes(events, "BlockStored", CPU) == [100, 101, 102] and hashes(events, "BlockRemoved", CPU) == [101]
            stored = events[1]
            assert stored["parent_block_hash"] is None and stored["block_size"] == 4 and stored["lora_name"] == "adapter-1"
            tokens = [t for event in events if event["type"] == "BlockStored" for t in event["token_ids"]]
            assert tokens == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
            assert {topic for topic, _, _ in sub.batches} == {TOPIC}
            assert [number for _, number, _ in sub.batches] == list(range(len(sub.batches)))
        assert isinstance(events_of(map_sub.batches[0][2])[0], dict) and isinstance(events_of(array_sub.batches[0][2])[0], list)
        timestamp, _, rank = array_sub.batches[0][2]
        assert isinstance(timestamp, float) and timestamp > 1.7e9 and rank == 0


def test_a_run_of_children_is_one_event_and_a_break_begins_another(pub):
    client, ns = opened(pub)
    with client, Subscriber(outlets(pub)[0]["endpoint"]) as sub:
        connected(pub, 1)
        # All notes are there before any block is, and the blocks come in one put.
        both = chain(200, 3) + chain(300, 2)
        store(ns, both)
        events = sub.until(lambda seen: len(hashes(seen, "BlockStored", CPU)) == 5)
        for event in [one for one in events if one["type"] == "BlockStored"]:
            assert len(event["token_ids"]) == 4 * len(event["block_hashes"])
            first = event["block_hashes"][0]
            assert event["parent_block_hash"] == (None if first in (200, 300) else first - 1)
            assert event["block_hashes"] == list(range(first, first + len(event["block_hashes"])))


def test_blocks_are_told_in_the_order_of_their_puts(pub):
    client, ns = opened(pub)
    with client, Subscriber(outlets(pub)[0]["endpoint"]) as sub:
        connected(pub, 1)
        # Notes are there before the blocks, in another order; the silo looks at what has changed some ms later.
        for first in range(1000, 2000, 100):
            notes = chain(first, 20)
            assert ns.event_notes(notes[::-1], block_tokens=4).dropped == 0
            assert all(one.error is None for one in ns.put_many([(key, BLOCK) for key, _ in notes]))
        told = [first + number for first in range(1000, 2000, 100) for number in range(20)]
        assert hashes(sub.until(lambda seen: len(hashes(seen, "BlockStored", CPU)) == len(told)), "BlockStored", CPU) == told


def test_notes_may_come_after_the_block_and_carry_extra_keys_and_groups(pub):
    client, ns = opened(pub)
    with client, Subscriber(outlets(pub)[1]["endpoint"]) as sub:
        connected(pub, 1, 1)
        ns.put(b"late", BLOCK)
        assert sub.read(0.3) == 0
        note = EventNote(b"\xff" * 16, b"\x01", [1, 2, 3, 4], extra_keys=["image-7", 3], group_index=2)
        assert ns.event_notes([(b"late", note)], block_tokens=4).taken == 1
        stored = sub.until(lambda seen: hashes(seen, "BlockStored", CPU))[-1]
        assert stored["block_hashes"] == [2 ** 64 - 1] and stored["parent_block_hash"] == 1
        assert stored["extra_keys"] == [["image-7", 3]] and stored["group_idx"] == 2


@pytest.mark.parametrize("form, value", [("bytes", b"\xfe" * 32), ("signed", -0x0101010101010102), ("int", 0xFEFEFEFEFEFEFEFE)])
def test_hashes_are_written_as_asked(new_silo, form, value):
    silo = new_silo({"events-endpoint": "tcp://127.0.0.1:0", "events-hashes": form, "events-format": "fullMap"}, name="pub")
    client, ns = opened(silo)
    with client, Subscriber(outlets(silo)[0]["endpoint"]) as sub:
        connected(silo, 1)
        store(ns, [(b"one", EventNote(b"\xfe" * 32, None, [1, 2, 3, 4]))])
        assert sub.until(lambda seen: hashes(seen, "BlockStored", CPU))[-1]["block_hashes"] == [value]
        assert set(sub.batches[0][2]) == {"type", "ts", "events", "data_parallel_rank"}


def test_blocks_that_move_between_tiers_are_told_of_each(new_silo):
    any_port = "tcp://127.0.0.1:0"
    silo = new_silo({"events-endpoint": any_port, "events-replay-endpoint": any_port, "host-blocks": 8}, name="pub", ssd=True)
    client, ns = opened(silo)
    with client, Subscriber(outlets(silo)[0]["endpoint"]) as sub:
        connected(silo, 1)
        for first in range(1000, 1024, 4):
            blocks = range(first, first + 4)
            store(ns, [(b"key-%d" % n, EventNote(hash_of(n), None, [n] * 4)) for n in blocks])
            # What comes and goes within one look of the publisher is not told at all: the next blocks wait until these were told.
            sub.until(lambda seen: set(hashes(seen, "BlockStored", STORAGE)).issuperset(blocks))
        # Host memory has room for 8.
        events = sub.until(lambda seen: 0 < len(hashes(seen, "BlockRemoved", CPU)) >= len(hashes(seen, "BlockStored", CPU)) - 8)
        assert hashes(events, "BlockRemoved", STORAGE) == [] and set(hashes(events, "BlockStored", STORAGE)) == set(range(1000, 1024))
        gone = hashes(events, "BlockRemoved", CPU)[0]
        # One that is read comes back into host memory.
        assert ns.get(b"key-%d" % gone)
        sub.until(lambda seen: hashes(seen, "BlockStored", CPU).count(gone) == 2)
        ns.delete([b"key-1003"])
        sub.until(lambda seen: 1003 in hashes(seen, "BlockRemoved", STORAGE))


def test_gaps_are_filled_by_replay_with_dealer_and_req(pub):
    client, ns = opened(pub)
    with client, Subscriber(outlets(pub)[0]["endpoint"]) as sub:
        connected(pub, 1)
        for number in range(5):
            store(ns, chain(400 + 10 * number, 1))
            sub.until(lambda seen: 400 + 10 * number in hashes(seen, "BlockStored", CPU))
        place = outlets(pub)[0]["replay"]
        assert replay(place, 0) == sub.batches
        assert replay(place, 3) == sub.batches[3:] and replay(place, 99) == []
        assert replay(place, 1, topic=b"kv@pub@") == sub.batches[1:] and replay(place, 0, topic=b"other") == []
        assert replay(place, 2, delimited=False) == sub.batches[2:]
        arrays = replay(outlets(pub)[1]["replay"], 0)
        assert [as_dict(e) for _, _, b in arrays for e in events_of(b)][0] == {"type": "AllBlocksCleared"}
        # A REQ gets one batch for each request, and asks for the next one.
        context = zmq.Context()
        asking = context.socket(zmq.REQ)
        asking.setsockopt(zmq.LINGER, 0)
        asking.connect(place)
        numbers = []
        while True:
            asking.send((numbers[-1] + 1 if numbers else 0).to_bytes(8, "big"))
            assert asking.poll(60_000)
            _, sequence, _ = asking.recv_multipart()
            if sequence == END:
                break
            numbers.append(int.from_bytes(sequence, "big"))
        assert numbers == [number for _, number, _ in sub.batches]
        asking.close()
        context.term()
        assert pub.metric("kvtier_events_replays_total") >= 7


def test_ring_keeps_the_newest_batches_only(new_silo):
    any_port = "tcp://127.0.0.1:0"
    silo = new_silo({"events-endpoint": any_port, "events-replay-endpoint": any_port, "events-buffer": 3}, name="pub")
    client, ns = opened(silo)
    with client:
        for number in range(6):
            before = silo.metric("kvtier_events_batches_total")
            store(ns, chain(100 * number, 1))
            until(lambda: silo.metric("kvtier_events_batches_total") > before)
        kept = replay(outlets(silo)[0]["replay"], 0)
        last = int(silo.metric("kvtier_events_batches_total")) - 1
        assert [number for _, number, _ in kept] == [last - 2, last - 1, last]


def test_the_silo_connects_to_subscribers_that_wait_at_a_fixed_place(new_silo):
    context = zmq.Context()
    # Not a port of the system's choice: while nobody listens there, the silo's tries could end at each other.
    port = reserve_port()

    def listen():
        made = context.socket(zmq.SUB)
        made.setsockopt(zmq.LINGER, 0)
        made.setsockopt(zmq.SUBSCRIBE, b"kv@")
        try:
            made.bind(f"tcp://127.0.0.1:{port}")
            return made
        except zmq.ZMQError as refused:
            # Closing goes on behind close(): the one before may still have the port.
            made.close()
            assert refused.errno == zmq.EADDRINUSE
            return None

    waiting = listen()
    silo = new_silo({"events-endpoint": "tcp://127.0.0.1:0", "events-connect": f"tcp://localhost:{port},tcp://127.0.0.1:1"}, name="pub")
    client, ns = opened(silo)
    with client:
        until(lambda: waiting.poll(10) or outlets(silo)[0]["subscribed"] == 1)
        store(ns, chain(0, 1))
        assert waiting.poll(60_000) and waiting.recv_multipart()[0] == TOPIC
        # It goes away and comes back: the silo finds it again.
        waiting.close()
        until(lambda: outlets(silo)[0]["subscribers"] == 0)
        again = until(listen, what="the port free again")
        until(lambda: again.poll(10) or outlets(silo)[0]["subscribed"] == 1)
        store(ns, chain(50, 1))
        assert again.poll(60_000) and again.recv_multipart()[1] == struct.pack(">q", 1)
        again.close()
        silo.until_logged("not connected, trying again")
    context.term()


def test_subscribers_of_zmtp_30_and_31_are_both_served_and_prefixes_honoured(pub):
    client, ns = opened(pub)
    port = int(outlets(pub)[0]["endpoint"].rpartition(":")[2])
    old, new, other = ByHand(port, minor=0), ByHand(port, minor=1), ByHand(port, minor=1)
    assert old.greeting[10:12] == b"\x03\x01" and old.greeting[12:16] == b"NULL" and b"PUB" in old.ready[1]
    old.send(0, b"\x01kv@pub")
    new.command(b"SUBSCRIBE", TOPIC)
    other.command(b"SUBSCRIBE", b"kv@somebody")
    other.command(b"PING", b"\x00\x0ahello")
    assert other.frame() == (4, b"\x04PONGhello")
    connected(pub, 3)
    with client:
        new.command(b"PING", b"\x00\x00")
        assert new.frame() == (4, b"\x04PONG")
        old.command(b"PING", b"\x00\x00")
        assert old.frame() == (4, b"\x04PONG")
        store(ns, chain(500, 1))
        for peer in (old, new):
            topic, sequence, _ = peer.message()
            assert topic == TOPIC and sequence == struct.pack(">q", 0)
        # Taken back: what comes next is only the answer to the heartbeat.
        new.command(b"CANCEL", TOPIC)
        new.command(b"PING", b"\x00\x00x")
        assert new.frame() == (4, b"\x04PONGx")
        store(ns, chain(600, 1))
        assert old.message()[1] == struct.pack(">q", 1)
        for peer in (new, other):
            peer.command(b"PING", b"\x00\x00y")
            assert peer.frame() == (4, b"\x04PONGy")
    for peer in (old, new, other):
        peer.close()

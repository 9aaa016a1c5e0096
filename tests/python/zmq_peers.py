"""Peers of the silo's KV events: subscribers over libzmq, and one that writes ZMTP by hand."""
import json
import socket
import struct
import time

import msgpack
import zmq

import kvtier
from kvtier.engine import EventNote
from silos import until

END = b"\xff" * 8
PROFILE = kvtier.Profile("events-model", 1, 1, 64, block_tokens=4)
TOPIC = b"kv@pub@events-model"
BLOCK = b"\x07" * PROFILE.block_bytes
CPU, STORAGE = "CPU", "STORAGE"


def hash_of(number):
    """A hash whose last 8 bytes are a number."""
    return number.to_bytes(32, "big")


def chain(first, count, start=0):
    """Keys and notes of a run of blocks: hashes first, first + 1, …"""
    notes = []
    for i in range(start, start + count):
        parent = None if i == 0 else hash_of(first + i - 1)
        notes.append((b"key-%d" % (first + i), EventNote(hash_of(first + i), parent, [10 * i + t for t in range(4)])))
    return notes


def store(ns, notes, **more):
    """Notes and blocks, as a plug-in sends them."""
    taken = ns.event_notes(notes, block_tokens=4, **more)
    assert taken.dropped == 0 and taken.publishing
    assert all(one.error is None for one in ns.put_many([(key, BLOCK) for key, _ in notes]))


def outlets(silo):
    """Where it publishes, and to how many."""
    return json.loads(silo.http("/engines"))["events"]["outlets"]


def connected(silo, count, outlet=0):
    """Waits until that many subscribers have said what they want."""
    until(lambda: outlets(silo)[outlet]["subscribed"] == count, what=f"{count} subscribers")


def opened(silo):
    """A client and the namespace of these tests."""
    client = kvtier.connect(silo.unix, timeout_ms=30_000)
    return client, client.namespace(PROFILE)


class Subscriber:
    """A SUB socket of libzmq that collects batches until they are enough."""

    def __init__(self, endpoint, topic=b"", **options):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            self.socket.setsockopt(getattr(zmq, name), value)
        self.socket.setsockopt(zmq.SUBSCRIBE, topic)
        self.socket.connect(endpoint)
        self.batches = []

    def read(self, seconds):
        """Reads what comes within a time; returns the number of batches that came."""
        end, count = time.monotonic() + seconds, 0
        while self.socket.poll(max(0, 1000 * (end - time.monotonic()))):
            topic, sequence, payload = self.socket.recv_multipart()
            self.batches.append((topic, int.from_bytes(sequence, "big"), msgpack.unpackb(payload, strict_map_key=False)))
            count += 1
        return count

    def until(self, enough, seconds=60):
        """Reads until a condition of all events holds; returns them."""
        def look():
            # What is there already counts, whatever the time; what is on its way is waited for.
            if not self.read(0):
                self.socket.poll(50)
            return enough(self.events())
        until(look, seconds, "what is to be seen in the events")
        return self.events()

    def events(self):
        """All events so far, of either form, as dictionaries."""
        return [as_dict(event) for _, _, batch in self.batches for event in events_of(batch)]

    def close(self):
        self.socket.close()
        self.context.term()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_STORED = ["block_hashes", "parent_block_hash", "token_ids", "block_size", "lora_id", "medium", "lora_name", "extra_keys", "group_idx"]
_REMOVED = ["block_hashes", "medium", "group_idx"]


def events_of(batch):
    """The events of a batch of any form."""
    return batch["events"] if isinstance(batch, dict) else batch[1]


def as_dict(event):
    """An event of either form as a dictionary."""
    if isinstance(event, dict):
        return event
    names = {"BlockStored": _STORED, "BlockRemoved": _REMOVED, "AllBlocksCleared": []}[event[0]]
    return {"type": event[0], **dict(zip(names, event[1:]))}


def hashes(events, kind, medium):
    """Hashes of the blocks that were stored in a medium or removed from it, in order."""
    return [one for event in events if event["type"] == kind and event["medium"] == medium for one in event["block_hashes"]]


def replay(endpoint, start, topic=None, delimited=True, seconds=60, **options):
    """Asks for batches from a number on with a DEALER; returns [(topic, number, batch), …]."""
    context = zmq.Context()
    asking = context.socket(zmq.DEALER)
    asking.setsockopt(zmq.LINGER, 0)
    for name, value in options.items():
        asking.setsockopt(getattr(zmq, name), value)
    asking.connect(endpoint)
    try:
        asking.send_multipart(([b""] if delimited else []) + [start.to_bytes(8, "big")] + ([] if topic is None else [topic]))
        got = []
        while True:
            assert asking.poll(1000 * seconds), f"no end after {len(got)} batches"
            parts = asking.recv_multipart()
            if delimited:
                assert parts.pop(0) == b""
            topic_part, sequence, payload = parts
            if sequence == END:
                assert payload == b""
                return got
            got.append((topic_part, int.from_bytes(sequence, "big"), msgpack.unpackb(payload, strict_map_key=False)))
    finally:
        asking.close()
        context.term()


class ByHand:
    """A peer that writes ZMTP itself, of any version and socket type."""

    def __init__(self, port, minor=0, kind=b"SUB", receive_bytes=None):
        self.socket = socket.socket()
        self.socket.settimeout(60)
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(("127.0.0.1", port))
        self.buffer = b""
        self.socket.sendall(b"\xff" + b"\0" * 8 + b"\x7f" + bytes([3, minor]) + b"NULL".ljust(20, b"\0") + b"\0" * 32)
        self.greeting = self.take(64)
        self.command(b"READY", b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind)
        self.ready = self.frame()

    def take(self, count):
        """That many bytes; fewer when the silo closes."""
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                break
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def frame(self):
        """(flags, body) of the next frame."""
        head = self.take(2)
        if head[0] & 2:
            head += self.take(7)
            length = int.from_bytes(head[1:9], "big")
        else:
            length = head[1]
        return head[0] & ~2, self.take(length)

    def message(self):
        """The frames of the next message."""
        parts = []
        while True:
            flags, body = self.frame()
            parts.append(body)
            if not flags & 1:
                return parts

    def send(self, flags, body):
        self.socket.sendall(bytes([flags, len(body)]) + body)

    def command(self, name, data):
        self.send(4, bytes([len(name)]) + name + data)

    def close(self):
        self.socket.close()

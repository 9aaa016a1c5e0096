"""The golden frames of the protocol, made and checked without any KvTier code.

    python3 frames.py --write    writes frames.json from the table below (a change of it is a change of the protocol)
    python3 frames.py --check    checks frames.json: header fields, both CRCs, bodies as python3-msgpack reads and writes them

CRC32C and the header are computed here; bodies are made by python3-msgpack. In JSON, {"bin": "hex"} is a byte string.
"""
import json
import os
import struct
import sys

import msgpack

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frames.json")
REQUEST, RESPONSE, ERROR, NOTICE = 1, 2, 3, 4


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(kind: int, opcode: int, request_id: int, body: bytes, payload: bytes) -> bytes:
    head = struct.pack("<4sBBHQIII", b"KVT1", 1, kind, opcode, request_id, len(body), crc32c(body), len(payload))
    return head + struct.pack("<I", crc32c(head)) + body + payload


def block_check(block_id: bytes, codec: int, offset: int, payload: bytes) -> int:
    return crc32c(block_id + struct.pack("<iiiI", codec, offset, len(payload), crc32c(payload)))


ID1, ID2 = bytes(range(16)), bytes(range(0xF0, 0x100))
IDS = ID1 + ID2
LLAMA = ["llama-3.1-8b", 1, 32, 8, 128, "bf16", 16, 500000.0, 8.0, False]
OPAQUE = ["opaque", 0, 0, 0, 0, "raw", 0, 0.0, 0.0, False]
FINGERPRINT = bytes.fromhex("8f" * 16)
ARENA = ["/dev/shm/kvtier-1-host", 1 << 30, 0x1122334455667788]
LIMITS = {
    "keyBytesMax": 512, "blockBytesMax": 64 << 20, "batchBlocksMax": 4096, "frameBodyBytesMax": 4 << 20,
    "framePayloadBytesMax": 1 << 30, "connectionsMax": 1024, "inflightRequestsMax": 256, "leasesMax": 16384,
    "reservationsMax": 4096, "leaseMsMax": 60000, "pinMsMax": 86400000, "deadlineMsMax": 300000, "namespacesMax": 1024,
}
REFUSED = [2, "put.items[1].key.length", "600", "512"]
HELLO, WORLD = b"hello", b"world!"
MOMENTS = [4, 16, 2, 0, 1, 0, 0, False, False, 0, 0]
LANDMARK = [1, 8, 2, 0, 1, 0, 0, False, False, 48, 0]
ROTATION = [500000.0, 8.0, 128, 1, 0]
SEQUENCE = ["chat-1", 3, 40, [MOMENTS], None, 4096, 0, 0, 0]
FORKED = ["chat-2", 2, 32, [MOMENTS, LANDMARK], ROTATION, 8192, 512, 1, 1 << 20]
SELECTOR = ["moments", MOMENTS, 2, True, 1, 32.0, 1, 1, 0, 0, True, 1.0, 0, 0.0]
QUERIES = struct.pack("<8f", 1, 0, -1, 0.5, 0, 1, 2, -0.5)
HALVES = struct.pack("<4e", 1, 0, -1, 0.5)
OUTPUT = struct.pack("<4f", 0.25, 0.5, 1, -1) + struct.pack("<2f", 1.5, 2.5)
ROWS = struct.pack("<16e", *range(16))
EPOCH = 42
SILO_A = ["silo-a", "10.0.0.1:7070", "10.0.0.1:6379", "10.0.0.1:8080", 1 << 36, "rack-1", 1, 2, "d1", 3, False]
SILO_B = ["silo-b", "10.0.0.2:7070", None, None, 1 << 35, "", 1, 2, "", 7, True]
MAP = [41, [SILO_A, SILO_B], 2, {"acme/opaque": 3}, ["silo-a", "silo-lost"], IDS, struct.pack("<2i", 1, 0)]


def ints(*numbers):
    return struct.pack(f"<{len(numbers)}i", *numbers)


def cost(*numbers):
    return [*numbers, False, True]


# name, what it says, kind, opcode, request id, body, payload
FRAMES = [
    ("hello.request", "first request, with a token", REQUEST, 1, 1, [1, 1, "kvtier-net 0.1.0", "secret", ID1], b""),
    ("hello.request.no-token", "first request, without a token", REQUEST, 1, 1, [1, 1, "c", None, ID2], b""),
    ("hello.response", "the silo's answer to a local client", RESPONSE, 1, 1, [1, "silo-a", "0.1.0", ARENA, LIMITS], b""),
    ("hello.response.remote", "the same to a remote client", RESPONSE, 1, 1, [1, "silo-a", "0.1.0", None, LIMITS], b""),
    ("ping.request", "no fields", REQUEST, 2, 2, [], b""),
    ("ping.response", "no fields", RESPONSE, 2, 2, [], b""),
    ("namespaceOpen.request", "a model's namespace", REQUEST, 10, 3, ["acme", LLAMA], b""),
    ("namespaceOpen.response", "its handle", RESPONSE, 10, 3, [7, FINGERPRINT, 2097152], b""),
    ("namespaceList.request", "no fields", REQUEST, 11, 4, [], b""),
    ("namespaceList.response", "one namespace of 300 blocks", RESPONSE, 11, 4, [[["acme", LLAMA, FINGERPRINT, 300]]], b""),
    ("put.request", "two blocks, ack=ssd, one hour to live", REQUEST, 20, 5,
     [7, 1, 0, 3600000, 1000, [[b"key-1", 5, 0, block_check(ID1, 0, 0, HELLO)], [b"k" * 512, 6, 3, block_check(ID2, 3, 0, WORLD)]]],
     HELLO + WORLD),
    ("put.request.small", "one block, ack=memory; the worked example", REQUEST, 20, 5,
     [7, 0, 0, 0, 0, [[b"key-1", 5, 0, block_check(ID1, 0, 0, HELLO)]]], HELLO),
    ("put.response", "one stored, one here already", RESPONSE, 20, 5, [b"\x00\x01", None], b""),
    ("put.response.refused", "the second one refused", RESPONSE, 20, 5, [b"\x00\x02", REFUSED], b""),
    ("get.request", "two whole blocks", REQUEST, 21, 6, [7, 250, IDS, None], b""),
    ("get.request.ranges", "ranges of two blocks", REQUEST, 21, 6, [7, 0, IDS, struct.pack("<IIII", 0, 4, 2, 0)], b""),
    ("get.response", "a hit from host, a miss (evicted), a hit from SSD", RESPONSE, 21, 6,
     [[[0, 5, 0, block_check(ID1, 0, 0, HELLO), 5], [2, 0, 0, 0, 0], [128, 6, 3, block_check(ID2, 3, 0, WORLD), 6]]], HELLO + WORLD),
    ("prefix.request", "touch them", REQUEST, 22, 7, [7, 1, IDS], b""),
    ("prefix.response", "both: host, host and SSD", RESPONSE, 22, 7, [2, b"\x02\x06"], b""),
    ("delete.request", "two ids", REQUEST, 23, 8, [7, IDS], b""),
    ("delete.response", "one done, one not here", RESPONSE, 23, 8, [b"\x01\x00"], b""),
    ("pin.request", "for a minute", REQUEST, 24, 9, [7, 60000, IDS], b""),
    ("pin.response", "done", RESPONSE, 24, 9, [b"\x01\x01"], b""),
    ("unpin.request", "two ids", REQUEST, 25, 10, [7, IDS], b""),
    ("unpin.response", "done", RESPONSE, 25, 10, [b"\x01\x01"], b""),
    ("touch.request", "two ids", REQUEST, 26, 11, [7, IDS], b""),
    ("touch.response", "done", RESPONSE, 26, 11, [b"\x01\x01"], b""),
    ("prefetch.request", "one id", REQUEST, 27, 12, [7, ID1], b""),
    ("prefetch.response", "not here", RESPONSE, 27, 12, [b"\x00"], b""),
    ("describe.request", "two ids", REQUEST, 28, 13, [7, IDS], b""),
    ("describe.response", "one in host and SSD, one expired", RESPONSE, 28, 13,
     [[[6, 0, 5, 0, crc32c(HELLO), 1800000000000, 1700000000000, True], [0, 3, 0, 0, 0, 0, 0, False]]], b""),
    ("stat.request", "no fields", REQUEST, 29, 14, [], b""),
    ("stat.response", "JSON", RESPONSE, 29, 14, ['{"hostBlocks":1,"name":"größe"}'], b""),
    ("localAttach.request", "no fields", REQUEST, 30, 15, [], b""),
    ("localAttach.response", "the arena", RESPONSE, 30, 15, ARENA, b""),
    ("localGet.request", "two ids, leases of 5 s", REQUEST, 31, 16, [7, 100, 5000, IDS], b""),
    ("localGet.response", "a hit and a miss (never stored)", RESPONSE, 31, 16,
     [123456789012345, [[0, 1 << 40, 1 << 20, 5, 0, block_check(ID1, 0, 0, HELLO)], [1, 0, 0, 0, 0, 0]]], b""),
    ("localGet.request.check-by-silo", "the silo computes the checks of the bytes", REQUEST, 31, 16,
     [7, 100, 5000, IDS, 0, 0, None, 1], b""),
    ("localGet.response.checked", "a hit that the silo has checked, a miss (corrupt)", RESPONSE, 31, 16,
     [123456789012345, [[0, 1 << 40, 1 << 20, 5, 0, block_check(ID1, 0, 0, HELLO), 1], [5, 0, 0, 0, 0, 0]]], b""),
    ("localRelease.notice", "two leases", NOTICE, 32, 0, [struct.pack("<QQ", 1 << 40, 3)], b""),
    ("localReserve.request", "two blocks, replacing", REQUEST, 33, 17, [7, 1, 0, 100, 5000, [[b"key-1", 5, 0], [b"key-2", 6, 3]]], b""),
    ("localReserve.response", "one reserved, one refused", RESPONSE, 33, 17,
     [123456789012345, [[0, 9, 4096, 512], [2, 0, 0, 0]], [5, "hostBytes", "full", ""]], b""),
    ("localCommit.request", "one slot, ack=ssd", REQUEST, 34, 18, [1, 100, [[9, block_check(ID1, 0, 0, HELLO)]]], b""),
    ("localCommit.request.checks-by-silo", "two slots, the checks are the silo's", REQUEST, 34, 18, [0, 100, [[9, 0], [10, 0]], 1], b""),
    ("localCommit.response", "stored", RESPONSE, 34, 18, [b"\x00", None], b""),
    ("localAbort.notice", "one reservation", NOTICE, 35, 0, [struct.pack("<Q", 9)], b""),
    ("sequenceOpen.request", "two digests, keys stored before rotation", REQUEST, 40, 19,
     [7, 100, "chat-1", [MOMENTS, LANDMARK], ROTATION], b""),
    ("sequenceOpen.request.post-rope", "the usual case", REQUEST, 40, 19, [7, 0, "chat-1", [MOMENTS], None], b""),
    ("sequenceOpen.response", "a sequence of 40 tokens", RESPONSE, 40, 19, SEQUENCE, b""),
    ("sequenceAppend.request", "two blocks after 8 tokens", REQUEST, 41, 20, [7, 100, "chat-1", 32, False, 8, IDS], b""),
    ("sequenceAppend.request.any", "one block in place of the last, after any number", REQUEST, 41, 20,
     [7, 0, "chat-1", 9, True, None, ID1], b""),
    ("sequenceAppend.response", "what it is now", RESPONSE, 41, 20, SEQUENCE, b""),
    ("sequenceFork.request", "the first 32 tokens", REQUEST, 42, 21, [7, 100, "chat-1", "chat-2", 32], b""),
    ("sequenceFork.response", "the new one", RESPONSE, 42, 21, FORKED, b""),
    ("sequenceClose.request", "forget it", REQUEST, 43, 22, [7, 100, "chat-2"], b""),
    ("sequenceClose.response", "what it was", RESPONSE, 43, 22, FORKED, b""),
    ("sequenceDescribe.request", "what is it", REQUEST, 44, 23, [7, 0, "größe"], b""),
    ("sequenceDescribe.response", "a sequence", RESPONSE, 44, 23, SEQUENCE, b""),
    ("sequenceList.request", "the page after chat-1", REQUEST, 45, 24, [7, "chat-1", 100], b""),
    ("sequenceList.response", "two sequences", RESPONSE, 45, 24, [[SEQUENCE, FORKED]], b""),
    ("recall.request", "attention for one query of 2 heads of 4", REQUEST, 46, 25,
     [7, 100, 0, 3, 2, 1, 4, "fp32", 1, 1.0, 1.0, SELECTOR, crc32c(QUERIES), [["chat-1", 0, b""]]], QUERIES),
    ("recall.request.slots", "a gather in fp16 of what is not held, two layers", REQUEST, 46, 25,
     [7, 0, 0, 2, 1, 1, 2, "fp16", 3, 0.5, 2.0, SELECTOR, crc32c(HALVES),
      [["chat-1", 0, ints(0, -1)], ["größe", 31, ints(4, 2)]]], HALVES),
    ("recall.response", "o and lse; a token is missing", RESPONSE, 46, 25,
     [[[16, ints(2), ints(0, 2), b"", b"", b"", struct.pack("<qii", 33, 1, 5), 0, 0, 24, crc32c(OUTPUT),
        cost(3, 192, 1024, 512, 1, 1)]]], OUTPUT),
    ("localRecall.request", "ids only, leases of 5 s", REQUEST, 47, 26,
     [7, 100, 5000, 1, 2, 1, 4, "fp32", 1, 1.0, 1.0, SELECTOR, crc32c(QUERIES), [["chat-1", 0, b""]]], QUERIES),
    ("localRecall.response", "a gather of one unit of one KV head in the arena", RESPONSE, 47, 26,
     [123456789012345, 9, 4096, 32, [[4, ints(2), ints(0, 2), ints(2, 0), ints(1), ints(2), b"", 4, 0, 32, crc32c(ROWS),
        cost(3, 192, 32, 0, 1, 0)]]], b""),
    # In a cluster.
    ("put.request.routed", "one block of a group of another's id, ack=replica", REQUEST, 20, 27,
     [7, 2, 0, 0, 1000, [[b"key-1", 5, 0, block_check(ID1, 0, 0, HELLO)]], EPOCH, 0, ID2], HELLO),
    ("put.request.pushed", "the same from the owner to a replica", REQUEST, 20, 27,
     [7, 0, 0, 0, 1000, [[b"key-1", 5, 0, block_check(ID1, 0, 0, HELLO)]], EPOCH, 1, ID2], HELLO),
    ("put.response.moved", "one stored, one another silo's", RESPONSE, 20, 27, [b"\x00\x03", None, EPOCH], b""),
    ("get.request.routed", "two blocks, each a group of its own", REQUEST, 21, 28, [7, 250, IDS, None, EPOCH, 0, None], b""),
    ("get.request.hedge", "the same to a second silo", REQUEST, 21, 28, [7, 250, IDS, None, EPOCH, 4, IDS], b""),
    ("get.response.routed", "a hit, another silo's, lost with its owner; three copies of the first", RESPONSE, 21, 28,
     [[[0, 5, 0, block_check(ID1, 0, 0, HELLO), 5], [9, 0, 0, 0, 0], [10, 0, 0, 0, 0]], EPOCH, 3], HELLO),
    ("prefix.request.routed", "two of one group", REQUEST, 22, 29, [7, 1, IDS, EPOCH, 0, ID1 + ID1], b""),
    ("prefix.response.moved", "one here, the next one another silo's", RESPONSE, 22, 29, [1, b"\x02", EPOCH, True], b""),
    ("delete.request.routed", "two ids", REQUEST, 23, 30, [7, IDS, EPOCH, 0, None], b""),
    ("delete.response.moved", "one done, one another silo's", RESPONSE, 23, 30, [b"\x01\x02", EPOCH], b""),
    ("pin.request.routed", "for a minute", REQUEST, 24, 31, [7, 60000, IDS, EPOCH, 0, None], b""),
    ("describe.response.moved", "one another silo's, one lost with its owner", RESPONSE, 28, 32,
     [[[0, 9, 0, 0, 0, 0, 0, False], [0, 10, 0, 0, 0, 0, 0, False]], EPOCH], b""),
    ("localGet.request.routed", "two ids of one group", REQUEST, 31, 33, [7, 100, 5000, IDS, EPOCH, 0, ID1 + ID1], b""),
    ("localGet.response.routed", "a hit and another silo's", RESPONSE, 31, 33,
     [123456789012345, [[0, 1 << 40, 1 << 20, 5, 0, block_check(ID1, 0, 0, HELLO)], [9, 0, 0, 0, 0, 0]], EPOCH, 1], b""),
    ("localReserve.request.routed", "one block of a group", REQUEST, 33, 34,
     [7, 0, 0, 100, 5000, [[b"key-1", 5, 0]], EPOCH, 0, ID2], b""),
    ("localReserve.response.moved", "one reserved, one another silo's", RESPONSE, 33, 34,
     [123456789012345, [[0, 9, 4096, 512], [3, 0, 0, 0]], None, EPOCH], b""),
    ("sequenceOpen.request.routed", "with the caller's epoch", REQUEST, 40, 35, [7, 0, "chat-1", [MOMENTS], None, EPOCH], b""),
    ("sequenceAppend.request.routed", "with the caller's epoch", REQUEST, 41, 35, [7, 0, "chat-1", 9, True, None, ID1, EPOCH], b""),
    ("sequenceFork.request.routed", "with the caller's epoch", REQUEST, 42, 35, [7, 0, "chat-1", "chat-2", 0, EPOCH], b""),
    ("sequenceClose.request.routed", "with the caller's epoch", REQUEST, 43, 35, [7, 0, "chat-1", EPOCH], b""),
    ("sequenceList.request.routed", "with the caller's epoch", REQUEST, 45, 35, [7, "", 100, EPOCH], b""),
    ("recall.request.routed", "with the caller's epoch", REQUEST, 46, 36,
     [7, 100, 0, 3, 2, 1, 4, "fp32", 1, 1.0, 1.0, SELECTOR, crc32c(QUERIES), [["chat-1", 0, b""]], EPOCH], QUERIES),
    ("clusterMap.request", "newer than epoch 40", REQUEST, 48, 37, [40], b""),
    ("clusterMap.response", "two silos, one of them draining; two moved groups", RESPONSE, 48, 37, [EPOCH, "kvtier", "silo-a", MAP], b""),
    ("clusterMap.response.current", "nothing newer", RESPONSE, 48, 37, [EPOCH, "kvtier", "silo-a", None], b""),
    ("clusterMap.response.none", "a silo that is in no cluster", RESPONSE, 48, 37, [0, "", "silo-a", None], b""),
    ("clusterStatus.request", "no fields", REQUEST, 49, 38, [], b""),
    ("clusterStatus.response", "JSON", RESPONSE, 49, 38, ['{"epoch":42}'], b""),
    ("peer.request", "operation 20 with a payload", REQUEST, 50, 39, [20, EPOCH, "silo-b", b"\x92\x01\x02", 2000, crc32c(HELLO)], HELLO),
    ("peer.response", "its answer, with a payload", RESPONSE, 50, 39, [EPOCH, b"\x90", crc32c(WORLD)], WORLD),
    ("clusterAdmin.request", "drain a silo", REQUEST, 51, 40, ["drain", ["silo-b"], 30000], b""),
    ("clusterAdmin.response", "JSON", RESPONSE, 51, 40, ['{"epoch":43}'], b""),
    # Engine regions.
    ("regionOpen.request", "1,024 rows of 2 MiB every 4 MiB", REQUEST, 60, 42,
     [7, "/dev/shm/vllm_offload_e1.mmap", "e1", 1024, 4 << 20, 2 << 20], b""),
    ("regionOpen.response", "number 1", RESPONSE, 60, 42, [1, 4 << 30], b""),
    ("regionStore.request", "two rows, durable, until a time", REQUEST, 61, 43,
     [1, 1, 0, 123456789012345, [[b"key-1", 5], [b"key-2", 1023]]], b""),
    ("regionStore.request.routed", "one row in a cluster", REQUEST, 61, 43, [1, 0, 60000, 123456789012345, [[b"key-1", 0]], EPOCH, 0, None],
     b""),
    ("regionStore.response", "stored, refused", RESPONSE, 61, 43,
     [b"\x00\x02", [7, "region.row[1023]", "too late", "a copy that ends before the request's deadline"]], b""),
    ("regionLoad.request", "two blocks into rows 9 and 0", REQUEST, 62, 44, [1, 123456789012345, IDS, ints(9, 0)], b""),
    ("regionLoad.request.routed", "the same in a cluster", REQUEST, 62, 44, [1, 123456789012345, IDS, ints(9, 0), EPOCH, 0, IDS], b""),
    ("regionLoad.response", "read from SSD, evicted", RESPONSE, 62, 44, [b"\x80\x02", None], b""),
    ("regionLoad.response.routed", "here, another silo's", RESPONSE, 62, 44, [b"\x00\x09", None, EPOCH], b""),
    ("regionClose.request", "number 1", REQUEST, 63, 45, [1], b""),
    ("regionClose.response", "no fields", RESPONSE, 63, 45, [], b""),
    # Engines.
    ("engineHello.request", "two fields", REQUEST, 64, 41, [7, 250, "vllm", "0.20.0", "node-1/0", {"seed": "0", "dtype": "bf16"}], b""),
    ("engineHello.response", "one difference", RESPONSE, 64, 41,
     [2, True, [["seed", "0", "unset", "vllm 0.20.0 at node-2/0", "set PYTHONHASHSEED=0"]]], b""),
    ("loadable.request", "blocks here", REQUEST, 65, 42, [7, 250, IDS, 8000.0, 0.0, 16, 0, None], b""),
    ("loadable.request.tiers", "blocks that the client has found", REQUEST, 65, 43,
     [7, 0, IDS, 0.0, 1e9, 0, 2 << 20, bytes([2, 4])], b""),
    ("loadable.response", "one of two", RESPONSE, 65, 42, [1, 2, 0.5, 2.0, "loading 1 takes 0.5 ms"], b""),
    ("eventNotes.request", "a block and its child, which has more in its hash", REQUEST, 66, 44,
     [7, 2, None, [[ID1, b"\x01" * 8, None, ints(5, 6), None, None],
                   [ID2, b"\x02" * 8, b"\x01" * 8, ints(7, 8), msgpack.packb(["lora"]), 0]]], b""),
    ("eventNotes.response", "one had no room", RESPONSE, 66, 44, [1, 1, True], b""),
    ("error.moved", "a sequence of another silo", ERROR, 44, 41, [19, "sequence chat-1", "silo-b", "10.0.0.2:7070 42"], b""),
    ("error", "a put of a key that is too long", ERROR, 20, 2**64 - 1, REFUSED, b""),
    ("error.untrusted", "about a frame whose header can't be trusted", ERROR, 0, 0, [11, "frame.magic", "47455420", "4B565431"], b""),
]


def to_json(value):
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, dict):
        return {"map": [[key, to_json(item)] for key, item in value.items()]}
    return [to_json(item) for item in value] if isinstance(value, list) else value


def from_json(value):
    if isinstance(value, dict):
        return bytes.fromhex(value["bin"]) if "bin" in value else {key: from_json(item) for key, item in value["map"]}
    return [from_json(item) for item in value] if isinstance(value, list) else value


def write():
    entries = []
    for name, meaning, kind, opcode, request_id, body, payload in FRAMES:
        raw = frame(kind, opcode, request_id, msgpack.packb(body, use_bin_type=True), payload)
        entries.append({"name": name, "meaning": meaning, "kind": kind, "opcode": opcode, "requestId": str(request_id),
                        "body": to_json(body), "payload": payload.hex(), "frame": raw.hex()})
    with open(PATH, "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries) + "\n]\n")
    return len(entries)


def check():
    with open(PATH, encoding="utf-8") as source:
        entries = json.load(source)
    for entry in entries:
        raw, name = bytes.fromhex(entry["frame"]), entry["name"]
        magic, version, kind, opcode, request_id, body_length, body_crc, payload_length = struct.unpack_from("<4sBBHQIII", raw)
        (header_crc,) = struct.unpack_from("<I", raw, 28)
        body, payload = raw[32:32 + body_length], raw[32 + body_length:]
        assert (magic, version) == (b"KVT1", 1), name
        assert header_crc == crc32c(raw[:28]), name
        assert body_crc == crc32c(body), name
        assert (kind, opcode, request_id) == (entry["kind"], entry["opcode"], int(entry["requestId"])), name
        assert payload_length == len(payload) and payload == bytes.fromhex(entry["payload"]), name
        model = from_json(entry["body"])
        assert msgpack.unpackb(body, raw=False, strict_map_key=False) == model, name
        assert msgpack.packb(model, use_bin_type=True) == body, name
    return len(entries)


if __name__ == "__main__":
    if sys.argv[1:] not in (["--write"], ["--check"]):
        sys.exit(__doc__)
    print(f"{write() if sys.argv[1] == '--write' else check()} frames")

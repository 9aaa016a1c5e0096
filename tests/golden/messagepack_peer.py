"""The reference peer of the MessagePack tests: python3-msgpack.

    python3 messagepack_peer.py describe            reads values in hex, one a line, and prints each as text
    python3 messagepack_peer.py generate COUNT SEED prints random values, each as hex and as text

Text: n t f for nil, true, false; i and decimals; d and the 8 bytes of a float in hex; s and b and hex for text and bytes; [..] {k:v,..}; x for
an extension.
"""
import random
import struct
import sys

import msgpack


class Pairs(list):
    pass


def text(value):
    if value is None:
        return "n"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int):
        return f"i{value}"
    if isinstance(value, float):
        return "d" + struct.pack(">d", value).hex()
    if isinstance(value, str):
        return "s" + value.encode().hex()
    if isinstance(value, bytes):
        return "b" + value.hex()
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{text(key)}:{text(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text(item) for item in value) + "]"
    return "x"


def parse(raw):
    return msgpack.unpackb(raw, raw=False, strict_map_key=False, object_pairs_hook=Pairs)


def size(rng, small, large):
    return rng.choice(large if rng.random() < 0.05 else small)


def make(rng, depth):
    kind = rng.randrange(10 if depth else 7)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind in (1, 2):
        bits = rng.randrange(1, 65)
        value = rng.randrange(1 << bits)
        return value if rng.random() < 0.5 or value > 1 << 63 else -value
    if kind == 3:
        return struct.unpack(">d", rng.randbytes(8))[0] if rng.random() < 0.5 else rng.uniform(-10, 10)
    if kind == 4:
        return "".join(rng.choice("aé€😀\0") for _ in range(size(rng, [0, 1, 15, 16, 31, 32, 63, 64], [255, 256, 70000])))
    if kind == 5:
        return rng.randbytes(size(rng, [0, 1, 40], [255, 256, 65535, 65536]))
    if kind == 6:
        return msgpack.ExtType(rng.randrange(128), rng.randbytes(size(rng, [0, 1, 2, 3, 4, 8, 16, 17], [300, 70000])))
    count = size(rng, [0, 1, 3], [15, 16, 20])
    if kind < 9:
        return [make(rng, depth - 1) for _ in range(count)]
    return {f"k{i}" if rng.random() < 0.7 else i: make(rng, depth - 1) for i in range(count)}


def main():
    if sys.argv[1:] == ["describe"]:
        for line in sys.stdin:
            print(text(parse(bytes.fromhex(line))))
        return
    rng = random.Random(int(sys.argv[3]))
    for _ in range(int(sys.argv[2])):
        raw = msgpack.packb(make(rng, 2), use_bin_type=True, use_single_float=rng.random() < 0.2)
        print(raw.hex(), text(parse(raw)))
    long = msgpack.packb([0] * 70000)
    print(long.hex(), text(parse(long)))
    wide = msgpack.packb({i: None for i in range(70000)})
    print(wide.hex(), text(parse(wide)))


if __name__ == "__main__":
    main()

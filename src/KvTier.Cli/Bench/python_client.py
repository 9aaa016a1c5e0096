"""The Python side of `kvtier bench python`: KvTier's Python client, and redis-py doing the same.

    python_client.py SILO_ENDPOINT REDIS_SOCKET (empty for none)

Says which libraries there are, then answers each line "SIDE:OPERATION:BYTES:BATCH SECONDS" on stdin with one line of JSON: how often it ran
in that time, its median and its 99th percentile in seconds, and runs a second. A run is one request of BATCH blocks.
"""
import json
import sys
import time

import msgpack
import numpy as np
import redis

import kvtier

endpoint, redis_socket = sys.argv[1:]
client = kvtier.connect(endpoint, timeout_ms=60_000, local="require")
space = client.namespace(tenant="bench")
server = redis.Redis(unix_socket_path=redis_socket) if redis_socket else None


class Blocks:
    """Blocks of one length: what is put, their keys, and buffers to get into."""

    def __init__(self, length, batch):
        self.count = max(32, (128 << 20) // length) // batch * batch
        self.batch = batch
        self.data = np.random.default_rng(length).integers(0, 256, length, np.uint8).tobytes()
        self.keys = [b"python:%d:%d" % (length, i) for i in range(self.count)]
        self.put_keys = [b"python-put:%d:%d" % (length, i) for i in range(self.count)]
        self.into = [bytearray(length) for _ in range(batch)]

    def some(self, keys, i):
        first = i * self.batch % self.count
        return keys[first : first + self.batch]


class KvTier:
    def __init__(self, blocks):
        self.blocks = blocks
        for key in blocks.keys:
            space.put(key, blocks.data, overwrite=True)

    def get(self, i):
        with space.lease(self.blocks.some(self.blocks.keys, i)) as leases:
            if leases.hits < len(leases):
                raise RuntimeError("a block that was put is not there")

    def copy(self, i):
        hits = space.get_many(self.blocks.some(self.blocks.keys, i), self.blocks.into)
        if not all(hits):
            raise RuntimeError("a block that was put is not there")

    def put(self, i):
        outcomes = space.put_many([(key, self.blocks.data) for key in self.blocks.some(self.blocks.put_keys, i)], overwrite=True)
        if not all(outcomes):
            raise RuntimeError(f"a block was not stored: {outcomes[0].error}")

    def end(self):
        space.delete(self.blocks.keys + self.blocks.put_keys)


class Redis:
    def __init__(self, blocks):
        self.blocks = blocks
        for key in blocks.keys:
            server.set(key, blocks.data)

    def get(self, i):
        keys = self.blocks.some(self.blocks.keys, i)
        values = [server.get(keys[0])] if len(keys) == 1 else server.mget(keys)
        if any(len(value) != len(self.blocks.data) for value in values):
            raise RuntimeError("redis lost a key")

    copy = get

    def put(self, i):
        keys = self.blocks.some(self.blocks.put_keys, i)
        if len(keys) == 1:
            server.set(keys[0], self.blocks.data)
        else:
            server.mset({key: self.blocks.data for key in keys})

    def end(self):
        server.flushall()


class Prefix:
    """1,000 small blocks in order: how many are there?"""

    def __init__(self, side, count):
        self.keys = [b"prefix:%d" % i for i in range(count)]
        self.ask = self.of_silo if side == "kvtier" else self.of_redis
        if side == "kvtier":
            space.put_many([(key, b"x") for key in self.keys], overwrite=True)
        else:
            server.mset({key: b"x" for key in self.keys})

    def of_silo(self):
        return space.prefix(self.keys).count

    def of_redis(self):
        pipeline = server.pipeline(transaction=False)
        for key in self.keys:
            pipeline.exists(key)
        return sum(pipeline.execute())

    def prefix(self, _):
        if self.ask() != len(self.keys):
            raise RuntimeError("blocks that were put are not there")

    def end(self):
        pass


made = {}


def work_of(side, operation, length, batch):
    name = (side, operation == "prefix", length, batch)
    if name not in made:
        if operation == "prefix":
            made[name] = Prefix(side, batch)
        else:
            made[name] = {"kvtier": KvTier, "redis": Redis}[side](Blocks(length, batch))
    return getattr(made[name], operation)


def run(work, seconds):
    times = []
    begin = time.perf_counter()
    end = begin + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - start)
    rate = len(times) / (time.perf_counter() - begin)
    return {"count": len(times), "p50": float(np.median(times)), "p99": float(np.percentile(times, 99)), "rate": rate}


def version(module):
    return ".".join(map(str, module)) if isinstance(module, tuple) else str(module)


parser = None
if server is not None:
    server.ping()
    parser = type(server.connection_pool.make_connection()._parser).__name__
print(json.dumps({"python": sys.version.split()[0], "numpy": np.__version__, "msgpack": version(msgpack.version), "redis-py":
                  f"{redis.__version__} ({parser})"}), flush=True)
for line in sys.stdin:
    name, seconds = line.split()
    side, operation, length, batch = name.split(":")
    if operation == "end":
        for key in [key for key in made if key[0] == side and key[2] == int(length)]:
            made.pop(key).end()
        print(json.dumps({"count": 0, "p50": 0.0, "p99": 0.0}), flush=True)
    else:
        print(json.dumps(run(work_of(side, operation, int(length), int(batch)), float(seconds))), flush=True)

"""The Python side of the recall rows of `kvtier bench python`: gathers from one long sequence, and NumPy's from its own arrays.

    python_gather.py SILO_ENDPOINT TOKENS BUDGET_TOKENS

Stores a sequence `python-gather` of TOKENS tokens (one layer, 8 KV heads of 128, fp16, normal numbers) in the namespace
`bench/python-gather`, says which libraries there are, then answers each line "NAME SECONDS" on stdin with one line of JSON: how often it
ran in that time, its median and its 99th percentile in seconds, and runs a second.
"""
import json
import sys
import time

import numpy as np

import kvtier

ENDPOINT, TOKENS, BUDGET = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
HKV, GROUP, DIM, CHUNK, BLOCK = 8, 4, 128, 16, 64
HEADS = np.arange(HKV)[:, None]
random = np.random.default_rng(1)
KEYS, VALUES = (random.standard_normal((HKV, TOKENS, DIM), np.float32).astype(np.float16) for _ in range(2))
QUERIES = random.standard_normal((64, HKV * GROUP, DIM), np.float32)
MEANS_T = KEYS.reshape(HKV, -1, CHUNK, DIM).astype(np.float32).mean(axis=2).transpose(0, 2, 1)
KEY_CHUNKS, VALUE_CHUNKS = (each.reshape(HKV, TOKENS // CHUNK, CHUNK, DIM) for each in (KEYS, VALUES))
CHUNKS = BUDGET // CHUNK

client = kvtier.connect(ENDPOINT, timeout_ms=120_000, local="require")
space = client.namespace(kvtier.Profile("python-gather", 1, HKV, DIM, "fp16", BLOCK), tenant="bench")
selector = kvtier.Selector(
    "mean", kvtier.Digest("mean", CHUNK), "max", softmax=False, budget=CHUNKS * CHUNK, sink_chunks=0, recent_chunks=0)


def store():
    blocks = np.stack([KEYS.reshape(HKV, -1, BLOCK, DIM), VALUES.reshape(HKV, -1, BLOCK, DIM)]).transpose(2, 0, 1, 3, 4)
    sequence = space.sequence("python-gather", [selector.digest])
    for first in range(0, len(blocks), 256):
        keys = [b"gather:%d" % i for i in range(first, min(first + 256, len(blocks)))]
        if not all(space.put_many([(key, np.ascontiguousarray(blocks[first + i])) for i, key in enumerate(keys)])):
            raise RuntimeError("a block was not stored")
        sequence.append(keys, len(keys) * BLOCK)


def lease(i):
    with space.recall_lease([("python-gather", 0)], QUERIES[i % 64][None], selector, "gather") as items:
        check(items[0])


def copy(i):
    check(space.recall([("python-gather", 0)], QUERIES[i % 64][None], selector, "gather")[0])


def check(item):
    if item.missing or item.keys.shape != (HKV, CHUNKS * CHUNK, DIM):
        raise RuntimeError(f"rows are missing: {item.missing}")


def numpy(i):
    scores = np.matmul(QUERIES[i % 64].reshape(HKV, GROUP, DIM), MEANS_T).max(axis=1)
    chosen = np.argpartition(scores, scores.shape[1] - CHUNKS, axis=1)[:, -CHUNKS:]
    return KEY_CHUNKS[HEADS, chosen].reshape(HKV, -1, DIM), VALUE_CHUNKS[HEADS, chosen].reshape(HKV, -1, DIM)


def run(work, seconds):
    times = []
    begin = time.perf_counter()
    while not times or time.perf_counter() < begin + seconds:
        start = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - start)
    rate = len(times) / (time.perf_counter() - begin)
    return {"count": len(times), "p50": float(np.median(times)), "p99": float(np.percentile(times, 99)), "rate": rate}


store()
print(json.dumps({"python": sys.version.split()[0], "numpy": np.__version__}), flush=True)
for line in sys.stdin:
    name, seconds = line.split()
    print(json.dumps(run({"lease": lease, "copy": copy, "numpy": numpy}[name], float(seconds))), flush=True)

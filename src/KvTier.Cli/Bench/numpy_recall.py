"""The baseline of `kvtier bench recall`: the same work in NumPy (float32, OpenBLAS) and, where it is there, PyTorch.

Reads the arrays of a folder, says which libraries there are, then answers each line "NAME SECONDS" on stdin with one line
of JSON: how often NAME ran in that time, its median and its 99th percentile in seconds.
"""
import json
import sys
import time

import numpy as np

try:
    import torch

    torch.set_num_threads(2)
except ImportError:
    torch = None

folder, budget_chunks, chunk = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
KEYS, VALUES, MEANS, BOUNDS, QUERIES, SCORES = (
    np.load(f"{folder}/{name}.npy") for name in ("keys", "values", "means", "bounds", "queries", "scores")
)
HKV, TOKENS, DIM = KEYS.shape
GROUP = QUERIES.shape[1] // HKV
SCALE = np.float32(1 / np.sqrt(DIM))
KEY_CHUNKS = KEYS.reshape(HKV, TOKENS // chunk, chunk, DIM)
VALUE_CHUNKS = VALUES.reshape(HKV, TOKENS // chunk, chunk, DIM)
HEADS = np.arange(HKV)[:, None]
MEANS_T, BOUNDS_T = MEANS.transpose(0, 2, 1), BOUNDS.transpose(0, 2, 1)


def query(i):
    return QUERIES[i % len(QUERIES)].reshape(HKV, GROUP, DIM)


def score_mean(i):
    return np.matmul(query(i), MEANS_T)


def score_minmax(i):
    q = query(i)
    return np.matmul(np.concatenate([np.maximum(q, 0), np.minimum(q, 0)], axis=2), BOUNDS_T)


def topk(i):
    return np.argpartition(SCORES, len(SCORES) - budget_chunks)[-budget_chunks:]


def ids(i):
    scores = np.matmul(query(i), MEANS_T).max(axis=1)
    return np.argpartition(scores, scores.shape[1] - budget_chunks, axis=1)[:, -budget_chunks:]


def attention(q, keys, values):
    logits = np.matmul(q, keys.transpose(0, 2, 1)) * SCALE
    weights = np.exp(logits - logits.max(axis=2, keepdims=True))
    total = weights.sum(axis=2, keepdims=True)
    return np.matmul(weights, values) / total


def attend(i):
    first = (i * 4096) % max(1, TOKENS - 4096 + 1)
    return attention(query(i), KEYS[:, first : first + 4096], VALUES[:, first : first + 4096])


def recall(i):
    chosen = ids(i)
    keys = KEY_CHUNKS[HEADS, chosen].reshape(HKV, -1, DIM)
    values = VALUE_CHUNKS[HEADS, chosen].reshape(HKV, -1, DIM)
    return attention(query(i), keys, values)


if torch is not None:
    T_KEYS, T_VALUES, T_MEANS, T_QUERIES, T_SCORES = (
        torch.from_numpy(a) for a in (KEY_CHUNKS, VALUE_CHUNKS, MEANS, QUERIES, SCORES)
    )
    T_HEADS = torch.arange(HKV)[:, None]


def torch_query(i):
    return T_QUERIES[i % len(QUERIES)].reshape(HKV, GROUP, DIM)


def torch_score_mean(i):
    return torch.matmul(torch_query(i), T_MEANS.transpose(1, 2))


def torch_topk(i):
    return torch.topk(T_SCORES, budget_chunks, sorted=False).indices


def torch_ids(i):
    scores = torch_score_mean(i).amax(dim=1)
    return torch.topk(scores, budget_chunks, dim=1, sorted=False).indices


def torch_attention(q, keys, values):
    return torch.matmul(torch.softmax(torch.matmul(q, keys.transpose(1, 2)) * float(SCALE), dim=2), values)


def torch_attend(i):
    first = (i * 4096) % max(1, TOKENS - 4096 + 1)
    parts = (torch.from_numpy(a[:, first : first + 4096]) for a in (KEYS, VALUES))
    return torch_attention(torch_query(i), *parts)


def torch_recall(i):
    chosen = torch_ids(i)
    keys = T_KEYS[T_HEADS, chosen].reshape(HKV, -1, DIM)
    values = T_VALUES[T_HEADS, chosen].reshape(HKV, -1, DIM)
    return torch_attention(torch_query(i), keys, values)


def run(work, seconds):
    times = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - begin)
    return {"count": len(times), "p50": float(np.median(times)), "p99": float(np.percentile(times, 99))}


print(json.dumps({"numpy": np.__version__, "torch": None if torch is None else torch.__version__}), flush=True)
for line in sys.stdin:
    name, seconds = line.split()
    print(json.dumps(run(globals()[name], float(seconds))), flush=True)

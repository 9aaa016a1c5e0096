"""An independent judge of `kvtier eval recall`: the same .npy files, its own digests, choice and figures, in NumPy and double precision.

    python3 eval_recall.py --keys K.npy --values V.npy --queries Q.npy --digest mean|minmax|moments --chunk 16 --budget 1024
        --reduce max|sum|mean|union [--softmax] [--estimate] [--rank 0|1] [--sink-chunks N] [--recent-chunks N]

Prints one JSON document with the figures that `kvtier eval recall --json` prints too, and the chosen chunks of every step and KV head.
K and V are [Hkv, T, D], Q is [steps, Hq, D]; query head h reads KV head h / (Hq / Hkv).
"""
import argparse
import json

import numpy as np


def chunk_bounds(tokens, chunk):
    """First and last token + 1 of every chunk; the last chunk may be short."""
    starts = np.arange(0, tokens, chunk)
    return starts, np.minimum(starts + chunk, tokens)


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def main_direction(centred):
    """The chunk's spread along its main direction: singular value / sqrt(n) times the right singular vector, and the skew along it."""
    if not np.any(centred):
        return np.zeros(centred.shape[1]), 0.0
    places, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    along = places[:, 0] * np.sqrt(len(centred))
    return directions[0] * sizes[0] / np.sqrt(len(centred)), float(np.mean(along**3))


def two_points(t, skew):
    """Log of the mean exponential of t times a variable with two values, mean 0, variance 1 and the given skew."""
    high = (skew + np.sqrt(skew**2 + 4)) / 2
    low, share = -1 / high, 1 / (1 + high**2)
    return np.logaddexp(np.log(share) + t * high, np.log1p(-share) + t * low)


class Digests:
    """Digests of one KV head: one row of statistics for each chunk."""

    def __init__(self, keys, values, chunk, rank):
        self.starts, self.ends = chunk_bounds(len(keys), chunk)
        self.counts = self.ends - self.starts
        parts = [keys[a:b] for a, b in zip(self.starts, self.ends)]
        self.mean = np.stack([part.mean(axis=0) for part in parts])
        self.low = np.stack([part.min(axis=0) for part in parts])
        self.high = np.stack([part.max(axis=0) for part in parts])
        self.value = np.stack([values[a:b].mean(axis=0) for a, b in zip(self.starts, self.ends)])
        self.direction, self.skew = np.zeros_like(self.mean), np.zeros(len(parts))
        self.variance = np.stack([part.var(axis=0) for part in parts])
        if rank == 1:
            mains = [main_direction(part - part.mean(axis=0)) for part in parts]
            self.direction, self.skew = np.stack([main[0] for main in mains]), np.array([main[1] for main in mains])
            self.variance = np.maximum(0, self.variance - self.direction**2)

    def score(self, kind, query):
        """The logit that stands for a token of each chunk."""
        scale = 1 / np.sqrt(len(query))
        if kind == "mean":
            return scale * (self.mean @ query)
        if kind == "minmax":
            return scale * np.maximum(self.low * query, self.high * query).sum(axis=1)
        if kind == "moments":
            spread = scale**2 * (self.variance @ query**2)
            main = two_points(scale * (self.direction @ query), self.skew)
            logs = np.log(np.maximum(self.counts, 2))
            finite = np.where(self.counts < 2, 0, spread / (1 + np.sqrt(1 + spread / (1.5 * logs))))
            return scale * (self.mean @ query) + main + finite
        raise ValueError(kind)


def rank_chunks(scores, counts, reduce, use_softmax):
    """One key for each chunk out of the scores [G, chunks] of a KV head's query heads; with union one for each head."""
    if use_softmax:
        scores = softmax(scores + np.log(counts))
    if reduce == "max":
        return scores.max(axis=0, keepdims=True)
    if reduce in ("sum", "mean"):
        return scores.sum(axis=0, keepdims=True)
    return scores


def choose(keys, counts, options):
    """Sinks and recent chunks, then the best chunks while tokens fit; with several rankings they take turns."""
    chunks = len(counts)
    always = set(range(min(options.sink_chunks, chunks))) | set(range(max(0, chunks - options.recent_chunks), chunks))
    chosen, left = set(), options.budget
    for chunk in sorted(always, key=lambda c: (c >= options.sink_chunks, -c if c >= options.sink_chunks else c)):
        if counts[chunk] <= left:
            chosen.add(chunk)
            left -= counts[chunk]
    orders = [iter(np.lexsort((np.arange(chunks), -key))) for key in keys]
    open_orders = list(range(len(orders)))
    while open_orders:
        for which in list(open_orders):
            chunk = next((c for c in orders[which] if c not in chosen), None)
            if chunk is None or counts[chunk] > left:
                open_orders.remove(which)
                continue
            chosen.add(int(chunk))
            left -= counts[chunk]
    return sorted(int(c) for c in chosen)


def attend(logits, values, tokens):
    weights = softmax(logits[tokens])
    return weights @ values[tokens]


def attend_with_estimate(logits, values, tokens, digests, scores, chosen):
    """The chosen tokens exactly; every other chunk as one token of its mean value with its estimated mass."""
    rest = np.setdiff1d(np.arange(len(digests.counts)), chosen)
    all_logits = np.concatenate([logits[tokens], scores[rest] + np.log(digests.counts[rest])])
    return softmax(all_logits) @ np.concatenate([values[tokens], digests.value[rest]])


def cosine(a, b):
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms > 0 else 0.0


def judge_step(query, kv_heads, keys, values, digests, options):
    """Figures of one step: sums over query heads, and the chosen tokens of each KV head."""
    group, dim = len(query) // kv_heads, query.shape[1]
    sums = np.zeros(5)
    chosen_tokens, chosen_chunks = [], []
    for head in range(kv_heads):
        queries = query[head * group : (head + 1) * group]
        scores = np.stack([digests[head].score(options.digest, q) for q in queries])
        ranked = rank_chunks(scores, digests[head].counts, options.reduce, options.softmax)
        chunks = choose(ranked, digests[head].counts, options)
        tokens = np.concatenate([np.arange(digests[head].starts[c], digests[head].ends[c]) for c in chunks])
        chosen_chunks.append(chunks)
        chosen_tokens.append(set(tokens.tolist()))
        for g in range(group):
            logits = keys[head] @ queries[g] / np.sqrt(dim)
            p = softmax(logits)
            output = p @ values[head]
            best = np.lexsort((np.arange(len(p)), -p))[: options.budget]
            mine = (
                attend_with_estimate(logits, values[head], tokens, digests[head], scores[g], chunks)
                if options.estimate
                else attend(logits, values[head], tokens)
            )
            sums += [
                len(chosen_tokens[-1].intersection(best.tolist())) / options.budget,
                p[tokens].sum(),
                p[tokens].sum() / p[best].sum(),
                np.linalg.norm(output - mine) / np.linalg.norm(output),
                cosine(output, mine),
            ]
    return sums, chosen_tokens, chosen_chunks


def main():
    parser = argparse.ArgumentParser()
    for name in ("keys", "values", "queries"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--digest", choices=["mean", "minmax", "moments"], required=True)
    parser.add_argument("--reduce", choices=["max", "sum", "mean", "union"], default="max")
    parser.add_argument("--rank", type=int, choices=[0, 1], default=1)
    parser.add_argument("--softmax", action="store_true")
    parser.add_argument("--estimate", action="store_true")
    for name, value in (("chunk", 16), ("budget", 1024), ("sink-chunks", 0), ("recent-chunks", 0)):
        parser.add_argument("--" + name, type=int, default=value)
    options = parser.parse_args()
    keys, values, queries = (np.load(path).astype(np.float64) for path in (options.keys, options.values, options.queries))
    kv_heads = len(keys)
    digests = [Digests(keys[h], values[h], options.chunk, options.rank) for h in range(kv_heads)]
    sums, before, jaccards, all_chunks, chosen_count = np.zeros(5), None, [], [], 0
    for query in queries:
        step, tokens, chunks = judge_step(query, kv_heads, keys, values, digests, options)
        sums += step
        chosen_count += sum(len(t) for t in tokens)
        if before is not None:
            jaccards += [len(a & b) / len(a | b) for a, b in zip(before, tokens)]
        before = tokens
        all_chunks.append(chunks)
    names = ["recallAtK", "massRecall", "massRecallOfBest", "outputRelativeL2", "outputCosine"]
    figures = dict(zip(names, (sums / queries.shape[0] / queries.shape[1]).tolist()))
    figures["jaccard"] = float(np.mean(jaccards)) if jaccards else None
    figures["tokensChosen"] = chosen_count / len(queries) / kv_heads
    figures["chunks"] = all_chunks
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""A transformer of two layers that can do one thing: go on as it went on before. Its weights are set by hand, not learnt.

It is an induction circuit. In layer 0 every token attends to the one before it and notes what that was. In layer 1 a token looks for the
place where the token before was the same as itself now, and says what stood there. So after ``key`` it says what followed ``key`` the
last time, then what followed that, and so on: enough to answer a question about a needle in a long text, by attention alone.

The shape is that of today's models in small: query heads that share key and value heads (GQA), rotary positions on half of each head
(RoPE), a cache of keys after rotation. Half of the heads are noise, as most heads are for any one question.
"""
from __future__ import annotations

import numpy as np

LAYERS, QUERY_HEADS, KV_HEADS, HEAD_DIM = 2, 4, 2, 128
GROUP = QUERY_HEADS // KV_HEADS
ROTARY_DIM, ROPE_THETA = 64, 10_000.0
VOCABULARY = CODE = 64
SCALE = 1 / np.sqrt(HEAD_DIM)
# The residual stream: what the token is, what the one before was, what is to come, what the noisy heads write, and a constant one.
TOKEN, BEFORE, NEXT, NOISE = (slice(i * CODE, (i + 1) * CODE) for i in range(4))
ONE = 4 * CODE
WIDTH = ONE + 1
# Logits of the right token over the others; e^-30 of 65,536 others is nothing.
SHARPNESS = 30.0


def rotate(rows, positions):
    """RoPE on the first ROTARY_DIM of each row, halves paired. rows: [..., T, D]; positions: [T]."""
    half = ROTARY_DIM // 2
    angles = np.asarray(positions, np.float64)[:, None] * ROPE_THETA ** (-np.arange(half) / half)
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    a, b, rest = rows[..., :half], rows[..., half:ROTARY_DIM], rows[..., ROTARY_DIM:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos, rest], axis=-1)


def attend(queries, keys, values):
    """Attention of one position over rows of each KV head: o [Hq, D] and lse [Hq], the logarithm of the sum of weights.

    queries: [Hq, D]; keys and values: [Hkv, n, D]. No rows give o = 0 and lse = -inf.
    """
    logits = np.matmul(queries.reshape(KV_HEADS, GROUP, HEAD_DIM), keys.transpose(0, 2, 1)) * SCALE
    top = logits.max(axis=2, keepdims=True, initial=-np.inf)
    weights = np.exp(logits - np.where(np.isfinite(top), top, 0))
    total = weights.sum(axis=2, keepdims=True)
    with np.errstate(divide="ignore"):
        lse = np.where(total > 0, top + np.log(total), -np.inf)
    output = np.matmul(weights, values) / np.maximum(total, 1e-30)
    return output.reshape(QUERY_HEADS, HEAD_DIM).astype(np.float32), lse.reshape(QUERY_HEADS).astype(np.float32)


def merge(parts):
    """Attention over all rows from attention over parts of them, each (o, lse): every part weighs as much as its rows do."""
    outputs, sums = (np.stack(each) for each in zip(*parts))
    weights = np.exp(sums - sums.max(axis=0))
    return (weights[..., None] * outputs).sum(axis=0) / weights.sum(axis=0)[..., None]


class InductionModel:
    """The model. ``seed`` fixes the order of the codes, and the noise."""

    def __init__(self, seed=7):
        random = np.random.default_rng(seed)
        codes = np.ones((1, 1), np.float32)
        while len(codes) < CODE:
            codes = np.block([[codes, codes], [codes, -codes]])
        # A code for each token, orthogonal to all others.
        self.codes = codes[random.permutation(CODE)]
        self.embedding = np.zeros((VOCABULARY, WIDTH), np.float32)
        self.embedding[:, TOKEN] = self.codes + random.normal(0, 0.1, self.codes.shape)
        self.embedding[:, ONE] = 1
        noise = lambda *shape: random.normal(0, 1 / np.sqrt(shape[-2]), shape).astype(np.float32)
        self.to_query, self.to_key = noise(LAYERS, QUERY_HEADS, WIDTH, HEAD_DIM), noise(LAYERS, KV_HEADS, WIDTH, HEAD_DIM)
        self.to_value, self.from_heads = noise(LAYERS, KV_HEADS, WIDTH, HEAD_DIM), np.zeros((LAYERS, QUERY_HEADS, HEAD_DIM, WIDTH))
        self.from_heads[:, GROUP:, :, NOISE] = noise(LAYERS, QUERY_HEADS - GROUP, HEAD_DIM, CODE)
        self._look_back()
        self._look_up()
        self.from_heads = self.from_heads.astype(np.float32)

    def _look_back(self):
        """KV head 0 of layer 0: the query is a fixed vector, turned back by one position, so that it fits the key before best."""
        self.to_query[0, :GROUP], self.to_key[0, 0], self.to_value[0, 0] = 0, 0, 0
        fixed = np.zeros((1, HEAD_DIM), np.float32)
        fixed[0, : ROTARY_DIM // 2] = 1
        self.to_key[0, 0, ONE] = fixed[0]
        # One position apart the fit falls by 1.3; SHARPNESS of the logit for that.
        self.to_query[0, :GROUP, ONE] = rotate(fixed, [-1])[0] * SHARPNESS / SCALE / 1.3
        self._copy(0, TOKEN, BEFORE)

    def _look_up(self):
        """KV head 0 of layer 1: the query is the token, the key is the token before, in the half of the head that has no position."""
        self.to_query[1, :GROUP], self.to_key[1, 0], self.to_value[1, 0] = 0, 0, 0
        self.to_query[1, :GROUP, TOKEN, ROTARY_DIM:] = np.eye(CODE) * SHARPNESS / SCALE / CODE
        self.to_key[1, 0, BEFORE, ROTARY_DIM:] = np.eye(CODE)
        self._copy(1, TOKEN, NEXT)

    def _copy(self, layer, source, target):
        """KV head 0 of a layer carries one part of the stream to another; its query heads share the work."""
        self.to_value[layer, 0, source, :CODE] = np.eye(CODE)
        self.from_heads[layer, :GROUP, :CODE, target] = np.eye(CODE) / GROUP

    def project(self, layer, stream, positions):
        """Queries [Hq, T, D], keys and values [Hkv, T, D] of positions whose stream is [T, WIDTH]; queries and keys are rotated."""
        queries, keys = stream @ self.to_query[layer], stream @ self.to_key[layer]
        return rotate(queries, positions), rotate(keys, positions), stream @ self.to_value[layer]

    def add(self, layer, stream, outputs):
        """The stream after a layer's attention. outputs: [Hq, T, D]."""
        return stream + np.einsum("htd,hdw->tw", outputs, self.from_heads[layer])

    def token_of(self, stream):
        """The most likely next token for one position of the last layer's stream [WIDTH]."""
        return int(np.argmax(self.codes @ stream[NEXT]))

    def prefill(self, tokens, dtype=np.float16):
        """Keys and values of a whole text, [layer, 2, Hkv, T, D], as they go to the cache, and the token that follows."""
        positions = np.arange(len(tokens))
        stream = self.embedding[np.asarray(tokens)]
        cache = np.empty((LAYERS, 2, KV_HEADS, len(tokens), HEAD_DIM), dtype)
        for layer in range(LAYERS):
            queries, cache[layer, 0], cache[layer, 1] = self.project(layer, stream, positions)
            stream = self.add(layer, stream, _causal(queries, *cache[layer].astype(np.float32)))
        return cache, self.token_of(stream[-1])


def _causal(queries, keys, values, piece=256):
    """Attention of every position over itself and those before, a piece of the positions at a time."""
    outputs = np.empty_like(queries)
    shared = queries.reshape(KV_HEADS, GROUP, -1, HEAD_DIM)
    for first in range(0, keys.shape[1], piece):
        end = min(first + piece, keys.shape[1])
        logits = np.matmul(shared[:, :, first:end], keys[:, None, :end].transpose(0, 1, 3, 2)) * SCALE
        logits += np.where(np.arange(end) > np.arange(first, end)[:, None], -np.inf, 0)
        weights = np.exp(logits - logits.max(axis=3, keepdims=True))
        weights /= weights.sum(axis=3, keepdims=True)
        outputs[:, first:end] = np.matmul(weights, values[:, None, :end]).reshape(QUERY_HEADS, end - first, HEAD_DIM)
    return outputs

#!/usr/bin/env python3
"""A decode loop whose keys and values live in KvTier.

    python3 samples/decode_loop.py                                  # starts a silo of its own, from this repository's build
    python3 samples/decode_loop.py --endpoint unix:/run/kvtier.sock # or uses one that runs

A small transformer (induction_model.py) reads a long text in which somewhere stands a needle, a letter and the word behind it, and is
then asked with that letter. What it computes for the text goes to the silo in blocks of 16 tokens. Then it decodes the answer:

full    reads all blocks once, and attends to them here
gather  asks the silo at each layer of each step for the rows that its query needs, and attends to those here
attend  asks for the attention itself; merges it with that over the tokens that are not in a block yet
window  the same budget without asking: only the last tokens. It can't know the answer, or the question would be too easy

Exit status 0: full, gather and attend said the same with a budget of all tokens, and gather and attend found the needle with the small
budget too; 1: not; 2: the silo can't be reached or refuses.
"""
import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from induction_model import HEAD_DIM, KV_HEADS, LAYERS, InductionModel, attend, merge

REPOSITORY = Path(__file__).resolve().parents[1]
with contextlib.suppress(ImportError):
    import kvtier
if "kvtier" not in sys.modules:
    sys.path.insert(0, str(REPOSITORY / "src" / "python"))
    import kvtier

EXECUTABLE = REPOSITORY / "src/KvTier.Cli/bin/Release/net10.0/kvtier"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FILLER = LETTERS[:38]
QUESTION, ANSWER = "K", "UNCOPYRIGHTABLE"
BLOCK = 16
DTYPE = np.float16
PROFILE = kvtier.Profile("decode-loop", layers=LAYERS, kv_heads=KV_HEADS, head_dim=HEAD_DIM, dtype="fp16", block_tokens=BLOCK)


def make_text(tokens, seed):
    """Noise with the needle a quarter into it and the question at its end, as numbers of letters."""
    random = np.random.default_rng(seed)
    text = list(random.choice(list(FILLER), tokens))
    at = tokens // 4
    text[at : at + 1 + len(ANSWER)] = QUESTION + ANSWER
    text[-1] = QUESTION
    return [LETTERS.index(letter) for letter in text]


def block_keys(tokens):
    """A key for each whole block: a hash of all tokens up to its end, so that equal keys mean equal contents."""
    keys, digest = [], hashlib.sha256(b"decode-loop 1")
    for first in range(0, len(tokens) - BLOCK + 1, BLOCK):
        digest.update(bytes(tokens[first : first + BLOCK]))
        keys.append(digest.digest())
    return keys


class Context:
    """A text whose whole blocks are in KvTier as a sequence, and whose last tokens, not a block yet, are here."""

    def __init__(self, ns, model, name, budget):
        self.ns, self.model, self.budget = ns, model, budget
        self.sequence = ns.sequence(name)
        self.tokens, self.stored = [], 0
        self.tail = np.zeros((LAYERS, 2, KV_HEADS, BLOCK, HEAD_DIM), DTYPE)
        self.rows_read = self.steps = 0

    def begin(self, tokens, keys):
        """Takes over the text's blocks, which are stored, and runs the tokens behind them. Returns the token that follows."""
        self.sequence.append(keys, len(keys) * BLOCK)
        self.stored = len(keys) * BLOCK
        self.tokens = list(tokens[: self.stored])
        self.load(keys)
        return [self.step(token) for token in tokens[self.stored :]][-1]

    def step(self, token):
        """Runs one token through the model. Returns the token that follows."""
        self.tokens.append(token)
        here = len(self.tokens) - self.stored
        position = len(self.tokens) - 1
        stream = self.model.embedding[[token]]
        for layer in range(LAYERS):
            queries, keys, values = self.model.project(layer, stream, [position])
            self.tail[layer, 0, :, here - 1], self.tail[layer, 1, :, here - 1] = keys[:, 0], values[:, 0]
            rows = self.tail[layer, :, :, :here].astype(np.float32)
            parts = [self.remote(layer, queries[:, 0]), attend(queries[:, 0], rows[0], rows[1])]
            stream = self.model.add(layer, stream, merge(parts)[:, None])
        self.steps += 1
        if here == BLOCK:
            self.seal()
        return self.model.token_of(stream[0])

    def seal(self):
        """The tail has become a block: to the silo with it."""
        key = block_keys(self.tokens)[-1]
        self.ns.put(key, np.ascontiguousarray(self.tail))
        self.stored += BLOCK
        self.sequence.append([key], BLOCK)

    def selector(self):
        """The budget for what is stored by now, in tokens of each KV head."""
        return kvtier.selectors.moments.with_budget(max(1, int(self.budget * self.stored)))

    def load(self, keys):
        """Called once with the blocks of the text."""

    def remote(self, layer, queries):
        """Attention (o, lse) over what is stored."""
        raise NotImplementedError


class Full(Context):
    """Keeps a copy of all blocks, as an engine does that loads a prefix."""

    def load(self, keys):
        blocks = [self.block(hit) for hit in self.ns.get_many(keys)]
        self.cache = np.concatenate(blocks, axis=3).astype(np.float32)

    def block(self, hit):
        if not hit:
            raise SystemExit(f"a block is gone: {hit.reason}")
        return np.frombuffer(hit.data, DTYPE).reshape(LAYERS, 2, KV_HEADS, BLOCK, HEAD_DIM)

    def seal(self):
        self.cache = np.concatenate([self.cache, self.tail.astype(np.float32)], axis=3)
        super().seal()

    def remote(self, layer, queries):
        self.rows_read += self.cache.shape[3]
        return attend(queries, self.cache[layer, 0], self.cache[layer, 1])


class Window(Full):
    """Reads the last tokens only."""

    def remote(self, layer, queries):
        rows = max(1, int(self.budget * self.stored))
        self.rows_read += rows
        return attend(queries, self.cache[layer, 0, :, -rows:], self.cache[layer, 1, :, -rows:])


class Gather(Context):
    """Asks for rows."""

    def remote(self, layer, queries):
        item = self.recall(layer, queries, "gather")
        self.rows_read += item.keys.shape[1]
        return attend(queries, item.keys.astype(np.float32), item.values.astype(np.float32))

    def recall(self, layer, queries, mode):
        asked = queries[None, None].astype(np.float32)
        [item] = self.ns.recall([(self.sequence.name, layer)], asked, selector=self.selector(), mode=mode)
        if item.missing:
            raise SystemExit(f"tokens are gone: {item.missing}")
        return item


class Attend(Gather):
    """Asks for attention."""

    def remote(self, layer, queries):
        item = self.recall(layer, queries, "attend")
        self.rows_read += max(sum(min(BLOCK, self.stored - unit * item.unit_tokens) for unit in units) for units in item.units)
        return item.output[0], item.lse[0]


@contextlib.contextmanager
def silo_of_our_own(program):
    """Starts a silo, and ends it at the end. Yields its endpoint."""
    if not Path(program).exists():
        raise SystemExit(f"{program} is not there: run ./dev build first, or name a silo with --endpoint")
    with tempfile.TemporaryDirectory(prefix="kvt-") as folder:
        socket = f"{folder}/silo.sock"
        silo = subprocess.Popen(
            [str(program), "serve", "--tcp", "false", "--http-enabled", "false", "--unix-socket", socket, "--host-bytes", "256MiB"],
            stdout=subprocess.PIPE, text=True)
        try:
            if not any(line.strip() == "ready" for line in silo.stdout):
                raise SystemExit("the silo did not start; what it said is above")
            yield f"unix:{socket}"
        finally:
            silo.terminate()
            silo.wait(60)


def prepare(ns, model, text):
    """Sees to it that the blocks of the text are stored: computes them only when they are not. Returns their keys."""
    # The last token is always left to run, as its output is what comes next.
    keys = block_keys(text[:-1])
    there = ns.prefix(keys).count
    begin = time.perf_counter()
    if there < len(keys):
        cache, _ = model.prefill(text[: len(keys) * BLOCK], DTYPE)
        blocks = [np.ascontiguousarray(cache[:, :, :, i * BLOCK : (i + 1) * BLOCK]) for i in range(there, len(keys))]
        for outcome in ns.put_many(list(zip(keys[there:], blocks))):
            if outcome.error is not None:
                raise outcome.error
    print(f"text of {len(text)} tokens: {there} of {len(keys)} blocks were stored, the others are now "
          f"({time.perf_counter() - begin:.1f} s)")
    return keys


def decode(kind, ns, model, text, keys, budget):
    """Decodes an answer and prints a row about it. Returns the answer."""
    context = kind(ns, model, f"decode-loop.{os.getpid()}.{kind.__name__.lower()}.{budget}", budget)
    try:
        begin = time.perf_counter()
        said = [context.begin(text, keys)]
        while len(said) < len(ANSWER):
            said.append(context.step(said[-1]))
        answer = "".join(LETTERS[token] for token in said)
        took = (time.perf_counter() - begin) / context.steps
        share = context.rows_read / (context.steps * LAYERS) / len(text)
        print(f"{kind.__name__.lower():8}{budget:>8.0%}  {answer:18}{share:>7.1%} of the tokens read{1000 * took:>9.1f} ms a step")
        return answer
    finally:
        context.sequence.close()


def main():
    parser = argparse.ArgumentParser(description="Decode with keys and values in KvTier.")
    parser.add_argument(
        "--endpoint", help="a silo that runs, such as unix:/run/kvtier.sock, or some of a cluster with commas between; default: a new one")
    parser.add_argument("--executable", default=EXECUTABLE, help="kvtier, for a silo of its own; default: this repository's build")
    parser.add_argument("--tokens", type=int, default=2048, help="length of the text (default 2048)")
    parser.add_argument("--budget", type=float, default=0.1, help="the small budget, as a share of the tokens (default 0.1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the text (default 1)")
    asked = parser.parse_args()
    if not 256 <= asked.tokens <= 1 << 16 or not 0.01 <= asked.budget <= 1:
        parser.error("--tokens is 256 to 65536, --budget 0.01 to 1")
    text, model = make_text(asked.tokens, asked.seed), InductionModel()
    with contextlib.ExitStack() as cleanup:
        endpoint = asked.endpoint or cleanup.enter_context(silo_of_our_own(asked.executable))
        client = cleanup.enter_context(kvtier.connect(endpoint.split(","), timeout_ms=30_000))
        ns = client.namespace(PROFILE)
        keys = prepare(ns, model, text)
        run = lambda kind, budget: decode(kind, ns, model, text, keys, budget)
        whole = {run(kind, 1.0) for kind in (Full, Gather, Attend)}
        few = {run(kind, asked.budget) for kind in (Gather, Attend)}
        blind = run(Window, asked.budget)
    held = {"full, gather and attend agree with a budget of all tokens": len(whole) == 1,
            "they found the needle": whole == {ANSWER},
            f"gather and attend found it with {asked.budget:.0%} of the tokens": few == {ANSWER},
            "the last tokens alone did not have it": blind != ANSWER or asked.budget > 0.7}
    for what, good in held.items():
        print(f"{'yes' if good else 'NO '} {what}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except kvtier.KvTierError as error:
        print(f"decode_loop: {error}", file=sys.stderr)
        sys.exit(2)

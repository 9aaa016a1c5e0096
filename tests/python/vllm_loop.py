"""The part of vLLM that calls a KV connector, in its order, with CPU tensors: a scheduler, workers, and a model whose keys and values
follow from the tokens. What is computed on top of a wrong block is wrong too, as it is in a model.
"""
import copy
import hashlib
import time
from types import SimpleNamespace

import numpy as np
import torch

from kvtier_vllm.bases import connector_bases
from kvtier_vllm.connector import KvTierConnector
from vllm_engine import PATIENT_MS, Caller

Role = connector_bases()["KVConnectorRole"]
TOKENS, DIM = 16, 8


class Request:
    """A request with hashes of its whole blocks, each of all tokens before it."""

    def __init__(self, name: str, tokens: list, salt: str = ""):
        self.request_id = name
        self.tokens = list(tokens)
        self.salt = salt
        self.num_computed_tokens = 0
        self.num_prompt_tokens = len(tokens)
        self.block_hashes: list = []
        self.blocks: list = []
        self.append()

    @property
    def all_token_ids(self) -> list:
        return self.tokens

    @property
    def num_tokens(self) -> int:
        return len(self.tokens)

    def append(self, *tokens: int) -> None:
        self.tokens += tokens
        while (len(self.block_hashes) + 1) * TOKENS <= len(self.tokens):
            at = len(self.block_hashes) * TOKENS
            before = self.block_hashes[-1] if self.block_hashes else self.salt.encode()
            self.block_hashes.append(hashlib.sha256(before + str(self.tokens[at:at + TOKENS]).encode()).digest())


class Worker:
    """One rank: its tensors and its connector."""

    def __init__(self, engine: "Loop", rank: int):
        self.engine, self.rank = engine, rank
        config = copy.deepcopy(engine.config)
        config.parallel_config.rank = rank
        self.connector = KvTierConnector(config, Role.WORKER, engine.cache)
        self.tensors = {name: engine.new_tensor() for name in engine.layers}
        self.connector.register_kv_caches(self.tensors)

    def block(self, layer: str, block: int):
        return self.tensors[layer].select(self.engine.block_axis, block)

    def expected(self, layer: str, number: bytes):
        """The page of a block with a hash, in this rank's axes."""
        seed = int.from_bytes(hashlib.sha256(number + layer.encode()).digest()[:8], "big")
        whole = torch.from_numpy(np.random.default_rng(seed).standard_normal((2, TOKENS, self.engine.heads, DIM)).astype("f4"))
        if self.engine.mla:
            return whole[0, :, 0].to(self.engine.dtype)
        own = max(1, self.engine.heads // self.engine.size)
        first = self.rank * own if self.engine.size <= self.engine.heads else self.rank // (self.engine.size // self.engine.heads)
        page = whole[:, :, first:first + own].to(self.engine.dtype)
        return page.permute(["2THD".index(axis) for axis in self.engine.axes if axis != "N"])

    def is_right(self, layer: str, block: int, number: bytes) -> bool:
        return torch.equal(self.block(layer, block), self.expected(layer, number))

    def step(self, metadata, work) -> set:
        """One forward pass; `work` has (request, first token, end). Returns the blocks that could not be loaded."""
        connector, context = self.connector, SimpleNamespace(no_compile_layers={})
        connector.handle_preemptions(metadata)
        connector.bind_connector_metadata(metadata)
        connector.start_load_kv(context)
        for layer in self.engine.layers:
            connector.wait_for_layer_load(layer)
            for request, first, end in work:
                self._compute(layer, request, first, end)
            connector.save_kv_layer(layer, self.tensors[layer], None)
        connector.wait_for_save()
        assert connector.get_finished(set()) == (None, None)
        errors = connector.get_block_ids_with_load_errors()
        connector.clear_connector_metadata()
        return errors

    def _compute(self, layer: str, request: Request, first: int, end: int) -> None:
        right = all(self.is_right(layer, request.blocks[at], request.block_hashes[at]) for at in range(first // TOKENS))
        for at in range(first // TOKENS, -(-end // TOKENS)):
            if at < len(request.block_hashes) and (at + 1) * TOKENS <= end and right:
                page = self.expected(layer, request.block_hashes[at])
            else:
                page = torch.full_like(self.block(layer, request.blocks[at]), 7)
            self.block(layer, request.blocks[at]).copy_(page)


class Loop:
    """One engine."""

    def __init__(self, endpoint, size=1, heads=4, layers=3, blocks=64, dtype=torch.bfloat16, axes="2NTHD", mla=False, policy="recompute",
                 model="meta-llama/Llama-3.1-8B", groups=1, pipeline=1, **options):
        self.size, self.heads, self.mla, self.dtype, self.axes, self.blocks = size, 1 if mla else heads, mla, dtype, axes, blocks
        self.layers = [f"model.layers.{at}.self_attn.attn" for at in range(layers)]
        own = max(1, self.heads // size)
        kind = type("MLAAttentionSpec" if mla else "FullAttentionSpec", (SimpleNamespace,), {})
        item = torch.empty(0, dtype=dtype).element_size()
        spec = kind(block_size=TOKENS, num_kv_heads=own, head_size=DIM, dtype=dtype,
                    page_size_bytes=(1 if mla else 2 * own) * TOKENS * DIM * item)
        self.cache = SimpleNamespace(num_blocks=blocks, kv_cache_groups=[
            SimpleNamespace(kv_cache_spec=spec, layer_names=list(self.layers)) for _ in range(groups)])
        options = {"lookup_ms": PATIENT_MS, "load_ms": PATIENT_MS, "save_ms": PATIENT_MS, "connect_ms": PATIENT_MS, **options}
        self.config = SimpleNamespace(
            kv_transfer_config=SimpleNamespace(kv_connector_extra_config={"endpoint": endpoint, **options}, kv_load_failure_policy=policy,
                                               is_kv_producer=True),
            model_config=SimpleNamespace(model=model, revision=None, dtype=dtype),
            cache_config=SimpleNamespace(cache_dtype="auto", block_size=TOKENS, prefix_caching_hash_algo="sha256_cbor"),
            parallel_config=SimpleNamespace(rank=0, tensor_parallel_size=size, pipeline_parallel_size=pipeline))
        self.scheduler = KvTierConnector(self.config, Role.SCHEDULER, self.cache)
        self.workers = [Worker(self, rank) for rank in range(size)]
        self._free = list(range(1, blocks))
        self.call = Caller(self.scheduler._client)

    @property
    def block_axis(self) -> int:
        return 0 if self.mla else self.axes.index("N")

    def new_tensor(self):
        if self.mla:
            return torch.zeros(self.blocks, TOKENS, DIM, dtype=self.dtype)
        sizes = {"2": 2, "N": self.blocks, "T": TOKENS, "H": max(1, self.heads // self.size), "D": DIM}
        return torch.zeros([sizes[axis] for axis in self.axes], dtype=self.dtype)

    def hurry(self, lookup_ms=100, load_ms=400, save_ms=400) -> None:
        for connector in (self.scheduler, *(worker.connector for worker in self.workers)):
            connector.options.lookup_ms, connector.options.load_ms, connector.options.save_ms = lookup_ms, load_ms, save_ms

    def calm(self) -> None:
        self.hurry(PATIENT_MS, PATIENT_MS, PATIENT_MS)

    def admit(self, request: Request, local: int = 0, seconds: float = 90) -> int:
        """Asks until the connector knows how many tokens it has, and allocates blocks. Returns the tokens."""
        self.call(self.scheduler.on_new_request, request)
        until = time.monotonic() + seconds
        while True:
            found, is_async = self.call(self.scheduler.get_num_new_matched_tokens, request, local)
            assert is_async is False
            if found is not None:
                break
            assert time.monotonic() < until
            time.sleep(0.002)
        self.allocate(request)
        self.call(self.scheduler.update_state_after_alloc, request, SimpleNamespace(get_block_ids=lambda: ([*request.blocks],)), found)
        request.num_computed_tokens = local + found
        return found

    def allocate(self, request: Request) -> list:
        need = -(-request.num_tokens // TOKENS) - len(request.blocks)
        new = [self._free.pop(0) for _ in range(need)]
        request.blocks += new
        return new

    def step(self, new=(), cached=(), resumed=(), most: int = 1 << 30) -> set:
        """Schedules requests for one step and runs it. Returns the blocks that could not be loaded."""
        before = {request.request_id: request.num_computed_tokens for request in (*new, *cached)}
        amounts = {request.request_id: min(most, request.num_tokens - request.num_computed_tokens) for request in (*new, *cached)}
        added = {request.request_id: self.allocate(request) for request in cached}
        output = self.output(new, cached, resumed, before, amounts, added)
        untouched = copy.deepcopy(output)
        metadata = self.call(self.scheduler.build_connector_meta, output)
        assert output == untouched, "the connector changed the scheduler's output"
        work = [(one, before[one.request_id], before[one.request_id] + amounts[one.request_id]) for one in (*new, *cached)]
        errors = set().union(*(worker.step(metadata, work) for worker in self.workers))
        self.call(self.scheduler.update_connector_output, SimpleNamespace(invalid_block_ids=errors))
        for request, first, end in work:
            bad = [at for at, block in enumerate(request.blocks) if block in errors]
            request.num_computed_tokens = min([at * TOKENS for at in bad] + [end])  # the policy "recompute"
        return errors

    @staticmethod
    def output(new, cached=(), resumed=(), before=None, amounts=None, added=None) -> SimpleNamespace:
        """What vLLM's scheduler says of a step."""
        return SimpleNamespace(
            scheduled_new_reqs=[SimpleNamespace(req_id=one.request_id, block_ids=([*one.blocks],),
                                                num_computed_tokens=before[one.request_id]) for one in new],
            scheduled_cached_reqs=SimpleNamespace(
                req_ids=[one.request_id for one in cached], resumed_req_ids={one.request_id for one in resumed},
                new_block_ids=[([*one.blocks],) if one in resumed else (added[one.request_id],) if added[one.request_id] else None
                               for one in cached],
                num_computed_tokens=[before[one.request_id] for one in cached]),
            num_scheduled_tokens=amounts, finished_req_ids=set(), preempted_req_ids=None)

    def run(self, request: Request, local: int = 0) -> int:
        """Admits a request and computes it to its end. Returns the tokens that the connector promised."""
        found = self.admit(request, local)
        self.step(new=[request])
        while request.num_computed_tokens < request.num_tokens:
            self.step(cached=[request])
        assert self.is_right(request)
        return found

    def is_right(self, request: Request) -> bool:
        return all(worker.is_right(layer, request.blocks[at], number) for worker in self.workers for layer in self.layers
                   for at, number in enumerate(request.block_hashes))

    def finish(self, request: Request) -> None:
        assert self.call(self.scheduler.request_finished, request, request.blocks) == (False, None)
        self.free(request)

    def free(self, request: Request) -> None:
        for block in request.blocks:
            for worker in self.workers:
                for layer in self.layers:
                    worker.block(layer, block).fill_(3)
        self._free += request.blocks
        request.blocks, request.num_computed_tokens = [], 0

    def saved(self) -> None:
        """Waits until all that was copied is saved."""
        for worker in self.workers:
            assert worker.connector._worker.saver.drain(60)

    def close(self) -> None:
        for worker in self.workers:
            worker.connector.shutdown()
        self.scheduler.shutdown()

"""Engines of one model, SGLang's or LMCache's, that could never use each other's cache are told so, with what to set."""
import logging
import sys
import uuid

import pytest
import torch

import lmcache_engine
import sglang_engine
from hellos import answered
from lmcache_engine import Engine, Key, Metadata
from sglang_engine import Controller, HeadsPool, page_hashes
from silos import until

sglang_engine.install()
lmcache_engine.install()
from kvtier_sglang.backend import KvTierHiCache  # noqa: E402


@pytest.fixture
def process(monkeypatch):
    """Has what follows look like a process with this command line."""
    return lambda name: monkeypatch.setattr(sys, "argv", [name])


@pytest.fixture
def tenant():
    return f"t{uuid.uuid4().hex[:12]}"


def told(caplog, *parts):
    return any(all(part in line.getMessage() for part in parts) for line in caplog.records)


def sglang_node(silo, tenant, pool, **options):
    node = Controller(KvTierHiCache, pool, {"endpoint": silo.unix, "tenant": tenant, "lookup_timeout_ms": 30_000, **options})
    node.hits(page_hashes(list(range(16)), 16))
    return node


@pytest.mark.parametrize("field,other", [
    ("dtype", {"dtype": torch.float16}), ("layout", {"layout": "page_head"}), ("block_tokens", {"page_size": 32})])
def test_sglang_engines_that_differ_are_told(silo, tenant, process, caplog, field, other):
    with caplog.at_level(logging.WARNING):
        process("first")
        first = sglang_node(silo, tenant, HeadsPool())
        answered(first.storage._handshake)
        process("second")
        second = sglang_node(silo, tenant, HeadsPool(**other))
        answered(second.storage._handshake)
    assert told(caplog, "can't use each other's cache", f"{field}: ")
    for each in (first, second):
        each.detach()


def test_sglang_ranks_of_one_engine_and_engines_alike_are_not_told_of_anything(silo, tenant, process, caplog):
    with caplog.at_level(logging.WARNING):
        nodes = []
        for name, rank in (("first", 0), ("first", 1), ("second", 0)):
            process(name)
            nodes.append(Controller(KvTierHiCache, HeadsPool(), {"endpoint": silo.unix, "tenant": tenant, "lookup_timeout_ms": 30_000},
                                    tp_size=2, tp_rank=rank))
            nodes[-1].hits(page_hashes(list(range(16)), 16))
            answered(nodes[-1].storage._handshake)
    assert "can't use" not in caplog.text
    for each in nodes:
        each.detach()


def test_lmcache_engines_with_other_seeds_are_told_what_to_set(silo, tenant, process, monkeypatch, caplog):
    engines = []
    with caplog.at_level(logging.WARNING):
        for seed in ("1", "2"):
            process(f"engine-{seed}")
            monkeypatch.setenv("PYTHONHASHSEED", seed)
            engines.append(Engine({"endpoint": silo.unix, "tenant": tenant, "lookup_timeout_ms": 30_000}, Metadata()))
            engines[-1].connector.exists_sync(Key(1))
            answered(engines[-1].connector._handshake)
    assert told(caplog, "can't use each other's cache", "seed: ", "PYTHONHASHSEED")
    for each in engines:
        each.close()


def test_handshake_with_a_silo_that_is_away_is_tried_again_and_holds_nothing_up(new_silo, tenant):
    silo = new_silo({})
    silo.kill()
    node = sglang_node(silo, tenant, HeadsPool())
    handshake = node.storage._handshake
    until(lambda: not handshake._running and handshake._due, 60, "the first try")
    silo.start()
    assert silo.metric("kvtier_engine_hellos_total") == 0
    answered(handshake)
    assert silo.metric("kvtier_engine_hellos_total") == 1
    node.detach()

"""SGLang's storage backend while the silo is away, stopped or killed, and while the engine is killed: a miss in time, and it comes back."""
import logging
import threading
import time

import pytest
import torch

import sglang_engine
from sglang_engine import Controller, HeadsPool, page_hashes
from processes import promptly
from silos import reserve_port, until

sglang_engine.install()
from kvtier_sglang.backend import KvTierHiCache  # noqa: E402

LOOKUP_MS, READ_MS, WRITE_MS = 300, 600, 700
PATIENT = {"lookup_timeout_ms": 30_000, "read_timeout_ms": 30_000, "write_timeout_ms": 30_000}
SLACK_SECONDS = 4  # what a busy machine may add to a deadline, besides the time in which all stands still


def node(endpoint, seed=0, **options):
    """With the short deadlines, unless others are given."""
    options = {"endpoint": endpoint, "lookup_timeout_ms": LOOKUP_MS, "read_timeout_ms": READ_MS, "write_timeout_ms": WRITE_MS,
               "failures_max": 2, "open_ms": 200, **options}
    return Controller(KvTierHiCache, HeadsPool(seed=seed), options)


def keys_of(pages, first=1):
    return page_hashes([first * 100000 + token for token in range(pages * 16)], 16)


def started(endpoint, keys, seed, **options):
    """A node that is connected, and whose pages are here. Another one wrote them, which waited until the silo had them as it should:
    what a node stopped waiting for is in memory, and so here, before it is on SSD."""
    writer = node(endpoint, seed, **PATIENT, **options)
    until(lambda: writer.backup(keys, list(range(len(keys)))) == len(keys), 60, "pages written")
    writer.detach()
    engine = node(endpoint, seed, **options)
    back(engine, keys)
    return engine


def all_calls_miss_in_time(controller, keys):
    slots = controller.slots(range(len(keys)))
    with promptly(LOOKUP_MS / 1000 + SLACK_SECONDS, "a look-up"):
        assert controller.storage.batch_exists(keys) == 0
    with promptly(READ_MS / 1000 + SLACK_SECONDS, "a read"):
        assert controller.storage.batch_get_v1(keys, slots) == [False] * len(keys)
    with promptly((LOOKUP_MS + WRITE_MS) / 1000 + SLACK_SECONDS, "a write"):
        assert controller.storage.batch_set_v1(keys, slots) == [False] * len(keys)
    with promptly(LOOKUP_MS / 1000 + SLACK_SECONDS, "a tensor"):
        assert controller.storage.get(keys[0], torch.zeros(4)) is None
    with promptly(LOOKUP_MS / 1000 + SLACK_SECONDS, "a clear"):
        assert not controller.storage.clear()


def back(controller, keys):
    until(lambda: controller.hits(keys) == len(keys), 60, "pages found again")


def test_silo_that_is_not_there_at_the_start_is_used_when_it_comes(new_silo, caplog):
    port = reserve_port()
    engine = node(f"127.0.0.1:{port}", seed=1)
    with caplog.at_level(logging.WARNING):
        all_calls_miss_in_time(engine, keys_of(3))
    assert str(port) in caplog.text or "connect" in caplog.text.lower()
    new_silo({"port": port})
    until(lambda: engine.backup(keys_of(3), [0, 1, 2]) == 3, 60, "pages written")
    back(engine, keys_of(3))
    engine.detach()


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_silo_stopped_with_sigstop_is_a_miss_in_time_and_comes_back(own_silo, transport):
    keys = keys_of(4)
    engine = started(getattr(own_silo, transport), keys, seed=2)
    own_silo.freeze()
    all_calls_miss_in_time(engine, keys)
    with promptly(SLACK_SECONDS, "an open breaker"):
        for _ in range(50):
            assert engine.hits(keys) == 0
    own_silo.thaw()
    back(engine, keys)
    until(lambda: engine.prefetch(keys, [8, 9, 10, 11]) == 4, 60, "pages read again")
    assert torch.equal(engine.pool.logical(8 * 16), engine.pool.logical(0))
    engine.detach()


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_silo_killed_and_started_again_has_what_was_on_ssd(own_silo, transport):
    keys = keys_of(4)
    engine = started(getattr(own_silo, transport), keys, seed=3, ack="ssd")
    own_silo.kill()
    all_calls_miss_in_time(engine, keys)
    own_silo.start()
    back(engine, keys)
    until(lambda: engine.prefetch(keys, [8, 9, 10, 11]) == 4, 60, "pages read again")
    assert torch.equal(engine.pool.logical(11 * 16), engine.pool.logical(3 * 16))
    engine.detach()


def test_silo_stopped_in_mid_prefetch_ends_it_with_what_came(own_silo):
    """A read of 128 pages in small requests: the silo stops between two of them."""
    keys = keys_of(64)
    engine = node(own_silo.tcp, seed=4, batch_bytes=20000, read_timeout_ms=1500, write_timeout_ms=30_000)
    until(lambda: engine.backup(keys, list(range(64))) == 64, 60, "pages written")
    stopper = threading.Timer(0.01, own_silo.freeze)
    stopper.start()
    with promptly(60 + SLACK_SECONDS, "reads up to the stop"):
        until(lambda: engine.prefetch(keys, list(range(64))) < 64, 60, "the stop", every=0)
    stopper.join()
    assert engine.prefetch(keys, list(range(64))) == 0
    own_silo.thaw()
    back(engine, keys)
    engine.detach()


@pytest.mark.deadline(240)
def test_engine_killed_in_mid_write_leaves_no_half_pages(own_silo, run_engine):
    """Whatever it had written is whole, and its reservations are given back: a new engine reads and fills the rest."""
    program = """
        import sys
        import sglang_engine
        from sglang_engine import Controller, HeadsPool, page_hashes
        sglang_engine.install()
        from kvtier_sglang.backend import KvTierHiCache
        node = Controller(KvTierHiCache, HeadsPool(seed=5, pages=64, layers=16, dim=64), {"endpoint": sys.argv[1], "batch_bytes": 1 << 20})
        keys = page_hashes(list(range(64 * 16)), 16)
        print("ready")
        while True:
            for start in range(0, 64, 4):
                node.backup(keys[start:start + 4], list(range(start, start + 4)))
            node.storage.clear()
    """
    engine = run_engine(program, own_silo.unix)
    engine.wait_for_line("ready", 100)
    time.sleep(0.5)
    engine.kill()
    # What it had sent may still be on its way, a clear too.
    until(lambda: own_silo.metric("kvtier_connection_open", listener="unix") == 0, 60, "the silo to have done with it")
    successor = Controller(KvTierHiCache, HeadsPool(seed=5, pages=64, layers=16, dim=64), {"endpoint": own_silo.unix, **PATIENT})
    keys = page_hashes(list(range(64 * 16)), 16)
    found = successor.hits(keys)
    reader = Controller(KvTierHiCache, HeadsPool(pages=64, layers=16, dim=64), {"endpoint": own_silo.unix, **PATIENT})
    assert reader.prefetch(keys[:found], list(range(found))) == found
    assert torch.equal(reader.pool.kv_buffer[:, :found * 16], successor.pool.kv_buffer[:, :found * 16])
    until(lambda: successor.backup(keys, list(range(64))) == 64, 60, "room for all pages, once what was written is on SSD")
    for each in (successor, reader):
        each.detach()


def test_silo_with_less_room_than_pages_keeps_some_and_the_engine_goes_on(new_silo):
    silo = new_silo({"host-bytes": "1MiB", "put-wait-ms": 50})
    engine = Controller(KvTierHiCache, HeadsPool(seed=6, pages=64, layers=32, dim=64), {"endpoint": silo.unix, **PATIENT})
    keys = keys_of(64)
    engine.backup(keys, list(range(64)))
    here = [engine.storage.exists(key) for key in keys]
    assert 0 < sum(here) < 64
    last = max(index for index, one in enumerate(here) if one)
    assert engine.storage.batch_get_v1([keys[last]], engine.slots([0])) == [True]
    assert torch.equal(engine.pool.logical(0), engine.pool.logical(last * 16))
    engine.detach()


def test_wrong_token_is_told_and_the_engine_goes_on(new_silo, caplog):
    silo = new_silo({"token": "sesame"})
    engine = node(silo.tcp, token="wrong", **PATIENT)
    with caplog.at_level(logging.WARNING):
        assert engine.hits(keys_of(2)) == 0
    assert "unauthorized" in caplog.text.lower()
    right = node(silo.tcp, token="sesame", seed=7, **PATIENT)
    assert right.backup(keys_of(2), [0, 1]) == 2
    assert right.hits(keys_of(2)) == 2
    for each in (engine, right):
        each.detach()

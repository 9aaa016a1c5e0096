"""LMCache's remote connector over our protocol, called as its remote backend does, against real silos. After every test all memory of
LMCache's pool is accounted for."""
import asyncio
import concurrent.futures
import logging
import threading
import uuid

import pytest
import torch

import lmcache_engine
from lmcache_engine import Engine, Key, Metadata
from processes import promptly
from silos import reserve_port, until

lmcache_engine.install()
from kvtier.errors import InvalidArgument  # noqa: E402

KEYS = [Key(0xABC0 + index) for index in range(10)]
PATIENT = {"lookup_timeout_ms": 30_000, "read_timeout_ms": 30_000, "write_timeout_ms": 30_000}
SLACK_SECONDS = 4


@pytest.fixture
def start(silo):
    made = []

    def engine(metadata=None, room=1 << 30, url="plugin://kvtier", plugin="kvtier", **options):
        options = {"endpoint": silo.unix, "tenant": tenant, **PATIENT, **options}
        made.append(Engine(options, metadata, room, url, plugin))
        return made[-1]

    tenant = f"t{uuid.uuid4().hex[:12]}"
    yield engine
    for each in made:
        each.close()


def take(engine, memory, fill):
    """Whether a memory object has the bytes of a fill; gives it back."""
    expected = engine.memory(fill, memory.get_shape()[2])
    same = torch.equal(memory.raw, expected.raw) and memory.get_shape() == expected.get_shape()
    expected.ref_count_down()
    memory.ref_count_down()
    return same


def test_put_then_get_by_another_engine(start):
    writer, reader = start(), start()
    assert reader.run(reader.connector.get(KEYS[0])) is None
    assert not reader.run(reader.connector.exists(KEYS[0]))
    writer.put(KEYS[0], 7)
    assert reader.run(reader.connector.exists(KEYS[0]))
    assert reader.connector.exists_sync(KEYS[0])
    memory = reader.run(reader.connector.get(KEYS[0]))
    assert (memory.get_shape(), memory.get_dtype(), memory.get_memory_format().name) == ((2, 4, 256, 64), torch.bfloat16, "KV_2LTD")
    assert memory.refs == 1
    assert take(reader, memory, 7)
    assert (writer.pool.held, reader.pool.held) == (0, 0)


def test_partial_chunk_has_its_own_shape(start):
    engine = start()
    engine.put(KEYS[0], 3, tokens=100)
    memory = engine.run(engine.connector.get(KEYS[0]))
    assert memory.get_shape() == (2, 4, 100, 64)
    assert take(engine, memory, 3)
    assert engine.pool.held == 0


def test_groups_of_layers_known_only_later_are_read_then(start):
    """Shapes are asked for at each call: a connector that kept those of its start would allocate one wrong group."""
    metadata = Metadata(use_mla=True)
    engine = start(metadata)
    metadata.groups = [((1, 3, 256, 64), torch.uint8), ((1, 5, 256, 512), torch.bfloat16)]
    engine.put(KEYS[0], 4)
    memory = engine.run(engine.connector.get(KEYS[0]))
    assert memory.get_shapes() == metadata.get_shapes() and memory.get_dtypes() == [torch.uint8, torch.bfloat16]
    assert memory.get_memory_format().name == "KV_MLA_FMT"
    assert take(engine, memory, 4)
    assert engine.pool.held == 0


def test_chunk_of_another_dtype_or_shape_is_a_miss_and_told(start, caplog):
    """The same key from an engine that says one thing in the key and does another."""
    engine = start()
    engine.put(KEYS[0], 1)
    for groups in ([((2, 4, 256, 64), torch.float16)], [((2, 5, 256, 32), torch.bfloat16)]):
        stranger = start(Metadata(groups=groups))
        with caplog.at_level(logging.WARNING):
            assert stranger.run(stranger.connector.get(KEYS[0])) is None
        assert "does not fit" in caplog.text
        assert stranger.pool.held == 0


def test_contains_counts_from_the_first_chunk_to_the_first_gap(start):
    engine = start()
    for index in (0, 1, 2, 4):
        engine.put(KEYS[index], index)
    assert engine.run(engine.connector.batched_async_contains("lookup-1", KEYS)) == 3
    assert engine.run(engine.connector.batched_async_contains("lookup-2", KEYS[:2], True)) == 2
    assert engine.run(engine.connector.batched_async_contains("lookup-3", [])) == 0
    assert engine.connector.support_batched_contains()
    assert engine.connector.batched_contains(KEYS) == 3
    assert engine.connector.batched_contains(KEYS, True) == 3, "releases that pass one more argument"


def test_batched_get_has_a_place_for_each_key(start):
    engine = start()
    for index in (0, 2, 3):
        engine.put(KEYS[index], index)
    memories = engine.run(engine.connector.batched_get(KEYS[:5]))
    assert [memory is not None for memory in memories] == [True, False, True, True, False]
    assert all(take(engine, memories[index], index) for index in (0, 2, 3))
    assert engine.pool.held == 0


def test_batched_get_non_blocking_gives_the_prefix_and_nothing_after_a_gap(start):
    engine = start()
    for index in (0, 1, 3, 4):
        engine.put(KEYS[index], index)
    memories = engine.run(engine.connector.batched_get_non_blocking("lookup", KEYS[:6]))
    assert len(memories) == 2
    assert all(take(engine, memory, index) for index, memory in enumerate(memories))
    assert engine.run(engine.connector.batched_get_non_blocking("lookup", KEYS[5:])) == []
    assert engine.pool.held == 0


def test_bytes_gone_behind_their_layout_give_the_memory_back(start):
    engine = start()
    for index in range(3):
        engine.put(KEYS[index], index)
    blocks = engine.connector.chunks._blocks
    assert blocks.attempt("a delete", None, lambda space, _: space.delete([KEYS[1].to_string().encode() + b"/bytes"])) == [True]
    memories = engine.run(engine.connector.batched_get(KEYS[:3]))
    assert [memory is not None for memory in memories] == [True, False, True]
    take(engine, memories[0], 0), take(engine, memories[2], 2)
    assert engine.run(engine.connector.batched_async_contains("lookup", KEYS)) == 1
    assert len(engine.run(engine.connector.batched_get_non_blocking("lookup", KEYS[:3]))) == 1
    engine.put(KEYS[1], 1)
    assert engine.connector.batched_contains(KEYS) == 3
    assert engine.pool.held == 1, "the one chunk that the prefix gave"


def test_full_pool_is_a_miss_at_once_and_not_a_wait(start, caplog):
    """LMCache's allocate waits for room without an end unless it is told not to."""
    writer = start()
    for index in range(4):
        writer.put(KEYS[index], index)
    size = 2 * 4 * 256 * 64 * 2
    reader = start(room=2 * size + 100)
    with caplog.at_level(logging.WARNING):
        memories = reader.run(reader.connector.batched_get(KEYS[:4]))
    assert [memory is not None for memory in memories] == [True, True, False, False]
    assert "no memory" in caplog.text
    for index in range(2):
        memories[index].ref_count_down()
    assert reader.pool.held == 0


def test_batched_put_keeps_the_count_of_references(start):
    engine = start()
    assert engine.connector.support_batched_put()
    memories = [engine.memory(index) for index in range(4)]
    engine.run(engine.connector.batched_put(KEYS[:4], memories))
    assert engine.pool.held == 0
    assert engine.connector.batched_contains(KEYS) == 4


def test_batched_put_is_off_where_lmcache_would_leak_its_memory(start, monkeypatch):
    async def batched_put(self, keys, memory_objs):
        return await self.connector.batched_put(keys, memory_objs)

    monkeypatch.setattr(lmcache_engine.InstrumentedRemoteConnector, "batched_put", batched_put)
    assert not start().connector.support_batched_put()


def test_get_that_lmcache_stopped_waiting_for_gives_its_memory_back_once_it_has_ended(new_silo, monkeypatch):
    """The thread may still receive into the memory: it must not go back before."""
    silo = new_silo({})
    engine = Engine({"endpoint": silo.unix, **PATIENT}, room=1 << 30)
    engine.put(KEYS[0], 0)
    engine.run(engine.connector.exists(KEYS[0]))
    silo.freeze()
    begun, layouts = threading.Event(), engine.connector.chunks.layouts
    monkeypatch.setattr(engine.connector.chunks, "layouts", lambda names: begun.set() or layouts(names))

    async def wait_a_while():
        getting = asyncio.ensure_future(engine.connector.get(KEYS[0]))
        # One that is given up before it has begun reads nothing.
        await asyncio.get_running_loop().run_in_executor(None, begun.wait, 60)
        await asyncio.wait_for(getting, 0.5)

    with pytest.raises((concurrent.futures.TimeoutError, asyncio.TimeoutError)):
        engine.run(wait_a_while())
    silo.thaw()
    until(lambda: engine.connector.chunks.counts().get("hit", 0) >= 2, 60, "the read ended")
    until(lambda: engine.pool.held == 0, 60, "its memory given back")
    engine.close()


@pytest.mark.deadline(240)
def test_cluster_engines_at_different_silos_share_chunks_of_all_owners(cluster):
    tenant = f"t{uuid.uuid4().hex[:12]}"
    options = {"tenant": tenant, **PATIENT}
    writer = Engine({**options, "endpoint": cluster.endpoints[0]})
    reader = Engine({**options, "endpoint": ",".join(cluster.endpoints[1:])})
    writer.run(writer.connector.batched_put(KEYS[:9], [writer.memory(index) for index in range(9)]))
    assert reader.connector.batched_contains(KEYS) == 9
    memories = reader.run(reader.connector.batched_get_non_blocking("lookup", KEYS))
    assert len(memories) == 9
    assert all(take(reader, memory, index) for index, memory in enumerate(memories))
    assert (writer.pool.held, reader.pool.held) == (0, 0)
    for each in (writer, reader):
        each.close()


def test_remove_list_and_ping(start):
    engine = start()
    engine.put(KEYS[0], 0)
    assert engine.connector.support_ping() and engine.run(engine.connector.ping()) == 0
    assert engine.run(engine.connector.list()) == []
    assert engine.connector.remove_sync(KEYS[0])
    assert not engine.connector.remove_sync(KEYS[0])
    assert not engine.run(engine.connector.exists(KEYS[0]))


def test_keys_longer_than_a_key_may_be(start):
    engine = start()
    long_ones = [Key(index, model="m" * 600) for index in range(2)]
    engine.put(long_ones[0], 1)
    assert engine.connector.batched_contains(long_ones) == 1


def test_two_instances_with_options_of_their_own(start):
    first = start(url="plugin://kvtier.first", plugin="kvtier.first", namespace="one")
    second = start(url="plugin://kvtier.second", plugin="kvtier.second", namespace="two")
    first.put(KEYS[0], 0)
    assert first.connector.exists_sync(KEYS[0]) and not second.connector.exists_sync(KEYS[0])


def test_remote_url_names_the_silo(start, silo):
    engine = Engine({}, url=f"kvtier://{silo.tcp}")
    # The deadlines are the usual ones here.
    until(lambda: engine.run(engine.connector.ping()) == 0, 60, "an answer")
    engine.close()


@pytest.mark.parametrize("options,said", [({"endpoit": "x"}, "endpoint"), ({"threads": 0}, "1 or more"), ({"ack": "later"}, "memory")])
def test_option_that_is_unknown_or_wrong_is_refused_with_what_is_right(options, said):
    with pytest.raises(InvalidArgument, match=said):
        Engine(options)


@pytest.mark.parametrize("how", ["away", "frozen", "killed"])
def test_silo_in_trouble_is_a_miss_in_time_and_comes_back(new_silo, how):
    port = reserve_port()
    silo = new_silo({"port": port}, ssd=True)
    # Another one writes the chunk, and waits until it is on SSD: one that is given up may be here before.
    writer = Engine({"endpoint": silo.tcp, "ack": "ssd", **PATIENT})
    writer.put(KEYS[0], 5)
    writer.close()
    engine = Engine({"endpoint": silo.tcp, "lookup_timeout_ms": 300, "read_timeout_ms": 600, "write_timeout_ms": 600, "open_ms": 200,
                     "failures_max": 2, "ack": "ssd"})
    until(lambda: engine.connector.exists_sync(KEYS[0]), 60, "the chunk found")
    {"away": silo.stop, "frozen": silo.freeze, "killed": silo.kill}[how]()
    with promptly(0.3 + SLACK_SECONDS, "exists"):
        assert not engine.connector.exists_sync(KEYS[0])
    with promptly(1.2 + SLACK_SECONDS, "get"):
        assert engine.run(engine.connector.get(KEYS[0])) is None
    with promptly(0.9 + SLACK_SECONDS, "put"):
        engine.put(KEYS[1], 6)
    with promptly(0.6 + SLACK_SECONDS, "ping"):
        assert engine.run(engine.connector.ping()) != 0
    assert engine.pool.held == 0
    silo.thaw() if how == "frozen" else silo.start()
    until(lambda: engine.connector.exists_sync(KEYS[0]), 60, "the chunk found again")
    memory = until(lambda: engine.run(engine.connector.get(KEYS[0])), 60, "the chunk read again")
    assert take(engine, memory, 5)
    assert engine.pool.held == 0
    engine.close()


def test_many_gets_at_once_do_not_hold_up_the_loop(start, monkeypatch):
    engine = start(threads=3)
    for index in range(10):
        engine.put(KEYS[index], index)
    # Reads wait for the loop's turns, and so would never end if the loop waited for a read.
    turned, layouts = threading.Event(), engine.connector.chunks.layouts
    monkeypatch.setattr(engine.connector.chunks, "layouts", lambda names: turned.wait(60) and layouts(names))

    async def all_at_once():
        getting = asyncio.gather(*(engine.connector.get(key) for key in KEYS * 5))
        for _ in range(5):
            await asyncio.sleep(0.001)
        assert not getting.done()
        turned.set()
        return await getting

    found = engine.run(all_at_once())
    assert all(take(engine, memory, index % 10) for index, memory in enumerate(found))
    assert engine.pool.held == 0


def test_closed_connector_has_nothing_and_raises_nothing(start):
    engine = start()
    engine.put(KEYS[0], 0)
    engine.run(engine.connector.close())
    assert engine.run(engine.connector.get(KEYS[0])) is None
    assert not engine.connector.exists_sync(KEYS[0])
    engine.put(KEYS[1], 1)
    assert engine.pool.held == 0

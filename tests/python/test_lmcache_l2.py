"""LMCache's L2 adapter over our protocol, driven as its store and prefetch controllers do: by event descriptors, from two threads."""
import concurrent.futures
import select
import uuid

import pytest
import torch

import lmcache_engine
from lmcache_engine import CpuPool, MemoryFormat, ObjectKey
from processes import promptly
from silos import until

lmcache_engine.install()
from kvtier.errors import InvalidArgument  # noqa: E402
from kvtier_lmcache.l2 import KvTierL2Adapter  # noqa: E402

KEYS = [ObjectKey(bytes([index] * 32)) for index in range(8)]
SIZE = 64 * 1024
PATIENT = {"lookup_timeout_ms": 30_000, "read_timeout_ms": 30_000, "write_timeout_ms": 30_000}


@pytest.fixture
def start(silo):
    made = []
    tenant = f"t{uuid.uuid4().hex[:12]}"

    def adapter(**options):
        made.append(KvTierL2Adapter({"endpoint": silo.unix, "tenant": tenant, **PATIENT, **options}, l1_memory_desc=None))
        return made[-1]

    yield adapter
    for each in made:
        each.close()


def objects(count, fill=None):
    pool = CpuPool()
    made = [pool.allocate(torch.Size((SIZE,)), torch.uint8, MemoryFormat.KV_2LTD) for _ in range(count)]
    for index, one in enumerate(made):
        if fill is not None:
            one.raw.fill_(fill + index)
    return made


def wait(descriptor, take, seconds=100):
    """Polls a descriptor and takes the result, as LMCache's controllers do."""
    def ended():
        select.select([descriptor], [], [], 0.1)
        return take()
    return until(ended, seconds, "a task ended")


def store(adapter, keys, values):
    task = adapter.submit_store_task(keys, values)
    return wait(adapter.get_store_event_fd(), adapter.pop_completed_store_tasks)[task]


def lookup(adapter, keys):
    task = adapter.submit_lookup_and_lock_task(keys)
    return wait(adapter.get_lookup_and_lock_event_fd(), lambda: adapter.query_lookup_and_lock_result(task)).bits


def load(adapter, keys, values):
    task = adapter.submit_load_task(keys, values)
    return wait(adapter.get_load_event_fd(), lambda: adapter.query_load_result(task)).bits


def test_descriptors_differ(start):
    one, other = start(), start()
    assert len({method() for each in (one, other) for method in (
        each.get_store_event_fd, each.get_lookup_and_lock_event_fd, each.get_load_event_fd)}) == 6


def test_store_lookup_load_and_unlock(start):
    writer, reader = start(), start()
    assert lookup(reader, KEYS[:3]) == [False] * 3
    result = store(writer, KEYS[:2], objects(2, fill=5))
    assert int(result) == 2 * SIZE
    assert writer.stored == [(KEYS[0], SIZE), (KEYS[1], SIZE)]
    assert int(store(writer, KEYS[:2], objects(2, fill=5))) == 0, "nothing was sent again"
    assert lookup(reader, KEYS[:3]) == [True, True, False]
    places = objects(3)
    assert load(reader, KEYS[:3], places) == [True, True, False]
    assert [int(one.raw[0]) for one in places] == [5, 6, 0]
    assert reader.accessed == KEYS[:2]
    reader.submit_unlock(KEYS[:2])
    until(lambda: reader.report_status()["locked_key_count"] == 0, 60, "unlocked")


def test_results_are_told_once(start):
    adapter = start()
    store(adapter, KEYS[:1], objects(1, fill=1))
    task = adapter.submit_lookup_and_lock_task(KEYS[:1])
    wait(adapter.get_lookup_and_lock_event_fd(), lambda: adapter.query_lookup_and_lock_result(task))
    assert adapter.query_lookup_and_lock_result(task) is None
    assert adapter.query_load_result(12345) is None
    assert adapter.pop_completed_store_tasks() == {}


def test_object_locked_twice_stays_pinned_until_both_unlock(start):
    adapter = start()
    store(adapter, KEYS[:1], objects(1, fill=1))
    pinned = lambda: adapter.blocks.attempt("a test", None, lambda space, _: space.describe(  # noqa: E731
        [b"meta-llama/Llama-3.1-8B@02000200@0@" + b"00" * 32]))[0].pinned_until_unix_ms > 0
    assert not pinned()
    assert lookup(adapter, KEYS[:1]) == lookup(adapter, KEYS[:1]) == [True]
    adapter.submit_unlock(KEYS[:1])
    assert pinned() and adapter.report_status()["locked_key_count"] == 1
    adapter.submit_unlock(KEYS[:1])
    until(lambda: not pinned(), 60, "the pin's end")


def test_object_of_another_length_is_not_loaded(start):
    adapter = start()
    store(adapter, KEYS[:1], objects(1, fill=9))
    short = CpuPool().allocate(torch.Size((100,)), torch.uint8, MemoryFormat.KV_2LTD)
    long = CpuPool().allocate(torch.Size((2 * SIZE,)), torch.uint8, MemoryFormat.KV_2LTD)
    assert load(adapter, KEYS[:1], [short]) == [False]
    assert load(adapter, KEYS[:1], [long]) == [False]


def test_ranks_salts_and_groups_have_objects_of_their_own(start):
    adapter = start()
    store(adapter, KEYS[:1], objects(1, fill=1))
    others = [ObjectKey(KEYS[0].chunk_hash, kv_rank=0x02010201), ObjectKey(KEYS[0].chunk_hash, object_group_id=1),
              ObjectKey(KEYS[0].chunk_hash, cache_salt="b"), ObjectKey(KEYS[0].chunk_hash, model_name="other")]
    assert lookup(adapter, others) == [False] * 4


def test_delete_and_submit_from_two_threads(start):
    adapter = start()
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        both = [threads.submit(store, adapter, KEYS[at:at + 1], objects(1, fill=at)) for at in (0,)]
        assert int(both[0].result(60)) == SIZE
        found = threads.submit(lookup, adapter, KEYS[:1]).result(60)
    assert found == [True]
    adapter.delete(KEYS[:1])
    assert lookup(adapter, KEYS[:1]) == [False]


def test_silo_that_is_stopped_ends_every_task_in_time(new_silo):
    silo = new_silo({})
    adapter = KvTierL2Adapter({"endpoint": silo.unix, "lookup_timeout_ms": 300, "read_timeout_ms": 500, "write_timeout_ms": 500})
    until(lambda: int(store(adapter, KEYS[:1], objects(1, fill=1))) >= 0, 60, "an object stored")
    silo.freeze()
    with promptly(8, "three tasks"):
        assert lookup(adapter, KEYS[:1]) == [False]
        assert load(adapter, KEYS[:1], objects(1)) == [False]
        assert int(store(adapter, KEYS[1:2], objects(1, fill=2))) == -1
    silo.thaw()
    until(lambda: lookup(adapter, KEYS[:1]) == [True], 60, "the object found again")
    adapter.close()
    assert adapter.query_load_result(adapter.submit_load_task(KEYS[:1], objects(1))).bits == [False]


def test_unknown_option_is_refused():
    with pytest.raises(InvalidArgument, match="endpoint"):
        KvTierL2Adapter({"endpont": "x"})

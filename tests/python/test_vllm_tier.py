"""The secondary tier for vLLM, driven in the engine's order against real silos."""
import os
import shutil
import tempfile
import time

import pytest

from kvtier.errors import InvalidArgument, Unsupported
from processes import until
from vllm_engine import PrimaryTier, Scheduler, content, key


@pytest.fixture
def scheduler(silo):
    made = []

    def start(endpoint=None, **options):
        made.append(Scheduler(endpoint or silo.unix, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize("transfer", ["region", "client"])
def test_what_was_stored_is_found_and_loaded_into_other_rows(scheduler, silo, transfer):
    engine = scheduler(transfer=transfer, dtype=f"one-{transfer}")
    before = silo.metric("kvtier_region_rows_total", result="stored")
    request = engine.begin()
    assert engine.lookup([key(1), key(2)], request) == ["MISS", "MISS"]
    assert engine.store([1, 2, 3], [0, 1, 2]).success
    engine.tier.on_request_finished(request)

    request = engine.begin("r2")
    assert engine.lookup([key(1), key(2), key(3), key(4)], request) == ["HIT", "HIT", "HIT", "MISS"]
    result = engine.load([1, 2, 3], [10, 11, 12], request)
    assert result.success and result.successful_keys is None
    assert all(engine.holds(number, 9 + number) for number in (1, 2, 3))
    assert silo.metric("kvtier_region_rows_total", result="stored") - before == (3 if transfer == "region" else 0)
    assert engine.call.never_waited
    assert engine.tier.take_counts() == {
        "vllm:kvtier_rows_stored": 3, "vllm:kvtier_rows_loaded": 3, "vllm:kvtier_rows_failed": 0, "vllm:kvtier_lookup_hits": 3,
        "vllm:kvtier_lookup_misses": 3}


def test_another_engine_of_the_same_model_finds_the_blocks_and_one_of_another_dtype_does_not(scheduler):
    first, second, third = scheduler(dtype="a"), scheduler(dtype="a"), scheduler(dtype="fp8")
    first.store([7], [0])
    assert second.lookup([key(7)], second.begin()) == ["HIT"]
    assert second.load([7], [5]).success and second.holds(7, 5)
    assert third.lookup([key(7)], third.begin()) == ["MISS"]


def test_keys_behind_a_gap_and_of_other_groups_are_found(scheduler):
    engine = scheduler(dtype="gap")
    engine.store([1, 3], [0, 1])
    engine.run([key(1, group=1)], [2], is_load=False)
    assert engine.lookup([key(1), key(2), key(3), key(1, group=1)], engine.begin()) == ["HIT", "MISS", "HIT", "HIT"]


def test_a_load_of_which_a_key_is_gone_names_what_it_loaded_and_does_not_try_again(scheduler):
    engine = scheduler(dtype="partial")
    engine.store([1, 2], [0, 1])
    request = engine.begin()
    assert engine.lookup([key(1), key(2)], request) == ["HIT", "HIT"]
    engine.tier._client.client().namespace(engine.tier.profile).delete([key(2)])
    result = engine.load([1, 2], [8, 9], request)
    assert not result.success and list(result.successful_keys) == [key(1)]
    assert engine.holds(1, 8)
    # It would be promoted in vain for ever if it were still a hit.
    assert engine.lookup([key(1), key(2)], request) == ["HIT", "MISS"]


def test_a_store_of_what_is_there_succeeds(scheduler):
    engine = scheduler(dtype="again")
    assert engine.store([1], [0]).success
    assert engine.store([1], [3]).success


def test_drain_waits_for_jobs_and_shutdown_lets_go_of_the_view(scheduler, silo):
    engine = Scheduler(silo.unix, dtype="drain")
    for number in range(8):
        engine.submit([key(number)], [number], is_load=False)
    engine.tier.drain_jobs()
    assert len(list(engine.tier.get_finished_jobs())) == 8
    assert not engine.tier.has_pending_work()
    engine.submit([key(20)], [1], is_load=False)
    engine.tier.shutdown()
    engine.primary.close()


def test_jobs_above_the_limit_fail_and_the_rest_goes_on(scheduler):
    engine = scheduler(dtype="limit", jobs_max=1, threads=1)
    for number in range(20):
        engine.submit([key(number)], [0], is_load=False)
    results = []
    until(lambda: results.extend(engine.tier.get_finished_jobs()) or len(results) == 20, 60, "all jobs")
    assert {one.success for one in results} == {True, False}


def test_rows_that_would_come_later_than_they_are_computed_are_not_offered(scheduler):
    engine = scheduler(dtype="gate", prefill_tokens_per_second=1e12)
    engine.store([1, 2], [0, 1])
    assert engine.lookup([key(1), key(2)], engine.begin()) == ["MISS", "MISS"]
    other = scheduler(dtype="gate", prefill_tokens_per_second=1e12, cost_gate=False)
    assert other.lookup([key(1), key(2)], other.begin()) == ["HIT", "HIT"]
    slow = scheduler(dtype="gate", prefill_tokens_per_second=0.01)
    assert slow.lookup([key(1), key(2)], slow.begin()) == ["HIT", "HIT"]


@pytest.mark.deadline(240)
def test_in_a_cluster_blocks_go_where_they_belong(scheduler, cluster):
    engine = scheduler(cluster.silos[0].unix, transfer="region", primary=PrimaryTier(rows=64))
    numbers, rows = list(range(30)), list(range(30))
    until(lambda: engine.store(numbers, rows).success, 60, "all rows stored")
    other = scheduler(cluster.silos[1].unix, transfer="region", primary=PrimaryTier(rows=64))
    until(lambda: other.lookup([key(n) for n in numbers], other.begin(f"r{time.monotonic()}")) == ["HIT"] * 30, 60, "all found")
    until(lambda: other.load(numbers, [row + 32 for row in rows]).success, 60, "all rows loaded")
    assert all(other.holds(number, number + 32) for number in numbers)
    assert cluster.silos[1].metric("kvtier_region_rows_total", result="loaded") > 0


@pytest.mark.deadline(240)
def test_a_vllm_without_the_interface_is_told(tmp_path):
    import subprocess
    import sys

    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "__init__.py").write_text("")
    for module, wanted in (("tier", "SecondaryTierManager"), ("connector", "KVConnectorBase_V1")):
        done = subprocess.run([sys.executable, "-c", f"import kvtier_vllm.{module}"], capture_output=True, text=True, timeout=100,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])})
        assert done.returncode != 0 and "ImportError: kvtier: this vLLM has no" in done.stderr and wanted in done.stderr, done.stderr


def test_events_name_what_was_stored(scheduler):
    engine = scheduler(dtype="events", events=True, enable_kv_events=True)
    engine.store([1, 2], [0, 1])
    event, = engine.tier.take_events()
    assert (event.keys, event.removed, event.medium.name) == ([key(1), key(2)], False, "STORAGE")
    assert list(engine.tier.take_events()) == []


def test_events_that_vllm_does_not_publish_are_not_kept(scheduler, caplog):
    engine = scheduler(dtype="no-events", events=False, enable_kv_events=True)
    engine.store([1], [0])
    assert list(engine.tier.take_events()) == []
    assert "--kv-events-config" in caplog.text


def test_bad_options_are_named_with_the_nearest_one(silo):
    primary = PrimaryTier()
    with pytest.raises(InvalidArgument, match="lookup_ms"):
        Scheduler(silo.unix, primary, lookup_msec=5)
    with pytest.raises(InvalidArgument, match="transfer"):
        Scheduler(silo.unix, primary, transfer="magic")
    with pytest.raises(Unsupported, match="unix:"):
        Scheduler(silo.tcp, primary, transfer="region")
    primary.close()


def test_a_view_that_is_no_file_is_copied_by_this_process(silo, caplog):
    import numpy as np
    from kvtier_vllm.tier import KvTierSecondaryTier
    from vllm_engine import spec

    tier = KvTierSecondaryTier(spec("memory"), memoryview(np.zeros((4, 4096), np.int8)), "t", endpoint=silo.unix)
    assert "copied by this process" in caplog.text
    tier.shutdown()
    with pytest.raises(InvalidArgument, match="primary_kv_view"):
        KvTierSecondaryTier(spec("memory"), memoryview(bytes(4096)), "t", endpoint=silo.unix)


def test_a_file_that_the_silo_may_not_open_is_copied_by_this_process(scheduler, new_silo, folder, caplog):
    engine = scheduler(new_silo({"regions-directory": folder}).unix)
    until(lambda: engine.store([1], [0]).success, 60, "a store in the other way")
    assert "the silo does not open the engine's file" in caplog.text
    assert engine.load([1], [4]).success and engine.holds(1, 4)


@pytest.fixture
def regions():
    """A folder in shared memory for this test: other silos of this machine remove files in /dev/shm that nobody maps."""
    made = tempfile.mkdtemp(prefix="kvt-", dir="/dev/shm")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.deadline(240)
def test_the_file_of_an_engine_that_was_killed_is_removed(new_silo, run_engine, regions):
    silo = new_silo({"regions-reap-after-seconds": 1, "regions-directory": regions})
    engine = run_engine("""
        import sys, time
        from vllm_engine import PrimaryTier, Scheduler
        engine = Scheduler(sys.argv[1], PrimaryTier(folder=sys.argv[2]))
        assert engine.store([1], [0]).success
        print("path", engine.primary.path, flush=True)
        time.sleep(1000)
        """, silo.unix, regions)
    path = engine.wait_for_line("path", 100).split()[1]
    time.sleep(7)
    assert os.path.exists(path), "the file of an engine that lives was removed"
    engine.kill()
    until(lambda: not os.path.exists(path), 60, "the file to go")
    until(lambda: silo.metric("kvtier_region_reaped_total") == 1, 60, "its end to be counted")
    with_other = Scheduler(silo.unix)
    assert with_other.lookup([key(1)], with_other.begin()) == ["HIT"]
    with_other.close()


def test_rows_hold_what_was_put_in(scheduler):
    engine = scheduler(dtype="sizes", primary=PrimaryTier(rows=64, stride=1 << 20), batch_bytes=4 << 20)
    for row in range(32):
        engine.primary[row][:] = content(row, 1 << 20)
    keys = [key(row) for row in range(32)]
    assert engine.run(keys, list(range(32)), is_load=False).success
    assert engine.run(keys, list(range(63, 31, -1)), is_load=True).success
    assert all((engine.primary[63 - row] == engine.primary[row]).all() for row in range(32))

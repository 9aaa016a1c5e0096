"""The secondary tier for vLLM when the silo is away, killed or stopped: the engine goes on, and no row gets another block's bytes."""
import itertools
import os
import threading
import time

import numpy as np
import pytest

from kvtier_vllm.region import Fence, RowFile, mark
from processes import promptly, until
from vllm_engine import PATIENT_MS, PrimaryTier, Scheduler, content, key


@pytest.fixture
def scheduler():
    made = []

    def start(endpoint, **options):
        made.append(Scheduler(endpoint, **{"connect_ms": 1000, **options}))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize("transfer", ["region", "client"])
def test_a_silo_that_is_not_there_at_start_is_a_miss_and_is_used_once_it_is(scheduler, new_silo, folder, transfer):
    engine = scheduler(f"unix:{folder}/late.sock", transfer=transfer)
    engine.hurry()
    assert engine.lookup([key(1)], engine.begin()) == ["MISS"]
    assert not engine.store([1], [0]).success
    assert engine.call.never_waited
    silo = new_silo(name="late")
    engine.calm()
    assert silo.unix == f"unix:{folder}/late.sock"
    until(lambda: engine.store([1], [0]).success, 60, "a store to succeed")
    until(lambda: engine.load([1], [3]).success, 60, "a load to succeed")
    assert engine.holds(1, 3)


@pytest.mark.parametrize("transfer", ["region", "client"])
def test_a_silo_that_is_killed_and_comes_back(scheduler, own_silo, transfer):
    engine = scheduler(own_silo.unix, transfer=transfer, ack="ssd").ready()
    assert engine.store([1, 2], [0, 1]).success
    engine.hurry()
    own_silo.kill()
    assert engine.lookup([key(1)], engine.begin("dead")) == ["MISS"]
    assert not engine.load([1], [5]).success
    assert engine.call.never_waited
    own_silo.start()
    engine.calm()
    until(lambda: engine.load([1], [6]).success, 60, "a load to succeed")
    assert engine.holds(1, 6)
    # New requests ask anew, though the first one is still there and keeps its answer. The first to use a connection that died with
    # the silo finds that out.
    names = (f"back-{turn}" for turn in itertools.count())
    until(lambda: engine.lookup([key(1), key(2)], engine.begin(next(names))) == ["HIT", "HIT"], 60, "both to be found", every=0.2)


@pytest.mark.parametrize("transfer", ["region", "client"])
def test_a_silo_that_is_stopped_writes_into_no_row_that_was_given_up(scheduler, own_silo, transfer):
    engine = scheduler(own_silo.unix, transfer=transfer).ready()
    numbers, rows = list(range(1, 9)), list(range(8))
    assert engine.store(numbers, rows).success
    # Namespace and region are open, so that it is the copy itself which the silo is asked for while it is stopped.
    until(lambda: engine.load([1], [0]).success, 60, "a load to succeed")
    engine.hurry()
    own_silo.freeze()
    try:
        with promptly(10, "a look-up and a load"):
            assert engine.lookup([key(1)], engine.begin("stopped")) == ["MISS"]
            assert not engine.load(numbers, range(8, 16)).success
        # vLLM gives the rows to other blocks.
        for row in range(8, 16):
            engine.primary[row][:] = content(100 + row)
    finally:
        own_silo.thaw()
    engine.calm()
    until(lambda: engine.load([1], [0]).success, 60, "a load to succeed")
    time.sleep(0.5)
    assert all(np.array_equal(engine.primary[row], content(100 + row)) for row in range(8, 16))


def test_a_silo_that_was_stopped_does_not_store_what_a_row_holds_later(scheduler, own_silo):
    engine = scheduler(own_silo.unix, transfer="region", ack="memory").ready()
    engine.store([9], [0])
    engine.hurry()
    own_silo.freeze()
    try:
        assert not engine.store([1], [1]).success
        engine.primary[1][:] = content(55)
    finally:
        own_silo.thaw()
    engine.calm()
    until(lambda: engine.load([9], [2]).success, 60, "a load to succeed")
    until(lambda: own_silo.metric("kvtier_region_open") >= 1, 60, "the region to be open")
    engine.hurry(PATIENT_MS, PATIENT_MS, PATIENT_MS)
    request = engine.begin("after")
    if engine.lookup([key(1)], request) == ["HIT"]:
        assert engine.load([1], [4], request).success
        assert engine.holds(1, 4)


@pytest.mark.deadline(180)
def test_stopped_in_the_middle_of_copies_again_and_again_no_row_is_wrong(scheduler, own_silo):
    rows = 32
    engine = scheduler(own_silo.unix, primary=PrimaryTier(rows=rows, stride=1 << 20), transfer="region")
    until(lambda: engine.run([key(99)], [0], is_load=False).success, 60, "the first store")
    blocks = {number: content(number, 1 << 20) for number in range(rows // 2)}
    for number, block in blocks.items():
        engine.primary[number][:] = block
    assert engine.run([key(number) for number in blocks], list(blocks), is_load=False).success
    until(lambda: engine.run([key(0)], [rows // 2], is_load=True).success, 60, "the first load")
    failed = 0
    for turn in range(12):
        targets = list(range(rows // 2, rows))
        engine.hurry(load_ms=150)
        # From before the request, so that some loads fail however fast the machine is, to long after a fast one's end.
        stopper = threading.Timer(0.0005 * turn, own_silo.freeze)
        if turn < 2:
            own_silo.freeze()
        else:
            stopper.start()
        number = engine.submit([key(number) for number in blocks], targets, is_load=True)
        if turn >= 2:
            stopper.join()
        done = engine.collect() if turn < 2 else stopped_or_done(engine)
        if done and not done[0].success:
            failed += 1
            for row in targets:
                engine.primary[row][:] = turn
            own_silo.thaw()
            time.sleep(0.3)
            assert all((engine.primary[row] == turn).all() for row in targets), "a silo wrote into a row that was given up"
        else:
            own_silo.thaw()
            done = done or engine.collect()
            assert done[0].job_id == number
            if done[0].success:
                assert all(np.array_equal(engine.primary[rows // 2 + one], block) for one, block in blocks.items())
        engine.calm()
        until(lambda: engine.run([key(0)], [rows // 2], is_load=True).success, 60, "the silo to be back")
    assert failed > 0


def stopped_or_done(engine):
    """The job's end while the silo is stopped; none where the silo holds one of its rows, for then it lasts until the silo goes on."""
    end = time.monotonic() + 0.4
    while True:
        is_last = time.monotonic() > end
        done = list(engine.tier.get_finished_jobs())
        if done or is_last:
            return done
        time.sleep(0.005)


def test_a_row_is_safe_when_it_is_locked_or_its_mark_is_gone():
    primary = PrimaryTier(rows=4)
    rows = np.asarray(primary.view).view(np.uint8)
    file = RowFile.behind(primary.view, "e")
    assert (file.path, file.blocks, file.stride, file.row_bytes) == (primary.path, 4, 8192, 8192)
    made = mark(rows, [1, 2])
    silo = Fence(file, rows, [1], made)  # stands for a silo that is stopped while it holds the lock of row 1
    assert silo.try_close()
    fence = Fence(file, rows, [1, 2], made)
    assert not fence.try_close()
    rows[1, -1] ^= 1
    assert fence.try_close()
    rows[1, -1] ^= 1
    other = Fence(file, rows, [1], made)
    assert not other.try_close()
    silo.release()
    assert other.try_close()
    fence.release()
    other.release()
    del rows, fence, other, silo
    primary.close()


def test_shutdown_in_the_middle_of_a_copy_from_a_stopped_silo_ends(own_silo):
    engine = Scheduler(own_silo.unix).ready()
    assert engine.store([1], [0]).success
    engine.hurry()
    own_silo.freeze()
    engine.submit([key(1)], [3], is_load=True)
    engine.submit([key(2)], [0], is_load=False)
    with promptly(10, "a shutdown"):
        engine.close()
    assert not os.path.exists(engine.primary.path)


def test_drain_of_a_stopped_silo_ends_with_its_jobs_failed(scheduler, own_silo):
    engine = scheduler(own_silo.unix).ready()
    assert engine.store([1], [0]).success
    engine.hurry()
    own_silo.freeze()
    engine.submit([key(1)], [3], is_load=True)
    with promptly(10, "a drain"):
        engine.tier.drain_jobs()
    assert [one.success for one in engine.tier.get_finished_jobs()] == [False]
    own_silo.thaw()

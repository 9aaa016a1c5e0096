"""The plain client when the silo is killed, stopped with SIGSTOP or started again, and the silo when the client is killed."""
import threading
import time

import pytest

import kvtier
from clients import connect
from silos import until, within

DEADLINE_MS = 500
# What a call may take beyond its deadline: to notice and to raise.
SLACK_S = 2.0
BLOCK = bytes(range(256)) * 4096


def try_call(call):
    """What the call raises, in no more than its deadline. Fails when it returns.

    The machine may stand still as long as the slack: a call is late if it is late three times in a row.
    """
    took = []
    while len(took) < 3:
        begin = time.monotonic()
        with pytest.raises(kvtier.KvTierError) as raised:
            call()
        took.append(time.monotonic() - begin)
        if took[-1] <= DEADLINE_MS / 1000 + SLACK_S:
            return raised.value
    raise AssertionError(f"the call took {took} s, three times more than its {DEADLINE_MS} ms and {SLACK_S} s")


@pytest.fixture(params=["tcp", "unix", "local"])
def connected(request, own_silo):
    endpoint = own_silo.tcp if request.param == "tcp" else own_silo.unix
    local = "require" if request.param == "local" else "never"
    with connect(endpoint, local=local) as client:
        ns = client.namespace()
        ns.put(b"kept", BLOCK, ack="ssd")
        yield own_silo, client, ns


CALLS = {
    "get": lambda ns: ns.get(b"kept", deadline_ms=DEADLINE_MS),
    "put": lambda ns: ns.put(b"new", BLOCK, deadline_ms=DEADLINE_MS),
    "prefix": lambda ns: ns.prefix([b"kept"], deadline_ms=DEADLINE_MS),
    "describe": lambda ns: ns.describe([b"kept"], deadline_ms=DEADLINE_MS),
    "delete": lambda ns: ns.delete([b"other"], deadline_ms=DEADLINE_MS),
}


def test_frozen_silo_ends_no_call_late_and_is_used_again_when_it_goes_on(connected):
    silo, client, ns = connected
    silo.freeze()
    for name, call in CALLS.items():
        error = try_call(lambda: call(ns))
        assert isinstance(error, (kvtier.DeadlineExceeded, kvtier.Unreachable)), name
    silo.thaw()
    assert ns.get(b"kept").data == BLOCK


def test_killed_silo_is_told_at_once_and_is_used_again_when_it_is_back(connected):
    silo, client, ns = connected
    silo.kill()
    for name, call in CALLS.items():
        error = try_call(lambda: call(ns))
        assert isinstance(error, (kvtier.DeadlineExceeded, kvtier.Unreachable)), name
    silo.start()
    # Nobody tells the client: the next call finds out.
    assert ns.get(b"kept").data == BLOCK
    assert ns.put(b"new", BLOCK) in (kvtier.PutStatus.STORED, kvtier.PutStatus.PRESENT)


def test_silo_killed_in_the_middle_of_calls_ends_all_of_them(connected):
    silo, client, ns = connected
    outcomes = []

    def work(number):
        for i in range(10_000):
            try:
                ns.put(b"%d/%d" % (number, i), BLOCK[: 256 << 10], deadline_ms=DEADLINE_MS)
                found = ns.get(b"kept", deadline_ms=DEADLINE_MS)
                # A disk may be slow; the block stays.
                assert found or found.reason == "deadline", f"{found} while the silo runs"
            except kvtier.KvTierError as error:
                outcomes.append(error)
                return

    workers = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for worker in workers:
        worker.start()
    time.sleep(0.3)
    silo.kill()
    for worker in workers:
        worker.join(30)
    assert not any(worker.is_alive() for worker in workers)
    assert len(outcomes) == 4


def test_no_silo_at_start_is_an_error_that_names_it(folder):
    with within(30):
        with pytest.raises(kvtier.KvTierError, match="nobody.sock"):
            connect(f"unix:{folder}/nobody.sock")


def test_connect_to_a_frozen_silo_ends_with_its_deadline(own_silo):
    own_silo.freeze()
    try_call(lambda: kvtier.connect(own_silo.unix, timeout_ms=DEADLINE_MS))


def test_lease_of_a_silo_that_was_killed_stays_readable_and_is_given_back_without_harm(own_silo):
    with connect(own_silo.unix, local="require") as client:
        ns = client.namespace()
        ns.put(b"kept", BLOCK, ack="ssd")
        with ns.lease([b"kept"], lease_ms=60_000) as leases:
            view = leases[0].data
            own_silo.kill()
            # The memory is ours as long as it is mapped.
            assert bytes(view) == BLOCK
            own_silo.start()
            assert ns.get(b"kept").data == BLOCK
        assert ns.get(b"kept").data == BLOCK


LEASES_OF_AN_ENGINE = """
    import sys, time
    from clients import connect
    client = connect(sys.argv[1], local="require")
    ns = client.namespace()
    held = ns.lease([b"leased"], lease_ms=60_000)
    slots = ns.reserve([(b"reserved", 1 << 20)], lease_ms=60_000)
    slots[0].data[:4] = b"half"
    print("holds", flush=True)
    time.sleep(600)
    """


def test_killed_client_leaves_no_lease_and_no_half_written_block(own_silo, run_engine):
    with connect(own_silo.unix) as client:
        ns = client.namespace()
        ns.put(b"leased", BLOCK)
        engine = run_engine(LEASES_OF_AN_ENGINE, own_silo.unix)
        engine.wait_for_line("holds")
        of_the_engine = lambda: own_silo.metric("kvtier_slot_leased") == 1 and own_silo.metric("kvtier_slot_reserved") == 1
        until(of_the_engine, 60, "what the engine holds alone")
        engine.kill()
        held = lambda: own_silo.metric("kvtier_slot_leased") + own_silo.metric("kvtier_slot_reserved")
        until(lambda: held() == 0, 60, "the end of what the engine held")
        assert ns.get(b"reserved").reason == "never_stored"
        assert ns.put(b"reserved", BLOCK) is kvtier.PutStatus.STORED

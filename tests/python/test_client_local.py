"""Leases and reservations in shared memory."""
import gc
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kvtier
from clients import connect
from kvtier.local import grants
from silos import PYTHON_SOURCE, kvtier_command, until


@pytest.fixture
def ns(silo):
    with connect(silo.unix, local="require") as client:
        yield client.namespace(tenant="local")


def test_lease_shows_the_block_without_a_copy(ns):
    data = os.urandom(1 << 20)
    ns.put(b"seen", data)
    with ns.lease([b"seen", b"none"]) as leases:
        assert bytes(leases[0].data) == data and leases[0].is_valid and leases[0].verify()
        assert leases[0].data.readonly
        with pytest.raises(ValueError):
            leases[0].array()[0] = 1
        assert leases[1] == kvtier.Miss("never_stored")
    assert not leases[0].is_valid
    with pytest.raises(ValueError):
        bytes(leases[0].data)


def test_array_of_a_lease_has_dtype_and_shape(ns):
    values = np.arange(4096, dtype=np.float32)
    ns.put(b"floats", values)
    with ns.lease([b"floats"]) as leases:
        made = leases[0].array("fp32", (64, 64))
        assert made.shape == (64, 64) and made[63, 63] == 4095
        with pytest.raises(kvtier.InvalidArgument, match="16384 bytes"):
            leases[0].array("fp32", (64, 65))
        del made


def test_lease_holds_as_long_as_an_array_of_it_and_then_goes_back(ns):
    ns.put(b"held", bytes(range(256)) * 100)
    hit = ns.lease([b"held"])[0]
    number, array = hit._grant.key, hit.array()[5:]
    del hit
    gc.collect()
    assert number in grants._live and array[0] == 5
    del array
    gc.collect()
    assert number not in grants._live


def test_leased_block_is_not_evicted_and_evicted_after_its_release(new_silo):
    silo = new_silo({"host-bytes": "8MiB", "put-wait-ms": 30_000})
    with connect(silo.unix, local="require") as client:
        ns = client.namespace()
        ns.put(b"kept", b"\x07" * (1 << 20))
        with ns.lease([b"kept"]) as leases:
            for i in range(20):
                ns.put(b"%d" % i, bytes(1 << 20))
            assert leases[0].verify() and leases[0].data[0] == 7
        until(lambda: ns.put_many([(b"n%d" % i, bytes(1 << 20)) for i in range(8)]) and not ns.get(b"kept"), 60, "evicted")


def test_leases_that_were_never_looked_at_go_back_with_their_owner(new_silo):
    silo = new_silo({"host-bytes": "8MiB", "put-wait-ms": 30_000})
    with connect(silo.unix, local="require") as client:
        ns = client.namespace()
        ns.put_many([(b"a", bytes(1 << 20)), (b"b", bytes(1 << 20))])
        leases = ns.lease([b"a", b"b", b"none"])
        assert leases.hits == 2 and len(leases) == 3 and leases.is_valid
        for i in range(20):
            ns.put(b"%d" % i, bytes(1 << 20))
        seen = leases[1].array()
        del leases
        gc.collect()
        until(lambda: ns.put_many([(b"n%d" % i, bytes(1 << 20)) for i in range(8)]) and not ns.get(b"a"), 60, "a is evicted")
        assert ns.get(b"b") and not seen.any()


def test_lease_first_looked_at_after_its_release_has_no_bytes(ns):
    ns.put(b"late", bytes(50_000))
    leases = ns.lease([b"late", b"none"])
    leases.release()
    assert not leases.is_valid and not leases[0].is_valid and leases[0].block_length == 50_000
    with pytest.raises(ValueError):
        bytes(leases[0].data)
    with pytest.raises(kvtier.LeaseExpired):
        leases[0].check_valid()
    assert leases[1] == kvtier.Miss("never_stored") and not leases[-1] and leases[0:2] == list(leases)
    with pytest.raises(IndexError):
        leases[2]


def test_lease_looked_at_by_many_threads_is_one(ns):
    ns.put_many([(b"t%d" % i, bytes(50_000)) for i in range(64)])
    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            leases = ns.lease([b"t%d" % i for i in range(64)])
            seen = list(threads.map(lambda _: [id(one) for one in leases], range(8)))
            numbers = {one._grant.key for one in leases}
            assert all(one == seen[0] for one in seen) and len(numbers) == 64 and numbers <= grants._live.keys()
            leases.release()
            assert not numbers & grants._live.keys()


def test_lease_past_its_deadline_is_not_valid(ns):
    ns.put(b"short", bytes(50_000))
    taken = []

    def is_seen_valid():
        taken[:] = [ns.lease([b"short"], lease_ms=50)]
        return taken[0].is_valid

    until(is_seen_valid, 60, "a lease that is looked at before it runs out")
    leases = taken[0]
    until(lambda: not leases.is_valid, 60, "the lease ran out")
    with pytest.raises(kvtier.LeaseExpired):
        leases[0].check_valid()


def test_lease_over_tcp_is_refused(silo):
    with connect(silo.tcp) as client, pytest.raises(kvtier.Unsupported, match="Unix socket"):
        client.namespace().lease([b"k"])
    with pytest.raises(kvtier.Unsupported):
        connect(silo.tcp, local="require")


@pytest.mark.parametrize("checks", [False, True])
def test_reserved_slots_are_found_after_the_commit(ns, checks):
    keys = [b"r%d%d" % (i, checks) for i in range(4)]
    with ns.reserve([(key, 100_000) for key in keys]) as slots:
        for i, slot in enumerate(slots):
            slot.array()[:] = i
        assert not ns.get(keys[0])
        assert [one.status for one in slots.commit(checks=checks)] == ["stored"] * 4
    for i, key in enumerate(keys):
        assert bytes(ns.get(key)) == bytes([i]) * 100_000
    with ns.lease(keys) as leases:
        assert all(lease.verify() for lease in leases)


def test_batch_larger_than_the_arena_is_stored_part_by_part(new_silo):
    silo = new_silo({"host-bytes": "8MiB", "put-wait-ms": 30_000})
    with connect(silo.unix, local="require") as client:
        ns = client.namespace()
        values = [bytes([i]) * (1 << 20) for i in range(40)]
        outcomes = ns.put_many([(b"%d" % i, value) for i, value in enumerate(values)])
        assert [one.status for one in outcomes] == ["stored"] * 40, [one.error for one in outcomes if one.error]
        hits = ns.get_many([b"%d" % i for i in range(40)])
        assert bytes(hits[-1]) == values[-1]
        assert all(bytes(hit) == value if hit else hit.reason == "evicted" for hit, value in zip(hits, values))


def test_batch_of_more_blocks_than_reservations_is_stored(new_silo):
    silo = new_silo({"limits-reservations-max": 8})
    with connect(silo.unix, local="require") as client:
        ns = client.namespace()
        assert all(ns.put_many([(b"r%d" % i, bytes([i]) * 20_000) for i in range(60)]))
        assert [bytes(hit)[0] for hit in ns.get_many([b"r%d" % i for i in range(60)])] == list(range(60))


def test_batch_of_parts_keeps_the_order_of_its_outcomes(ns):
    ns.put_many([(b"o%d" % i, b"there") for i in range(0, 30, 3)])
    outcomes = ns.put_many([(b"o%d" % i, bytes([i]) * (1 << 20)) for i in range(30)])
    assert [one.status for one in outcomes] == ["present", "stored", "stored"] * 10
    assert all(bytes(ns.get(b"o%d" % i))[:1] == (b"t" if i % 3 == 0 else bytes([i])) for i in range(30))


def test_put_whose_copy_fails_gives_all_slots_back(new_silo, monkeypatch):
    from kvtier.local import put

    silo = new_silo({"host-bytes": "8MiB", "put-wait-ms": 30_000})
    with connect(silo.unix, local="require") as client:
        ns = client.namespace()
        copied = []

        def fails(target, source):
            if len(copied) == 3:
                raise MemoryError("no room")
            copied.append(len(source))

        with monkeypatch.context() as patch:
            patch.setattr(put, "copy", fails)
            for _ in range(10):  # Were slots kept, the arena would be full of them.
                copied.clear()
                with pytest.raises(MemoryError):
                    ns.put_many([(b"f%d" % i, bytes(1 << 20)) for i in range(8)], overwrite=True)
        assert all(ns.put_many([(b"g%d" % i, bytes(1 << 20)) for i in range(8)]))


def test_reservation_that_is_left_without_a_commit_stores_nothing(ns):
    with ns.reserve([(b"left", 1000)]) as slots:
        slots[0].data[:] = bytes(1000)
    assert ns.get(b"left") == kvtier.Miss("never_stored")
    with ns.reserve([(b"left", 1000)]) as again:
        assert again[0].status == "reserved"


def test_reservation_of_what_is_here_is_present(ns):
    ns.put(b"here", b"x")
    with ns.reserve([(b"here", 1)]) as slots:
        assert slots[0].status == "present" and slots[0].data is None and not slots[0]
        assert slots.commit()[0].status == "present"


def test_commit_past_the_deadline_is_refused(ns):
    slots = ns.reserve([(b"slow", 1000)], lease_ms=20)
    time.sleep(0.05)
    outcome = slots.commit()[0]
    assert outcome.status == "refused" and outcome.error.code == kvtier.ErrorCode.LEASE_EXPIRED
    assert not ns.get(b"slow")


def spoil(ns, key):
    """Changes a byte of a block where it lies, as a bad memory would."""
    with ns.lease([key]) as leases:
        leases[0]
        session, item = leases._session, leases._items[0]
        session.arena.writable[item.offset + 1234] ^= 1


@pytest.mark.parametrize("checks, finder", [("auto", "any"), ("silo", "silo"), ("get", "client"), ("all", "client")])
def test_copy_of_bytes_that_went_bad_is_a_miss(silo, checks, finder):
    with connect(silo.unix, local="require", local_checks=checks) as client:
        ns = client.namespace(tenant=f"bad-{checks}")
        ns.put_many([(b"bad", bytes(50_000)), (b"good", bytes(50_000))])
        spoil(ns, b"bad")
        hits = ns.get_many([b"bad", b"good", b"none"])
        assert hits[0] == kvtier.Miss("corrupt") and bytes(hits[1]) == bytes(50_000) and hits[2] == kvtier.Miss("never_stored")
        if finder == "silo":  # Now it is a miss for all, and can be put again.
            with ns.lease([b"bad"]) as leases:
                assert leases[0] == kvtier.Miss("corrupt")
            assert ns.put(b"bad", bytes(50_000)) == "stored" and ns.get(b"bad")


def test_copy_is_checked_here_where_the_silo_does_not_say_that_it_did(silo, monkeypatch):
    from kvtier.wire import blocks as wire

    with connect(silo.unix, local="require", local_checks="silo") as client:
        ns = client.namespace(tenant="older")
        ns.put(b"bad", bytes(50_000))
        spoil(ns, b"bad")
        monkeypatch.setattr(wire, "CHECK_BY_SILO", 0)  # What a silo of before makes of the flag.
        assert ns.get(b"bad") == kvtier.Miss("corrupt")
        with ns.lease([b"bad"]) as leases:
            assert leases[0] and not leases[0].verify()


def test_killed_silo_makes_leases_void_and_a_new_one_is_mapped(own_silo):
    with connect(own_silo.unix, local="require") as client:
        ns = client.namespace()
        ns.put(b"k", bytes(100_000), ack="ssd")
        leases = ns.lease([b"k"])
        own_silo.kill()
        own_silo.start()
        assert ns.get(b"k")
        assert not leases.is_valid
        assert leases[0].data[0] == 0  # The mapping stays as long as somebody looks at it.
        with ns.lease([b"k"]) as again:
            assert again[0].is_valid


def test_dotnet_client_and_this_one_read_in_place_what_the_other_wrote_in_place(ns, silo, folder):
    data = os.urandom(300_000)
    local = ("-n", f"{ns.tenant}/opaque", "-e", f"unix://{silo.socket_path}", "--transport", "local")
    (folder / "source").write_bytes(data)
    kvtier_command("block", "put", "dotnet", folder / "source", *local)
    with ns.lease([b"dotnet"]) as leases:
        assert leases[0].verify() and bytes(leases[0].data) == data
    with ns.reserve([(b"python", len(data))]) as slots:
        slots[0].data[:] = data[::-1]
        slots.commit()
    kvtier_command("block", "get", "python", folder / "got", *local)
    assert (folder / "got").read_bytes() == data[::-1]


def test_process_that_ends_with_leases_ends(silo):
    program = (
        "import sys, kvtier\n"
        "ns = kvtier.connect(sys.argv[1], local='require', timeout_ms=60_000).namespace(tenant='local')\n"
        "ns.put(b'exit', bytes(100_000), overwrite=True)\n"
        "array = ns.lease([b'exit'])[0].array()\n"
        "slots = ns.reserve([(b'exit/2', 100)])\n"
        "print(len(array))\n")
    environment = {**os.environ, "PYTHONPATH": str(PYTHON_SOURCE)}
    done = subprocess.run([sys.executable, "-c", program, silo.unix], capture_output=True, text=True, timeout=100, env=environment)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "100000", "")

"""Blocks with one silo, over TCP, a Unix socket and shared memory."""
import json
import os
import threading
import uuid

import numpy as np
import pytest

import kvtier
from clients import connect
from silos import kvtier_command

PATHS = [("tcp", "never"), ("unix", "never"), ("unix", "require")]


@pytest.fixture(params=PATHS, ids=lambda path: f"{path[0]}-{path[1]}")
def client(request, silo):
    endpoint, local = request.param
    with connect(getattr(silo, endpoint), local=local) as made:
        yield made


@pytest.fixture
def ns(client):
    return client.namespace(tenant=f"t{uuid.uuid4().hex[:12]}")


def test_put_then_get_gives_the_bytes(ns):
    for size in (0, 1, 100, 16 * 1024, 1 << 20, (3 << 20) + 5):
        key, data = f"size/{size}".encode(), os.urandom(size)
        assert ns.put(key, data) == kvtier.PutStatus.STORED
        hit = ns.get(key)
        assert hit and bytes(hit) == data and hit.tier == "host"
        assert ns.put(key, data) == "present"


def test_get_into_memory_of_the_caller_writes_there(ns):
    data = np.random.default_rng(1).integers(0, 256, 300_000, dtype=np.uint8)
    ns.put(b"k", data)
    target = np.zeros(400_000, np.uint8)
    hit = ns.get(b"k", target)
    assert len(hit) == 300_000 and np.array_equal(target[:300_000], data) and not target[300_000:].any()
    assert np.shares_memory(hit.array(), target)


def test_get_into_what_is_too_small_or_read_only_is_refused(ns):
    ns.put(b"k", bytes(100_000))
    with pytest.raises(kvtier.InvalidArgument, match="into.*99999.*100000"):
        ns.get(b"k", bytearray(99_999))
    with pytest.raises(kvtier.InvalidArgument, match="read-only"):
        ns.get(b"k", bytes(100_000))
    assert len(ns.get(b"k")) == 100_000


def test_value_that_is_not_in_one_piece_is_refused(ns):
    with pytest.raises(kvtier.InvalidArgument, match="strides"):
        ns.put(b"k", np.zeros((10, 10), np.uint8)[:, ::2])
    with pytest.raises(kvtier.InvalidArgument, match="str"):
        ns.put(b"k", "text")


def test_many_are_put_and_got_in_one_request(client, ns):
    blocks = [(b"b%d" % i, os.urandom(20_000 + i)) for i in range(50)]
    assert all(outcome.status == "stored" and outcome for outcome in ns.put_many(blocks))
    results = ns.get_many([key for key, _ in blocks] + [b"none"])
    assert [bytes(hit) for hit in results[:-1]] == [data for _, data in blocks]
    assert results[-1] == kvtier.Miss("never_stored") and not results[-1]


def test_more_than_a_request_holds_goes_in_several(ns):
    blocks = [(b"b%d" % i, b"%d" % i) for i in range(5000)]
    assert all(ns.put_many(blocks))
    assert [bytes(hit) for hit in ns.get_many([key for key, _ in blocks])] == [data for _, data in blocks]
    assert ns.prefix([key for key, _ in blocks]).count == 5000


def test_ranges_are_parts_of_blocks(ns):
    data = os.urandom(100_000)
    ns.put(b"k", data)
    first, rest = ns.get_many([b"k", b"k"], ranges=[(10, 20), (99_000, 0)])
    assert bytes(first) == data[10:30] and bytes(rest) == data[99_000:] and first.block_length == 100_000
    with pytest.raises(kvtier.InvalidArgument):
        ns.get_many([b"k"], ranges=[(99_999, 2)])


def test_prefix_counts_up_to_the_first_gap(ns):
    ns.put_many([(b"0", b"x"), (b"1", b"x"), (b"3", b"x")])
    prefix = ns.prefix([b"0", b"1", b"2", b"3"], touch=True)
    assert prefix.count == 2 and prefix.tiers == (kvtier.Tier.HOST, kvtier.Tier.HOST)
    assert ns.prefix([]).count == 0


def test_delete_pin_unpin_touch_prefetch_say_what_was_here(ns):
    ns.put(b"a", b"x")
    keys = [b"a", b"none"]
    assert ns.pin(keys, 60_000) == [True, False]
    assert ns.describe(keys)[0].pinned_until_unix_ms > 0
    assert ns.unpin(keys) == [True, False]
    assert ns.touch(keys) == [True, False]
    assert ns.prefetch(keys) == [True, False]
    assert ns.delete(keys) == [True, False]
    assert ns.get(b"a") == kvtier.Miss("deleted")
    gone = ns.describe([b"a"])[0]
    assert not gone and gone.reason == "deleted"


def test_block_of_another_length_than_the_profile_says_is_refused(client):
    profile = kvtier.Profile(f"p{uuid.uuid4().hex[:8]}", 2, 2, 8, "bf16", 16)
    ns = client.namespace(profile, "acme")
    assert ns.block_bytes == 2 * 2 * 2 * 8 * 2 * 16
    with pytest.raises(kvtier.InvalidArgument, match=f"10; allowed: {ns.block_bytes}"):
        ns.put(b"k", bytes(10))
    assert ns.put(b"k", bytes(ns.block_bytes)) == "stored"


def test_another_profile_under_the_same_name_is_told_which_field_differs(client):
    name = f"p{uuid.uuid4().hex[:8]}"
    client.namespace(kvtier.Profile(name, 2, 2, 8), "acme")
    with pytest.raises(kvtier.NamespaceMismatch) as caught:
        client.namespace(kvtier.Profile(name, 2, 2, 8, dtype="fp16"), "acme")
    assert "dtype" in caught.value.field and (caught.value.value, caught.value.limit) == ("fp16", "bf16")


def test_key_that_is_too_long_or_a_lone_id_is_refused_before_it_is_sent(ns):
    with pytest.raises(kvtier.InvalidArgument, match="key.length is 513"):
        ns.get(bytes(513))
    with pytest.raises(kvtier.InvalidArgument, match="BlockId"):
        ns.put(ns.id_of(b"k"), b"x")


def test_block_is_found_by_its_id(ns):
    ns.put(b"k", b"x")
    assert bytes(ns.get(ns.id_of(b"k"))) == b"x"
    assert ns.id_of(b"k") == kvtier.block_id(ns.fingerprint, b"k")


def test_overwrite_replaces(ns):
    ns.put(b"k", b"old")
    ns.put(b"k", b"new", overwrite=True)
    assert bytes(ns.get(b"k")) == b"new"


def test_ack_that_the_silo_can_not_give_is_an_error(ns):
    with pytest.raises(kvtier.KvTierError) as caught:
        ns.put(b"k", b"x", ack="replica")
    assert caught.value.code == kvtier.ErrorCode.UNSUPPORTED
    with pytest.raises(kvtier.InvalidArgument, match="memory, ssd, replica"):
        ns.put(b"k", b"x", ack="disk")


def test_ack_ssd_survives_a_kill(own_silo):
    with connect(own_silo.unix) as client:
        ns = client.namespace()
        data = os.urandom(1 << 20)
        assert ns.put(b"k", data, ack="ssd") == "stored"
        own_silo.kill()
        own_silo.start()
        hit = ns.get(b"k")
        assert bytes(hit) == data and hit.tier == "ssd"


def test_many_threads_share_a_client(ns):
    failures = []

    def work(number):
        try:
            for i in range(60):
                key, data = b"%d/%d" % (number, i), bytes([number]) * (1 + 997 * i)
                ns.put(key, data)
                assert bytes(ns.get(key)) == data
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert not failures and not any(thread.is_alive() for thread in threads)


def test_silo_that_is_full_refuses_single_blocks_only(new_silo):
    silo = new_silo({"host-bytes": "8MiB", "put-wait-ms": 50})
    with connect(silo.tcp) as client:
        ns = client.namespace()
        ns.put_many([(b"a%d" % i, bytes(1 << 20)) for i in range(7)])
        ns.pin([b"a%d" % i for i in range(7)], 60_000)
        refused, stored = ns.put_many([(b"large", bytes(2 << 20)), (b"small", bytes(1000))])
        assert refused.status == "refused" and refused.error.code == kvtier.ErrorCode.HOST_FULL and not refused
        assert stored.status == "stored" and stored


def test_token_that_is_wrong_is_refused_at_once(new_silo):
    silo = new_silo({"token": "secret"})
    with pytest.raises(kvtier.Refused) as caught:
        connect(silo.tcp)
    assert caught.value.code == kvtier.ErrorCode.UNAUTHORIZED
    with connect(silo.tcp, token="secret") as client:
        client.ping()


@pytest.mark.parametrize("endpoint", ["nonsense", "host:", "unix:relative", "", "h:99999"])
def test_endpoint_that_is_none_is_refused(endpoint):
    with pytest.raises(kvtier.InvalidArgument, match="endpoint"):
        kvtier.connect(endpoint)


def test_option_that_is_none_is_refused():
    with pytest.raises(kvtier.InvalidArgument, match="conections.*connections"):
        kvtier.connect("h:1", conections=3)


def test_stat_and_namespaces_are_told(client, ns):
    ns.put(b"k", b"x")
    assert client.stat()["name"] == client.silo_name
    entry = next(one for one in client.namespaces() if one["tenant"] == ns.tenant)
    assert entry["fingerprint"] == ns.fingerprint and entry["blocks"] == 1 and entry["profile"] == ns.profile


def test_dotnet_client_and_this_one_see_each_others_blocks(silo, ns, folder):
    data = os.urandom(200_000)
    ns.put(b"from-python", data)
    name = f"{ns.tenant}/opaque"
    kvtier_command("block", "get", "from-python", folder / "got", "-n", name, "-e", f"unix://{silo.socket_path}")
    assert (folder / "got").read_bytes() == data
    (folder / "source").write_bytes(data[::-1])
    kvtier_command("block", "put", "from-dotnet", folder / "source", "-n", name, "-e", f"tcp://{silo.tcp}")
    assert bytes(ns.get(b"from-dotnet")) == data[::-1]
    said = json.loads(kvtier_command(
        "block", "prefix", "from-python", "from-dotnet", "none", "-n", name, "--json", "-e", f"tcp://{silo.tcp}"))
    assert 2 in said.values()


def test_late_answers_leave_the_connection_usable(own_silo):
    with connect(own_silo.unix, retries_max=0) as client:
        ns = client.namespace()
        ns.put(b"k", bytes(50_000))
        own_silo.freeze()
        with pytest.raises(kvtier.DeadlineExceeded):
            ns.get(b"k", deadline_ms=100)
        own_silo.thaw()
        assert len(ns.get(b"k")) == 50_000
        assert len(client._silo._connections) == 1

"""LMCache without a plug-in: its Redis connector and its `resp` L2 adapter against a silo's RESP2 port."""
import asyncio
import concurrent.futures
import os
import random
import socket

import pytest

from lmcache_peers import CONNECTIONS_OF_CLASSIC, ClassicPeer, RawPeer, chunk_key, object_key, raw_peers
from silos import Cluster, Silo

MIB = 1 << 20
SHAPE = (2, 32, 256, 1024)
RESP = {"resp-enabled": True, "resp-port": 0, "host-bytes": "512MiB"}


@pytest.fixture(scope="module")
def resp_silo(run_folder):
    with Silo(run_folder, RESP, "lmcache-resp") as silo:
        yield silo


@pytest.fixture
def resp(resp_silo):
    """Host and port of the RESP2 listener of a silo without keys."""
    import redis

    with redis.Redis(port=resp_silo.resp_port) as client:
        client.flushall()
    return "127.0.0.1", resp_silo.resp_port


@pytest.fixture
def locked(new_silo):
    """The same of a silo with the password `sesame`."""
    return "127.0.0.1", new_silo({**RESP, "resp-password": "sesame"}).resp_port


def url(resp):
    return f"redis://{resp[0]}:{resp[1]}"


def run(work, resp):
    """Runs a coroutine function with a classic peer."""
    async def whole():
        peer = ClassicPeer(url(resp))
        try:
            return await asyncio.wait_for(work(peer), 120)
        finally:
            await peer.close()
    return asyncio.run(whole())


def test_classic_put_then_get_gives_the_bytes_back(resp):
    async def work(peer):
        key, data = chunk_key(1), os.urandom(8 * MIB)
        assert not await peer.exists(key)
        assert await peer.get(key) is None
        await peer.put(key, SHAPE, data)
        assert await peer.exists(key)
        assert await peer.get(key) == (SHAPE, data)
    run(work, resp)


@pytest.mark.parametrize("size", [1, 4095, MIB, 32 * MIB + 1, 64 * MIB])
def test_classic_values_of_all_sizes_are_binary_safe(resp, size):
    async def work(peer):
        data = bytes(range(256)) * (size // 256) + b"\r\n$-1\r\n"[: size % 256]
        await peer.put(chunk_key(2), SHAPE, data)
        assert await peer.get(chunk_key(2)) == (SHAPE, data)
    run(work, resp)


def test_classic_contains_stops_at_the_first_chunk_that_is_not_there(resp):
    async def work(peer):
        keys = [chunk_key(index) for index in range(10)]
        for index in (0, 1, 2, 4, 5):
            await peer.put(keys[index], SHAPE, bytes([index]) * 1000)
        assert await peer.contains(keys) == 3
        assert await peer.contains(keys[4:]) == 2
        assert await peer.contains(keys[6:]) == 0
    run(work, resp)


def test_classic_bytes_gone_takes_the_metadata_away(resp):
    async def work(peer):
        key = chunk_key(3)
        await peer.put(key, SHAPE, b"x" * 5000)
        assert await peer.redis.delete(key + "kv_bytes") == 1
        assert await peer.exists(key)
        assert await peer.get(key) is None
        assert not await peer.exists(key)
    run(work, resp)


def test_classic_put_again_replaces_the_chunk(resp):
    async def work(peer):
        key = chunk_key(4)
        await peer.put(key, SHAPE, b"a" * MIB)
        await peer.put(key, SHAPE, b"b" * (2 * MIB))
        assert await peer.get(key) == (SHAPE, b"b" * (2 * MIB))
    run(work, resp)


def test_classic_batches_use_150_connections_at_once(resp):
    async def work(peer):
        chunks = {chunk_key(index): random.Random(index).randbytes(256 * 1024) for index in range(2 * CONNECTIONS_OF_CLASSIC)}
        connections = [await peer.pool.get_connection("PING") for _ in range(CONNECTIONS_OF_CLASSIC)]
        for connection in connections:
            await connection.send_command("PING")
        assert [await connection.read_response() for connection in connections] == [b"PONG"] * CONNECTIONS_OF_CLASSIC
        for connection in connections:
            await peer.pool.release(connection)
        await asyncio.gather(*(peer.put(key, SHAPE, data) for key, data in chunks.items()))
        found = await asyncio.gather(*(peer.get(key) for key in chunks))
        assert found == [(SHAPE, data) for data in chunks.values()]
    run(work, resp)


def test_classic_commands_of_a_connection_do_not_break_it(resp):
    """What redis-py sends by itself: SELECT, CLIENT SETNAME, PING before use after a pause, INFO, and SETINFO where it is new enough."""
    import redis

    client = redis.Redis(host=resp[0], port=resp[1], db=3, client_name="lmcache-0", health_check_interval=1)
    assert client.ping()
    assert client.client_getname() in ("lmcache-0", b"lmcache-0")
    client.set("a", b"\x00\xff")
    assert client.get("a") == b"\x00\xff"
    assert client.info("server")["redis_version"].startswith("7.")
    assert redis.Redis(host=resp[0], port=resp[1], db=0).get("a") is None
    with pytest.raises(redis.ResponseError, match="unknown subcommand"):
        client.execute_command("CLIENT", "SETINFO", "LIB-NAME", "redis-py")
    assert client.get("a") == b"\x00\xff"


def test_classic_with_a_password_is_let_in_and_without_is_not(locked):
    import redis

    host, port = locked

    async def work(peer):
        await peer.put(chunk_key(1), SHAPE, b"1" * 100)
        assert await peer.get(chunk_key(1)) == (SHAPE, b"1" * 100)
    asyncio.run(_with_url(f"redis://default:sesame@{host}:{port}", work))
    asyncio.run(_with_url(f"redis://:sesame@{host}:{port}", work))
    with pytest.raises(redis.AuthenticationError):
        asyncio.run(_with_url(f"redis://{host}:{port}", work))


async def _with_url(address, work):
    peer = ClassicPeer(address)
    try:
        await asyncio.wait_for(work(peer), 60)
    finally:
        await peer.close()


def test_raw_set_get_exists_del_answer_byte_for_byte(resp):
    with raw_peers(*resp, count=1) as (peer,):
        key, value = object_key(1), os.urandom(4 * MIB)
        assert not peer.exists(key)
        assert peer.get(key, 4 * MIB) is None
        peer.set(key, value)
        assert peer.exists(key)
        assert peer.get(key, 4 * MIB) == value
        assert peer.delete(key)
        assert not peer.delete(key)
        assert peer.get(key, 4 * MIB) is None


def test_raw_eight_connections_move_a_batch_at_once(resp):
    chunks = {object_key(index): random.Random(index).randbytes(2 * MIB) for index in range(64)}
    with raw_peers(*resp) as peers, concurrent.futures.ThreadPoolExecutor(len(peers)) as threads:
        shares = [list(chunks.items())[start::len(peers)] for start in range(len(peers))]
        for _ in threads.map(lambda pair: [pair[0].set(*item) for item in pair[1]], zip(peers, shares)):
            pass
        # read back over another connection than the one that wrote
        turned = peers[1:] + peers[:1]
        back = threads.map(lambda pair: [pair[0].get(key, 2 * MIB) == value for key, value in pair[1]], zip(turned, shares))
        assert [all(one) for one in back] == [True] * len(peers)


def test_raw_keys_with_a_salt_are_other_keys(resp):
    with raw_peers(*resp, count=1) as (peer,):
        peer.set(object_key(1), b"one")
        peer.set(object_key(1) + "@tenant-7", b"two")
        assert peer.get(object_key(1), 3) == b"one"
        assert peer.get(object_key(1) + "@tenant-7", 3) == b"two"


@pytest.mark.parametrize("user", [None, "default"])
def test_raw_auth_with_and_without_a_user(locked, user):
    host, port = locked
    with raw_peers(host, port, count=1, user=user, password="sesame") as (peer,):
        peer.set(object_key(1), b"value")
        assert peer.get(object_key(1), 5) == b"value"
    with raw_peers(host, port, count=1) as (peer,):
        peer.send(b"GET", b"key")
        assert peer.line() == b"-NOAUTH Authentication required.\r\n"
    with pytest.raises(AssertionError, match="WRON"):
        RawPeer(host, port, user=user, password="wrong")


def test_raw_port_is_ipv4(resp):
    with socket.create_connection(resp) as connection:
        assert connection.family == socket.AF_INET


@pytest.mark.deadline(180)
def test_cluster_any_silo_answers_for_all_keys(folder):
    """Three silos: what is written at one is there at each other, for both clients; a batch prefix counts across owners."""
    # None dies: a busy machine must cost none its membership, or a call between two.
    with Cluster(folder, options={**RESP, "cluster-lease-ms": 20_000, "cluster-peer-deadline-ms": 20_000}) as cluster:
        check_cluster([("127.0.0.1", silo.resp_port) for silo in cluster.silos])


def check_cluster(hosts):
    values = {object_key(index): random.Random(index).randbytes(512 * 1024) for index in range(24)}
    with raw_peers(*hosts[0], count=1) as (first,), raw_peers(*hosts[1], count=1) as (second,), raw_peers(*hosts[2], count=1) as (third,):
        for key, value in values.items():
            first.set(key, value)
        for key, value in values.items():
            assert second.exists(key) and third.get(key, len(value)) == value
        for key in values:
            assert second.delete(key) and not third.exists(key)

    async def work(peer):
        for index in range(6):
            await peer.put(chunk_key(index), SHAPE, bytes([index]) * MIB)

    async def look(peer):
        assert await peer.contains([chunk_key(index) for index in range(8)]) == 6
        assert await peer.get(chunk_key(5)) == (SHAPE, b"\x05" * MIB)
    run(work, hosts[1])
    run(look, hosts[2])

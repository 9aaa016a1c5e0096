"""The asyncio client."""
import asyncio
import os
import threading
import time

import numpy as np
import pytest

import kvtier
import kvtier.aio
from clients import CALL_MS, LEASE_MS


def run(work):
    asyncio.run(work)


async def connect(endpoint, **options):
    """A client that no busy machine makes fail."""
    return await kvtier.aio.connect(endpoint, **{"timeout_ms": CALL_MS, "lease_ms": LEASE_MS, **options})


def test_put_get_prefix_and_lease(silo):
    async def work():
        async with await connect(silo.unix) as client:
            ns = await client.namespace(tenant="aio")
            data = os.urandom(100_000)
            assert await ns.put(b"k", data, overwrite=True) == "stored"
            assert bytes(await ns.get(b"k")) == data
            assert (await ns.prefix([b"k", b"none"])).count == 1
            with await ns.lease([b"k"]) as leases:
                assert leases[0].verify()
            async with await ns.reserve([(b"r", 1000)]) as slots:
                slots[0].data[:] = bytes(1000)
                assert (await slots.commit())[0]
            assert await ns.delete([b"r"]) == [True]
            await client.ping()
            assert (await client.stat())["name"]

    run(work())


def test_many_calls_at_once_and_the_loop_goes_on(silo):
    async def work():
        async with await connect(silo.tcp) as client:
            ns = await client.namespace(tenant="aio")
            turned = threading.Event()

            async def turn():
                for _ in range(4):
                    await asyncio.sleep(0.001)
                turned.set()

            turning = asyncio.create_task(turn())
            # One call lasts until the loop has turned: if calls held the loop up, it would wait in vain.
            held, *_ = await asyncio.gather(
                client._run(turned.wait, 60),
                *(ns.put(b"m%d" % i, bytes([i]) * 200_000, overwrite=True) for i in range(40)))
            assert held
            hits = await asyncio.gather(*(ns.get(b"m%d" % i) for i in range(40)))
            assert all(bytes(hit) == bytes([i]) * 200_000 for i, hit in enumerate(hits))
            await turning

    run(work())


def test_cancelled_call_leaves_the_client_usable(own_silo):
    async def work():
        async with await connect(own_silo.unix) as client:
            ns = await client.namespace()
            await ns.put(b"k", b"x")
            own_silo.freeze()
            begun = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(ns.get(b"k"), 0.1)
            assert time.monotonic() - begun < CALL_MS / 1000 / 2
            own_silo.thaw()
            assert bytes(await ns.get(b"k")) == b"x"

    run(work())


def test_errors_are_those_of_the_synchronous_client(silo):
    async def work():
        with pytest.raises(kvtier.InvalidArgument):
            await kvtier.aio.connect("nonsense")
        with pytest.raises(kvtier.Unreachable):
            await connect("unix:/nowhere/at/all")
        async with await connect(silo.tcp) as client:
            with pytest.raises(kvtier.Unsupported):
                await (await client.namespace()).lease([b"k"])

    run(work())


def test_sequences_and_recall(silo):
    async def work():
        async with await connect(silo.unix) as client:
            ns = await client.namespace(kvtier.Profile("aio-recall", 1, 1, 16, "fp32", 16), "aio")
            keys = [b"k%d" % i for i in range(4)]
            await ns.put_many([(key, np.random.default_rng(i).random((2, 16, 16), np.float32)) for i, key in enumerate(keys)])
            sequence = await ns.sequence("chat")
            await sequence.append(keys, 64)
            queries = np.ones((1, 1, 2, 16), np.float32)
            item = (await ns.recall([(sequence, 0)], queries, kvtier.selectors.moments.with_budget(64)))[0]
            assert item.output.shape == (1, 2, 16) and item.is_whole
            assert (await sequence.close()).tokens == 64

    run(work())

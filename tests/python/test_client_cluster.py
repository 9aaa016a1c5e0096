"""Routing in a cluster of three silos."""
import os
import uuid

import pytest

import kvtier
from clients import connect
from silos import kvtier_command, until

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def client(cluster):
    with connect(cluster.endpoints) as made:
        yield made


@pytest.fixture
def ns(client):
    return client.namespace(tenant=f"t{uuid.uuid4().hex[:12]}")


def test_blocks_go_to_their_owners_and_are_found(client, ns, cluster):
    blocks = [(b"b%d" % i, os.urandom(5000)) for i in range(60)]
    assert all(one.status == "stored" for one in ns.put_many(blocks))
    assert [bytes(hit) for hit in ns.get_many([key for key, _ in blocks])] == [data for _, data in blocks]
    ids = [ns.id_of(key) for key, _ in blocks]
    owners = [client.cluster_map.silos[client.cluster_map.owner_of(one)].name for one in ids]
    assert len(set(owners)) == 3
    for silo in cluster.silos:
        with connect(silo.tcp, cluster="never") as one:
            here = one.namespace(tenant=ns.tenant).describe(ids)
            assert [bool(found) for found in here] == [owner == silo.name for owner in owners]


def test_prefix_counts_over_silos_up_to_the_first_gap(ns):
    keys = [b"p%d" % i for i in range(200)]
    ns.put_many([(key, b"x") for key in keys[:150]], groups="prefix")
    assert ns.prefix(keys, groups="prefix").count == 150
    ns.delete([keys[70]], groups=[kvtier.block_groups([ns.id_of(key) for key in keys])[70]])
    assert ns.prefix(keys, groups="prefix").count == 70


def test_changes_reach_the_owners(ns):
    keys = [b"c%d" % i for i in range(30)]
    ns.put_many([(key, b"x") for key in keys])
    assert ns.pin(keys + [b"none"], 60_000) == [True] * 30 + [False]
    assert all(ns.unpin(keys)) and all(ns.touch(keys)) and all(ns.prefetch(keys))
    assert all(ns.describe(keys))
    assert all(ns.delete(keys))
    assert {miss.reason for miss in ns.get_many(keys)} == {"deleted"}


def test_dotnet_client_of_one_silo_and_this_one_see_each_others_blocks(ns, cluster, client, folder):
    data = os.urandom(10_000)
    for i in range(6):
        key = f"k{i}"
        ns.put(key.encode(), data)
        owner = client.cluster_map.silos[client.cluster_map.owner_of(ns.id_of(key.encode()))]
        kvtier_command("block", "get", key, folder / key, "-n", f"{ns.tenant}/opaque", "-e", f"tcp://{owner.endpoint}")
        assert (folder / key).read_bytes() == data
        (folder / "source").write_bytes(data + b"!")
        kvtier_command("block", "put", f"d{i}", folder / "source", "-n", f"{ns.tenant}/opaque", "-e", _owner_of(client, ns, f"d{i}"))
        assert bytes(ns.get(f"d{i}".encode())) == data + b"!"


def _owner_of(client, ns, key):
    return "tcp://" + client.cluster_map.silos[client.cluster_map.owner_of(ns.id_of(key.encode()))].endpoint


def test_shared_memory_of_the_silo_on_this_machine_is_used(cluster):
    with connect([cluster.silos[0].unix, *cluster.endpoints[1:]]) as client:
        assert client.is_local
        ns = client.namespace(tenant="cluster-local")
        keys = [b"l%d" % i for i in range(20)]
        ns.put_many([(key, bytes(20_000)) for key in keys])
        with ns.lease(keys) as leases:
            mine = [client.cluster_map.silos[client.cluster_map.owner_of(ns.id_of(key))].name == "silo-1" for key in keys]
            assert [bool(lease) for lease in leases] == mine and any(mine)
            assert {lease.reason for lease in leases if not lease} <= {"moved"}


@pytest.mark.deadline(300)
def test_leases_follow_blocks_to_their_new_owner(own_cluster):
    with connect([silo.unix for silo in own_cluster.silos]) as client:
        ns = client.namespace()
        blocks = [(b"b%d" % i, os.urandom(20_000)) for i in range(60)]
        assert all(ns.put_many(blocks, ack="replica"))
        before = client.cluster_map.epoch
        kvtier_command("cluster", "drain", "silo-2", "--endpoint", own_cluster.silos[0].endpoints["tcp"])
        until(lambda: own_cluster.silos[1].stat()["engine"]["hostBlocks"] == 0, 120, "silo-2 has handed its blocks over", every=0.2)
        assert client.cluster_map.epoch == before  # It has not heard of it.
        with ns.lease([key for key, _ in blocks] + [b"none"]) as leases:
            assert [bytes(lease.data) for lease in leases[:60]] == [data for _, data in blocks] and leases.hits == 60
            assert leases[60] == kvtier.Miss("never_stored")
        assert client.cluster_map.epoch > before


def test_silo_outside_of_a_cluster_is_one_by_itself(silo):
    with connect(silo.tcp) as client:
        assert client.cluster_map is None
    with pytest.raises(kvtier.Unsupported, match="cluster"):
        connect(silo.tcp, cluster="require")


@pytest.mark.deadline(300)
def test_killed_owner_is_replaced_and_no_acknowledged_block_is_lost(own_cluster):
    with connect(own_cluster.endpoints) as client:
        ns = client.namespace()
        blocks = [(b"b%d" % i, os.urandom(3000)) for i in range(80)]
        assert all(ns.put_many(blocks, ack="replica"))
        own_cluster.silos[1].kill()
        results = ns.get_many([key for key, _ in blocks])
        assert [bytes(hit) if hit else hit for hit in results] == [data for _, data in blocks]
        assert all(ns.put_many([(b"n%d" % i, b"x") for i in range(40)]))
        # The client hears of a map by what it is answered.
        until(lambda: all(ns.get_many([key for key, _ in blocks])) and len(client.cluster_map.silos) == 2, 60, "the map has two silos")
        assert all(ns.get_many([key for key, _ in blocks]))
        own_cluster.add()
        own_cluster.settle()
        assert all(ns.get_many([key for key, _ in blocks]))
        assert all(ns.put_many([(b"m%d" % i, b"x") for i in range(40)]))

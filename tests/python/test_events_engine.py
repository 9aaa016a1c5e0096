"""Hello, cost gate and event notes with the Python client, on one silo and in a cluster."""
import json
import os

import pytest

import kvtier
from kvtier.engine import EventNote, hash_seed, instance_name

PROFILE = kvtier.Profile("engine-model", 1, 1, 64, block_tokens=16)
BLOCK = b"\x05" * PROFILE.block_bytes
GOOD = {"hash_algorithm": "sha256_cbor", "seed": "0", "probe_hash": "aa", "dtype": "bf16", "rank": "any", "unsaid": None}


def test_engines_that_differ_are_told_what_and_what_to_set(own_silo):
    with kvtier.connect(own_silo.unix, timeout_ms=30_000) as client:
        ns = client.namespace(PROFILE)
        report = ns.hello("vllm", "0.20.0", GOOD, instance="node-1/0")
        assert report == (1, True, ())
        report = ns.hello("vllm", "0.20.0", {**GOOD, "seed": "unset", "probe_hash": "bb", "rank": 1}, instance="node-2/0")
        assert [one.field for one in report.differences] == ["seed", "probe_hash"]
        seed = report.differences[0]
        assert (seed.mine, seed.theirs, seed.whose) == ("unset", "0", "vllm 0.20.0 at node-1/0") and "PYTHONHASHSEED=0" in seed.fix
        assert "PYTHONHASHSEED=0" in str(seed)
        own_silo.until_logged("they can't share blocks")
        assert own_silo.metric("kvtier_engine_split", namespace="default/engine-model") == 2
        assert own_silo.metric("kvtier_engine_differences_total", field="seed") == 1
        shown = json.loads(own_silo.http("/engines"))["namespaces"]
        mine = next(one for one in shown if one["name"] == "default/engine-model")
        assert mine["differingFields"] == ["probe_hash", "seed"] and len(mine["engines"]) == 2
        # Set right and started again: the same instance agrees with the other, and hears that it was different before.
        report = ns.hello("vllm", "0.20.0", GOOD, instance="node-2/0")
        assert all("before it was restarted" in one.whose for one in report.differences)
        assert ns.hello("vllm", "0.20.0", GOOD, instance="node-2/0").differences == ()
        assert own_silo.metric("kvtier_engine_split", namespace="default/engine-model") == 0


def test_gate_counts_what_arrives_before_it_would_be_computed(new_silo):
    silo = new_silo({"engines-prefill": "default/engine-model=1000"})
    with kvtier.connect(silo.unix, timeout_ms=30_000) as client:
        ns = client.namespace(PROFILE)
        keys = [b"gate-%d" % i for i in range(8)]
        assert all(one.error is None for one in ns.put_many([(key, BLOCK) for key in keys[:6]]))
        fast = ns.loadable(keys, bytes_per_second=len(BLOCK) * 1000)
        assert (fast.blocks, fast.present, round(fast.load_ms, 3), round(fast.recompute_ms, 3)) == (6, 6, 6.0, 96.0)
        slow = ns.loadable(keys, bytes_per_second=len(BLOCK) * 10)
        assert (slow.blocks, slow.present) == (0, 6) and "computing 6 blocks takes 96 ms" in slow.reason
        assert ns.loadable(keys, bytes_per_second=len(BLOCK) * 10, prefill_tokens_per_second=10).blocks == 6
        assert ns.loadable(keys).blocks == 6
        assert ns.loadable([b"nothing"]).reason == "no block of the prefix is here"


def test_gate_off_counts_all(new_silo):
    silo = new_silo({"engines-gate": "false", "engines-prefill-tokens-per-second": 1000})
    with kvtier.connect(silo.unix, timeout_ms=30_000) as client:
        ns = client.namespace(PROFILE)
        ns.put(b"one", BLOCK)
        answer = ns.loadable([b"one"], bytes_per_second=1)
        assert answer.blocks == 1 and "engines.gate" in answer.reason


def test_in_a_cluster_engines_at_different_silos_hear_of_each_other(cluster):
    with kvtier.connect([silo.tcp for silo in cluster.silos], timeout_ms=30_000) as routed:
        ns = routed.namespace(PROFILE)
        assert ns.hello("vllm", "1", GOOD, instance="c-1").complete
        keys = [b"c-%d" % i for i in range(40)]
        assert all(one.error is None for one in ns.put_many([(key, BLOCK) for key in keys]))
        answer = ns.loadable(keys + [b"not there"], prefill_tokens_per_second=1000, bytes_per_second=len(BLOCK) * 1000)
        assert (answer.blocks, answer.present) == (40, 40)
        assert ns.event_notes([(keys[0], EventNote(b"\x01", None, [1] * 16))], block_tokens=16).publishing is False
    # Each by a silo of its own, of which at most one is the home of the namespace.
    for number, silo in enumerate(cluster.silos):
        with kvtier.connect(silo.tcp, cluster="never", timeout_ms=30_000) as alone:
            report = alone.namespace(PROFILE).hello("vllm", "1", {**GOOD, "dtype": "fp8"}, instance=f"d-{number}")
            assert report.complete and report.engines == 2 + number
            assert [(one.field, one.theirs) for one in report.differences] == [("dtype", "bf16")]


def test_names_and_seeds_of_this_process(monkeypatch):
    for value, said in ((None, "unset"), ("random", "unset"), ("", "unset"), ("0", "0"), ("17", "17")):
        monkeypatch.delenv("PYTHONHASHSEED", raising=False)
        if value is not None:
            monkeypatch.setenv("PYTHONHASHSEED", value)
        assert hash_seed() == said
    monkeypatch.setenv("POD_NAME", "pod-a")
    assert instance_name() == "pod-a" and instance_name(3) == "pod-a/3"
    assert os.environ["POD_NAME"] == "pod-a"


@pytest.mark.parametrize("fields, words", [
    ({"x": "y" * 300}, "x.length"),
    ({str(i): "v" for i in range(33)}, "fields.count"),
])
def test_hellos_that_say_too_much_are_refused_before_they_are_sent(silo, fields, words):
    with kvtier.connect(silo.unix, timeout_ms=30_000) as client:
        with pytest.raises(kvtier.InvalidArgument, match=words):
            client.namespace(PROFILE).hello("vllm", "1", fields)
        with pytest.raises(kvtier.InvalidArgument, match="block_tokens"):
            client.namespace(PROFILE).event_notes([], block_tokens=0)

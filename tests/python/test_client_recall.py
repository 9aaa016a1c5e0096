"""Sequences and recall: against attention in numpy, over all paths, and beside the .NET client."""
import json
import uuid

import numpy as np
import pytest

import kvtier
from clients import connect
from silos import kvtier_command

pytestmark = pytest.mark.usefixtures("patient")

LAYERS, HEADS, DIM, BLOCK, QUERY_HEADS = 2, 2, 32, 16, 4
BLOCKS = 12
TOKENS = BLOCKS * BLOCK - 5
PROFILE = kvtier.Profile("recall-test", LAYERS, HEADS, DIM, "fp32", BLOCK)
ALL = kvtier.selectors.moments.with_budget(TOKENS)


def make_cache(seed=5):
    """Keys and values [layer][K,V][head][token][dim], the tokens past the end zero."""
    cache = np.random.default_rng(seed).standard_normal((LAYERS, 2, HEADS, BLOCKS * BLOCK, DIM), np.float32)
    cache[:, :, :, TOKENS:] = 0
    return cache


def store(ns, cache, keys):
    blocks = [(key, np.ascontiguousarray(cache[:, :, :, i * BLOCK:(i + 1) * BLOCK])) for i, key in enumerate(keys)]
    assert all(ns.put_many(blocks))


def attend(cache, layer, queries):
    """Exact o [W, Hq, D] and lse [W, Hq]."""
    group = QUERY_HEADS // HEADS
    keys, values = (np.repeat(cache[layer, part, :, :TOKENS], group, axis=0) for part in (0, 1))
    logits = np.einsum("whd,htd->wht", queries, keys) / np.sqrt(DIM)
    top = logits.max(-1, keepdims=True)
    weights = np.exp(logits - top)
    return np.einsum("wht,htd->whd", weights, values) / weights.sum(-1)[..., None], np.log(weights.sum(-1)) + top[..., 0]


@pytest.fixture(params=["tcp", "local", "cluster"])
def ns(request):
    if request.param == "cluster":
        client = connect(request.getfixturevalue("cluster").endpoints)
    else:
        silo = request.getfixturevalue("silo")
        client = connect(silo.tcp if request.param == "tcp" else silo.unix)
    with client:
        yield client.namespace(PROFILE, f"t{uuid.uuid4().hex[:12]}")


@pytest.fixture
def chat(ns):
    cache, keys = make_cache(), [b"k%d" % i for i in range(BLOCKS)]
    store(ns, cache, keys)
    sequence = ns.sequence("chat", [kvtier.selectors.moments.digest, kvtier.selectors.quest.digest])
    sequence.append(keys, TOKENS)
    sequence.cache = cache
    return sequence


def queries_of(items, window=1, seed=9):
    return np.random.default_rng(seed).standard_normal((items, window, QUERY_HEADS, DIM), np.float32)


def test_attention_over_all_tokens_is_exact(ns, chat):
    queries = queries_of(LAYERS, window=3)
    items = ns.recall([(chat, layer) for layer in range(LAYERS)], queries, ALL, "attend")
    for layer, item in enumerate(items):
        output, lse = attend(chat.cache, layer, queries[layer])
        np.testing.assert_allclose(item.output, output, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(item.lse, lse, rtol=1e-4, atol=1e-5)
        assert item.is_whole and item.keys is None


@pytest.mark.parametrize("layout", ["kv_head_token", "head_kv_token", "kv_token_head"])
def test_gather_gives_the_rows_of_the_units_it_names(ns, chat, layout):
    item = ns.recall([("chat", 1)], queries_of(1)[:, 0], kvtier.selectors.quest.with_budget(64), "gather", layout=layout)[0]
    for head in range(HEADS):
        tokens = np.concatenate([np.arange(unit * 16, min(unit * 16 + 16, TOKENS)) for unit in item.sent[head]])
        assert 0 < len(tokens) <= 64 and sorted(item.sent[head]) == list(item.units[head])
        keys, values = (
            (part[:, head] if layout == "kv_token_head" else part[head])[:len(tokens)] for part in (item.keys, item.values))
        np.testing.assert_array_equal(keys, chat.cache[1, 0, head, tokens])
        np.testing.assert_array_equal(values, chat.cache[1, 1, head, tokens])


def test_ids_have_no_rows_and_stay_in_the_budget(ns, chat):
    item = ns.recall([("chat", 0)], queries_of(1), kvtier.selectors.quest.with_budget(48), "ids")[0]
    assert item.unit_tokens == 16 and all(0 < len(units) <= 4 for units in item.units) and not item.payload


def test_a_budget_that_nobody_named_takes_all_of_a_short_sequence_and_a_named_one_is_refused(ns, chat):
    item = ns.recall([("chat", 0)], queries_of(1), kvtier.selectors.moments, "ids")[0]
    assert all(len(units) * item.unit_tokens >= TOKENS for units in item.units)
    with pytest.raises(kvtier.InvalidArgument, match="budget"):
        ns.recall([("chat", 0)], queries_of(1), kvtier.selectors.moments.with_budget(2048), "ids")


def test_slots_that_hold_a_unit_are_not_sent_again(ns, chat):
    selector = kvtier.selectors.quest.with_budget(64)
    first = ns.recall([("chat", 0)], queries_of(1), selector, "gather", held=[np.full((HEADS, 5), -1)])[0]
    again = ns.recall([("chat", 0)], queries_of(1), selector, "gather", held=[first.slots])[0]
    assert first.slots.shape == (HEADS, 5) and all(len(sent) for sent in first.sent)
    assert not any(len(sent) for sent in again.sent) and again.keys.shape[1] == 0


def test_half_precision_queries_are_taken(ns, chat):
    queries = queries_of(1).astype(np.float16)
    item = ns.recall([("chat", 0)], queries, ALL)[0]
    np.testing.assert_allclose(item.output, attend(chat.cache, 0, queries[0].astype(np.float32))[0], rtol=1e-3, atol=1e-4)


def test_fork_shares_blocks_and_close_forgets(ns, chat):
    fork = chat.fork("fork", 64)
    assert (fork.tokens, fork.info.blocks) == (64, 4)
    assert {info.name for info in ns.sequences()} == {"chat", "fork"}
    assert fork.close().tokens == 64
    assert [info.name for info in ns.sequences()] == ["chat"]
    with pytest.raises(kvtier.InvalidArgument):
        fork.describe()


def test_append_is_done_once_however_often_it_is_sent(ns, chat):
    keys = [b"k%d" % i for i in range(BLOCKS)]
    again = kvtier.Sequence(ns, chat.info)
    assert again.append(keys, TOKENS, expected_tokens=0).tokens == TOKENS
    with pytest.raises(kvtier.InvalidArgument, match="expectedTokens"):
        again.append(keys, TOKENS, expected_tokens=7)


def test_partly_filled_block_is_replaced(ns, chat):
    full = make_cache(6)
    ns.put(b"last", np.ascontiguousarray(full[:, :, :, (BLOCKS - 1) * BLOCK:]))
    assert chat.append([b"last"], BLOCK, replace_last=True).tokens == BLOCKS * BLOCK
    assert ns.find_sequence("chat").tokens == BLOCKS * BLOCK


@pytest.mark.parametrize("change, says", [
    (dict(queries=np.zeros((1, 1, 3, DIM), np.float32)), "queries.shape"),
    (dict(queries=np.zeros((1, 1, 4, DIM))), "queries.dtype is float64"),
    (dict(items=[("chat", 2)]), "layer is 2; allowed: 0 to 1"),
    (dict(items=[("none", 0)]), "none"),
    (dict(selector="qest"), "did you mean quest"),
    (dict(selector="arkvale"), "arkvale|digest|cuboid"),
    (dict(mode="all"), "ids, gather, attend"),
    (dict(held=[np.zeros((3, 2), np.int32)]), "held"),
])
def test_recall_that_can_not_be_is_refused_with_the_field(ns, chat, change, says):
    call = {"items": [("chat", 0)], "queries": queries_of(1), "selector": "quest", "mode": "ids", **change}
    with pytest.raises(kvtier.InvalidArgument, match=says):
        ns.recall(call.pop("items"), call.pop("queries"), **call)


def test_lost_block_is_named_as_missing(ns, chat):
    assert ns.delete([b"k3"]) == [True]
    item = ns.recall([("chat", 0)], queries_of(1), ALL, "gather")[0]
    assert not item.is_whole and item.missing[0].first_token == 3 * BLOCK and item.missing[0].reason == "deleted"


def test_leased_rows_lie_in_shared_memory(silo):
    with connect(silo.unix, local="require") as client:
        ns = client.namespace(PROFILE, f"t{uuid.uuid4().hex[:12]}")
        cache, keys = make_cache(), [b"k%d" % i for i in range(BLOCKS)]
        store(ns, cache, keys)
        ns.sequence("chat").append(keys, TOKENS)
        with ns.recall_lease([("chat", 0), ("chat", 1)], queries_of(2), ALL) as items:
            assert items.is_valid and not items[0].keys.flags.writeable
            for layer, item in enumerate(items):
                np.testing.assert_array_equal(item.keys[:, :TOKENS], cache[layer, 0, :, :TOKENS])
        assert not items.is_valid


def test_dotnet_client_finds_a_sequence_of_the_cluster_at_its_owner(cluster):
    with connect(cluster.endpoints) as client:
        ns = client.namespace(PROFILE, f"t{uuid.uuid4().hex[:12]}")
        keys = [b"k%d" % i for i in range(BLOCKS)]
        store(ns, make_cache(), keys)
        for name in ("one", "two", "three", "four"):
            ns.sequence(name).append(keys, TOKENS)
            owner = client.cluster_map.silos[client.cluster_map.owner_of(kvtier.block_id(ns.fingerprint, b"sequence/" + name.encode()))]
            said = json.loads(kvtier_command(
                "sequence", "describe", name, "--json", "-n", f"{ns.tenant}/{PROFILE.name}", "-e", f"tcp://{owner.endpoint}"))[0]
            assert said["tokens"] == TOKENS


def test_dotnet_client_and_this_one_see_each_others_sequences(silo):
    with connect(silo.unix) as client:
        ns = client.namespace(PROFILE, f"t{uuid.uuid4().hex[:12]}")
        cache, keys = make_cache(), [b"k%d" % i for i in range(BLOCKS)]
        store(ns, cache, keys)
        ns.sequence("from-python").append(keys, TOKENS)
        where = ("--namespace", f"{ns.tenant}/{PROFILE.name}", "--endpoint", f"tcp://{silo.tcp}")
        said = json.loads(kvtier_command("sequence", "describe", "from-python", "--json", *where))[0]
        assert said["tokens"] == TOKENS and said["blocks"] == BLOCKS
        kvtier_command("sequence", "open", "from-dotnet", *[key.decode() for key in keys], *where)
        assert ns.find_sequence("from-dotnet").tokens == BLOCKS * BLOCK
        queries = queries_of(1)
        output = ns.recall([("from-dotnet", 0)], queries, kvtier.selectors.moments.with_budget(64), "ids")[0]
        assert output.unit_tokens == 16

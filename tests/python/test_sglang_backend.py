"""SGLang's storage backend driven as the engine's controller does it, against a real silo."""
import logging
import uuid

import pytest
import torch

import sglang_engine
from sglang_engine import Controller, HeadsPool, LatentPool, StatePool, page_hashes

sglang_engine.install()
from kvtier.errors import InvalidArgument  # noqa: E402
from kvtier_sglang.backend import KvTierHiCache  # noqa: E402

types = sglang_engine.engine_types()
LAYOUTS = ["page_first", "page_first_direct", "layer_first", "page_head"]


@pytest.fixture
def tenant():
    """A tenant for each test: the silo is shared."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def start(silo, tenant):
    """Starts a controller with a pool: start(pool, option=…, config={…})."""
    made = []

    def attach(pool, side_pools=None, config=None, **options):
        options = {"endpoint": silo.unix, "tenant": tenant, "lookup_timeout_ms": 30_000, "read_timeout_ms": 30_000,
                   "write_timeout_ms": 30_000, **options}
        made.append(Controller(KvTierHiCache, pool, options, side_pools, **(config or {})))
        return made[-1]

    yield attach
    for each in made:
        each.detach()


def keys_of(pages, first=1, page_size=16):
    return page_hashes([first * 100000 + token for token in range(pages * page_size)], page_size)


def same(one, other, pages, others=None):
    """Whether pages of two pools hold the same KV, whatever their layouts."""
    return all(torch.equal(one.logical(a * one.page_size), other.logical(b * other.page_size))
               for a, b in zip(pages, others or pages))


@pytest.mark.parametrize("zero_copy", [1, 0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_pages_that_one_node_wrote_another_node_reads_into_other_slots(start, layout, zero_copy):
    writer = start(HeadsPool(layout, seed=1), interface_v1=zero_copy)
    reader = start(HeadsPool(layout), interface_v1=zero_copy)
    keys, pages, places = keys_of(5), [3, 9, 1, 30, 63], [7, 8, 2, 60, 0]
    assert reader.hits(keys) == 0
    assert writer.backup(keys, pages) == 5
    assert reader.hits(keys) == 5
    assert reader.prefetch(keys, places) == 5
    assert same(writer.pool, reader.pool, pages, places)
    untouched = [page for page in range(64) if page not in places]
    assert not any(reader.pool.logical(page * 16).any() for page in untouched)


@pytest.mark.parametrize("layout", ["page_first", "layer_first"])
def test_latent_pages_are_stored_once_and_read_by_every_rank(start, layout):
    config = {"is_mla_model": True, "tp_size": 2, "model_name": "deepseek-ai/DeepSeek-V3"}
    first = start(LatentPool(layout, seed=2), config={**config, "tp_rank": 0})
    second = start(LatentPool(layout, seed=3), config={**config, "tp_rank": 1})
    keys = keys_of(4)
    assert second.backup(keys, [0, 1, 2, 3]) == 4, "a rank that need not write says that all is well"
    assert first.hits(keys) == 0
    assert first.backup(keys, [0, 1, 2, 3]) == 4
    assert second.hits(keys) == 4
    assert second.prefetch(keys, [4, 5, 6, 7]) == 4
    assert torch.equal(second.pool.get_data_page(4 * 16), first.pool.get_data_page(0))
    assert torch.equal(second.pool.get_data_page(7 * 16), first.pool.get_data_page(3 * 16))


def test_batches_longer_than_128_pages_are_written_and_read(start):
    pool = HeadsPool(pages=300, page_size=4, seed=4)
    keys = keys_of(300, page_size=4)
    writer, reader = start(pool, batch_bytes=20000), start(HeadsPool(pages=300, page_size=4))
    assert writer.backup(keys, list(range(300))) == 300
    assert reader.hits(keys) == 300
    assert reader.prefetch(keys, list(range(300))) == 300
    assert same(pool, reader.pool, range(300))


def test_layer_first_pages_of_many_layers_are_joined_to_one_block(start):
    writer, reader = start(HeadsPool("layer_first", layers=12, seed=4)), start(HeadsPool("layer_first", layers=12))
    assert writer.storage._pools["kv"].parts == 1
    keys = keys_of(5)
    assert writer.backup(keys, [4, 3, 2, 1, 0]) == 5
    assert reader.prefetch(keys, [9, 8, 7, 6, 5]) == 5
    assert same(writer.pool, reader.pool, range(5), range(5, 10))


@pytest.mark.deadline(240)
def test_cluster_nodes_at_different_silos_share_pages_of_all_owners(cluster, tenant):
    options = {"tenant": tenant, "lookup_timeout_ms": 30_000, "read_timeout_ms": 30_000, "write_timeout_ms": 30_000}
    writer = Controller(KvTierHiCache, HeadsPool(seed=31), {**options, "endpoint": ",".join(cluster.endpoints[:2])})
    reader = Controller(KvTierHiCache, HeadsPool(), {**options, "endpoint": cluster.endpoints[2]})
    keys = keys_of(40)
    assert writer.backup(keys, list(range(40))) == 40
    assert reader.hits(keys + keys_of(1, first=99)) == 40
    assert reader.prefetch(keys, list(range(40))) == 40
    assert same(writer.pool, reader.pool, range(40))
    for each in (writer, reader):
        each.detach()


def test_prefix_ends_at_the_first_missing_page(start):
    writer = start(HeadsPool(seed=5))
    keys = keys_of(8)
    assert writer.backup(keys[:3], [0, 1, 2]) == 3
    assert writer.backup(keys[4:], [4, 5, 6, 7]) == 4
    reader = start(HeadsPool())
    assert reader.hits(keys) == 3
    assert reader.prefetch(keys, list(range(8))) == 3
    assert same(writer.pool, reader.pool, range(3))


def test_page_with_one_part_missing_is_no_hit(start):
    writer = start(HeadsPool(seed=6))
    keys = keys_of(3)
    writer.backup(keys, [0, 1, 2])
    pool, store = writer.storage._pools["kv"], writer.storage._store
    assert pool.parts == 2
    gone = pool.keys(keys)[3]
    assert store.attempt("a delete", None, lambda space, _: space.delete([gone])) == [True]
    assert writer.hits(keys) == 1
    assert writer.storage.batch_get_v1(keys, writer.slots([5, 6, 7])) == [True, False, True]
    assert writer.backup(keys, [0, 1, 2]) == 3, "the missing part alone is written again"
    assert writer.hits(keys) == 3


@pytest.mark.parametrize("other", [
    {"model_name": "meta-llama/Llama-3.1-70B"}, {"tp_rank": 1, "tp_size": 2}, {"tp_size": 2}, {"pp_rank": 1, "pp_size": 2},
    {"attn_cp_rank": 1, "attn_cp_size": 2}])
def test_another_model_or_rank_has_other_pages(start, other):
    writer, stranger = start(HeadsPool(seed=7)), start(HeadsPool(), config=other)
    keys = keys_of(2)
    writer.backup(keys, [0, 1])
    assert stranger.hits(keys) == 0
    assert stranger.prefetch(keys, [0, 1]) == 0


@pytest.mark.parametrize("other", [
    {"dtype": torch.float16}, {"layout": "page_head"}, {"page_size": 32}, {"layers": 4}, {"dim": 16}])
def test_another_dtype_layout_or_shape_has_other_pages(start, other):
    writer, stranger = start(HeadsPool(seed=8)), start(HeadsPool(**other))
    keys = keys_of(2)
    writer.backup(keys, [0, 1])
    assert stranger.hits(keys) == 0


def test_another_tenant_has_other_pages(start):
    writer, stranger = start(HeadsPool(seed=9)), start(HeadsPool(), tenant="somebody-else")
    keys = keys_of(2, first=77)
    writer.backup(keys, [0, 1])
    assert stranger.hits(keys) == 0


def test_model_option_joins_nodes_that_have_the_model_in_different_folders(start):
    writer = start(HeadsPool(seed=10), model="llama", config={"model_name": "/models/a"})
    reader = start(HeadsPool(), model="llama", config={"model_name": "/mnt/b/llama"})
    keys = keys_of(2)
    writer.backup(keys, [0, 1])
    assert reader.hits(keys) == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nodes_of_two_tensor_parallel_sizes_read_each_others_pages(start, layout):
    """TP 1 with 4 heads a rank, TP 2 with 2: both cut pages into 4 shares when told tp_lcm_size."""
    whole = HeadsPool(layout, heads=4, seed=11)
    halves = [HeadsPool(layout, heads=2) for _ in range(2)]
    split = {"tp_lcm_size": 4, "should_split_heads": layout == "page_head"}
    one = start(whole, config={**split, "tp_size": 1})
    two = [start(half, config={**split, "tp_size": 2, "tp_rank": rank}) for rank, half in enumerate(halves)]
    keys, pages = keys_of(3), [2, 0, 5]
    assert one.backup(keys, pages) == 3
    for rank, node in enumerate(two):
        assert node.hits(keys) == 3
        assert node.prefetch(keys, [1, 2, 3]) == 3
        for page, place in zip(pages, [1, 2, 3]):
            mine = whole.logical(page * 16)[:, :, :, rank * 2:rank * 2 + 2]
            assert torch.equal(halves[rank].logical(place * 16), mine)
    back = start(HeadsPool(layout, heads=4), config={**split, "tp_size": 1})
    other = keys_of(2, first=9)
    assert [node.backup(other, [1, 2]) for node in two] == [2, 2]
    assert back.prefetch(other, [8, 9]) == 2
    assert torch.equal(back.pool.logical(8 * 16), whole.logical(2 * 16))


def test_nodes_at_the_common_size_itself_share_with_those_below_it_in_another_layout(start):
    """TP 4 has one head a rank, as many shares as ranks; TP 8 has two ranks for each head, of which one writes."""
    whole = HeadsPool("layer_first", heads=4, seed=12)
    one = start(whole, config={"tp_lcm_size": 4})
    last = start(HeadsPool(heads=1), config={"tp_lcm_size": 4, "tp_size": 4, "tp_rank": 3})
    keys = keys_of(2)
    one.backup(keys, [0, 1])
    assert last.prefetch(keys, [4, 5]) == 2
    assert torch.equal(last.pool.logical(4 * 16), whole.logical(0)[:, :, :, 3:])
    ranks = [start(HeadsPool("page_head", heads=1, seed=rank + 1), kv_heads=4, config={"tp_lcm_size": 8, "tp_size": 8, "tp_rank": rank})
             for rank in (6, 7)]
    assert ranks[1].prefetch(keys, [4, 5]) == 2
    assert torch.equal(ranks[1].pool.logical(4 * 16), whole.logical(0)[:, :, :, 3:])
    other = keys_of(1, first=5)
    assert ranks[1].backup(other, [0]) == 1 and ranks[0].hits(other) == 0
    assert ranks[0].backup(other, [0]) == 1 and ranks[1].hits(other) == 1


def test_fp8_of_two_kinds_in_pools_of_uint8_do_not_meet(start):
    class Device:
        def __init__(self, dtype):
            self.dtype = dtype

    nodes = []
    for name in ("torch.float8_e4m3fn", "torch.float8_e5m2"):
        pool = HeadsPool(dtype=torch.uint8)
        pool.device_pool = Device(name)
        nodes.append(start(pool))
    keys = keys_of(2)
    assert nodes[0].backup(keys, [0, 1]) == 2
    assert (nodes[0].hits(keys), nodes[1].hits(keys)) == (2, 0)


def test_pool_that_can_not_be_cut_by_heads_keeps_the_shares_of_its_ranks(start, caplog):
    with caplog.at_level(logging.WARNING):
        node = start(HeadsPool(heads=3, seed=13), kv_heads=8, config={"tp_lcm_size": 4})
    assert "kv_heads" in caplog.text
    keys = keys_of(2)
    assert node.backup(keys, [0, 1]) == 2 and node.hits(keys) == 2


def test_drafts_by_tensor_do_not_meet_the_pages_of_their_target(start):
    """The engine stores drafts under `<hash>.draft` through batch_set, zero-copy or not."""
    node = start(HeadsPool(seed=13))
    draft = HeadsPool(layers=1, seed=14)
    keys = keys_of(2)
    names = [f"{key}.draft" for key in keys]
    assert node.storage.batch_set(names, [draft.get_data_page(0), draft.get_data_page(16)])
    assert node.hits(keys) == 0
    node.backup(keys, [0, 1])
    pages = node.storage.batch_get(names, [draft.get_dummy_flat_data_page() for _ in names])
    assert torch.equal(pages[1], draft.get_data_page(16))


def test_single_page_calls(start):
    node = start(HeadsPool(seed=15), interface_v1=0)
    key, page = keys_of(1)[0], node.pool.get_data_page(0)
    assert node.storage.get(key) is None
    assert not node.storage.exists(key)
    assert node.storage.set(key, page)
    assert node.storage.set(key, page), "a page that is here already"
    assert node.storage.exists(key)
    place = torch.zeros_like(page)
    assert node.storage.get(key, place) is place
    assert torch.equal(place, page)
    assert torch.equal(node.storage.get(key), page)


def test_tensor_that_is_not_in_host_memory_or_has_strides_is_told_and_not_stored(start, caplog):
    node = start(HeadsPool(seed=16), interface_v1=0)
    keys = keys_of(2)
    with caplog.at_level(logging.WARNING):
        assert not node.storage.set(keys[0], torch.empty(64, device="meta"))
    assert "meta" in caplog.text
    assert node.storage.get(keys[1], torch.zeros(64, 2).t()) is None
    assert node.storage.set(keys[1], torch.arange(8.0).reshape(2, 4).t()), "what is to be written may be copied"


def test_slots_that_do_not_fit_the_keys_are_refused_and_nothing_is_written(start, caplog):
    node = start(HeadsPool(seed=17))
    keys = keys_of(3)
    with caplog.at_level(logging.WARNING):
        assert node.storage.batch_set_v1(keys, node.slots([0, 1])) == [False] * 3
        assert node.storage.batch_get_v1(keys, node.slots([0])) == [False] * 3
    assert "slots" in caplog.text
    assert node.hits(keys) == 0


def test_clear_hides_all_pages_from_all_engines_of_the_namespace(start):
    config = {"tp_size": 2}
    rank0, rank1 = start(HeadsPool(seed=18), config=config), start(HeadsPool(seed=19), config={**config, "tp_rank": 1})
    other = start(HeadsPool(seed=18), config=config)
    keys = keys_of(3)
    for node in (rank0, rank1):
        assert node.backup(keys, [0, 1, 2]) == 3
    assert other.hits(keys) == 3
    assert rank1.storage.clear(), "ranks are told in any order"
    assert rank0.storage.clear()
    for node in (rank0, rank1, other):
        node.storage._generation.forget()
        assert node.hits(keys) == 0
    assert rank0.backup(keys, [0, 1, 2]) == 3
    assert (rank0.hits(keys), other.hits(keys), rank1.hits(keys)) == (3, 3, 0)
    assert start(HeadsPool(), config=config).hits(keys) == 3, "an engine that starts later knows the generation"
    assert other.storage.clear() and other.hits(keys) == 0


def test_stats_have_a_number_for_each_batch_and_are_taken_once(start):
    node = start(HeadsPool(seed=20))
    keys = keys_of(4)
    node.backup(keys, [0, 1, 2, 3])
    node.prefetch(keys, [4, 5, 6, 7])
    stats = node.storage.get_stats()
    assert (stats.backup_pgs, stats.prefetch_pgs) == ([4], [4])
    assert stats.backup_bandwidth[0] > 0 and stats.prefetch_bandwidth[0] > 0
    assert node.storage.get_stats().backup_pgs == []
    counts = node.storage.counts()
    assert (counts["hit"], counts["stored"]) == (8, 8)
    assert start(HeadsPool(), config={"enable_storage_metrics": False}).storage.get_stats() is None


def test_attach_detach_and_attach_again(start):
    keys = keys_of(2)
    node = start(HeadsPool(seed=21))
    node.backup(keys, [0, 1])
    node.detach()
    assert node.hits(keys) == 0, "a detached backend has nothing and raises nothing"
    assert node.storage.batch_set_v1(keys, node.slots([0, 1])) == [False, False]
    node.detach()
    assert start(HeadsPool()).hits(keys) == 2


def test_unregistered_pool_has_nothing(silo):
    storage = KvTierHiCache(types.HiCacheStorageConfig(0, 1, 0, 1, 0, 1, False, False, True, "m", extra_config={"endpoint": silo.unix}), {})
    assert storage.batch_exists(["ab"]) == 0
    assert storage.batch_get_v1(keys=["ab"], host_indices=torch.zeros(1)) == [False]
    assert storage.get("ab") is None
    assert not storage.clear()


@pytest.mark.parametrize("options,said", [
    ({"endpont": "x"}, "endpoint"), ({"ack": "disk"}, "memory, ssd, replica"), ({"read_timeout_ms": 0}, "1 or more"),
    ({"read_timeout_ms": "soon"}, "number")])
def test_option_that_is_unknown_or_wrong_is_refused_with_what_is_right(silo, options, said):
    with pytest.raises(InvalidArgument, match=said):
        Controller(KvTierHiCache, HeadsPool(), {"endpoint": silo.unix, **options})


# Side pools

TRAILING, ALL = types.PoolHitPolicy.TRAILING_PAGES, types.PoolHitPolicy.ALL_PAGES


def transfer(name, keys=None, slots=None, policy=ALL):
    return types.PoolTransfer(name=name, host_indices=None if slots is None else torch.tensor(slots), keys=keys, hit_policy=policy)


@pytest.mark.parametrize("pointers", [True, False])
def test_state_of_the_last_page_shrinks_the_prefix(start, pointers):
    mamba = StatePool(pointers=pointers, seed=22)
    node = start(HeadsPool(seed=22), {types.PoolName.MAMBA: mamba})
    keys = keys_of(6)
    node.backup(keys, list(range(6)))
    wanted = [transfer(types.PoolName.MAMBA, [keys[-1]], policy=TRAILING)]
    assert node.storage.batch_exists_v2(keys, wanted).kv_hit_pages == 0, "no state at all"
    written = node.storage.batch_set_v2([transfer(types.PoolName.MAMBA, [keys[1], keys[3]], [10, 11])])
    assert written == {types.PoolName.MAMBA: [True, True]}
    result = node.storage.batch_exists_v2(keys, wanted)
    assert (result.kv_hit_pages, result.extra_pool_hit_pages[types.PoolName.MAMBA]) == (4, 4)
    assert result.extra_pool_hit_pages[types.PoolName.KV] == 6
    read = node.storage.batch_get_v2([transfer(types.PoolName.MAMBA, [keys[3], keys[2]], [20, 21])])
    assert read == {types.PoolName.MAMBA: [True, False]}
    assert torch.equal(mamba.kv_buffer[20], mamba.kv_buffer[11])


def test_side_pool_of_all_pages_shrinks_the_prefix_and_a_state_must_lie_at_its_end(start):
    indexer, mamba = HeadsPool(heads=1, dim=4, seed=23), StatePool(seed=23)
    node = start(HeadsPool(seed=23), {types.PoolName.INDEXER: indexer, types.PoolName.MAMBA: mamba})
    keys = keys_of(6)
    node.backup(keys, list(range(6)))
    node.storage.batch_set_v2([transfer(types.PoolName.INDEXER, keys[:5], node.slots(range(5)).tolist())])
    wanted = [transfer(types.PoolName.INDEXER), transfer(types.PoolName.MAMBA, [keys[-1]], policy=TRAILING)]
    assert node.storage.batch_exists_v2(keys, wanted[:1]).kv_hit_pages == 5
    node.storage.batch_set_v2([transfer(types.PoolName.MAMBA, [keys[5], keys[2]], [1, 2])])
    result = node.storage.batch_exists_v2(keys, wanted)
    assert result.kv_hit_pages == 3, "the state after page 6 is of no use for 5 pages; that after page 3 is"
    reversed_result = node.storage.batch_exists_v2(keys, wanted[::-1])
    assert reversed_result.kv_hit_pages == 3


def test_window_of_trailing_pages_must_be_here_whole(start):
    window = HeadsPool(layers=1, seed=24)
    node = start(HeadsPool(seed=24), {types.PoolName.SWA: window})
    keys = keys_of(6)
    node.backup(keys, list(range(6)))
    node.storage.batch_set_v2([transfer(types.PoolName.SWA, [keys[0], keys[2], keys[3], keys[5]], node.slots([0, 2, 3, 5]).tolist())])
    wanted = [transfer(types.PoolName.SWA, keys[-2:], policy=TRAILING)]
    assert node.storage.batch_exists_v2(keys, wanted).kv_hit_pages == 4


def test_side_pool_with_wrong_slots_or_name_is_a_miss(start, caplog):
    node = start(HeadsPool(seed=25), {types.PoolName.MAMBA: StatePool()})
    keys = keys_of(2)
    node.backup(keys, [0, 1])
    assert node.storage.batch_set_v2([transfer(types.PoolName.MAMBA, keys, [1])]) == {types.PoolName.MAMBA: [False, False]}
    assert node.storage.batch_get_v2([transfer(types.PoolName.SWA, keys, [1, 2])]) == {types.PoolName.SWA: [False, False]}
    assert node.storage.batch_exists_v2(keys, [transfer(types.PoolName.SWA)]).kv_hit_pages == 0
    assert node.storage.batch_exists_v2(keys, None).kv_hit_pages == 2


def test_pool_without_memory_counts_as_here(start):
    """DeepSeek V4's KV anchor has no bytes of its own; its side pools say what is here."""
    pool = HeadsPool()
    pool.kv_buffer = None
    node = start(pool, {types.PoolName.INDEXER: HeadsPool(seed=26)})
    keys = keys_of(3)
    assert node.storage.batch_set_v1(keys, node.slots([0, 1, 2])) == [True] * 3
    assert node.storage.batch_get_v1(keys, node.slots([0, 1, 2])) == [True] * 3
    node.storage.batch_set_v2([transfer(types.PoolName.INDEXER, keys[:2], node.slots([0, 1]).tolist())])
    assert node.storage.batch_exists_v2(keys, [transfer(types.PoolName.INDEXER)]).kv_hit_pages == 2

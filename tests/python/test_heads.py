"""Blocks stored per range of KV heads: whoever wrote them, with whatever tensor-parallel size, reads the same bytes."""
import numpy as np
import pytest
import torch

import kvtier
from kvtier import heads
from kvtier.errors import InvalidArgument
from kvtier.heads import HeadRange, HeadSplit
from kvtier.profile import Profile

SIZES = (1, 2, 4, 8)
GQA = Profile("heads-test", layers=2, kv_heads=8, head_dim=4, dtype="bf16", block_tokens=3)
MLA = Profile("latent-test", layers=3, kv_heads=1, head_dim=6, dtype="bf16", block_tokens=4, kind="mla")


def whole_block(profile, seed):
    """A block of the whole model as one node with one rank has it."""
    return np.random.default_rng(seed).integers(0, 1 << 16, HeadSplit(profile, 1, 0).shape, dtype=np.uint16)


def part_of_rank(block, split):
    return block if split.whole.kind == "mla" else block[:, :, split.heads.first:split.heads.end]


def write_block(store, profile, key, block, tp_size, granule):
    for rank in range(tp_size):
        split = HeadSplit(profile, tp_size, rank, granule)
        if split.writes:
            for name, data in zip(split.keys(key), split.buffers(np.ascontiguousarray(part_of_rank(block, split)))):
                assert name not in store, "two ranks wrote the same part"
                store[name] = bytes(data)


@pytest.mark.parametrize("writers", SIZES)
@pytest.mark.parametrize("readers", SIZES)
@pytest.mark.parametrize("profile", [GQA, MLA], ids=["gqa", "mla"])
def test_any_size_reads_what_any_size_wrote(writers, readers, profile):
    granule = heads.common_granule(profile.kv_heads, SIZES)
    block, store = whole_block(profile, seed=writers), {}
    write_block(store, profile, b"hash", block, writers, granule)
    for rank in range(readers):
        split = HeadSplit(profile, readers, rank, granule)
        mine = np.zeros(split.shape, np.uint16)
        split.fill(mine, [store[key] for key in split.keys(b"hash")])
        assert np.array_equal(mine, part_of_rank(block, split))


def test_mla_is_stored_once():
    store = {}
    write_block(store, MLA, b"hash", whole_block(MLA, 1), 8, 1)
    assert len(store) == 1
    assert [rank for rank in range(8) if heads.rank_writes(1, 8, rank)] == [0]


def test_more_ranks_than_heads_share_and_one_of_them_writes():
    assert [heads.rank_heads(2, 8, rank).first for rank in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [rank for rank in range(8) if heads.rank_writes(2, 8, rank)] == [0, 4]
    store, block = {}, whole_block(Profile("two", 2, 2, 4, "bf16", 3), 5)
    write_block(store, Profile("two", 2, 2, 4, "bf16", 3), b"k", block, 8, 1)
    assert len(store) == 2


@pytest.mark.parametrize(("kv_heads", "sizes", "granule"), [
    (8, (1, 2, 4, 8), 1), (8, (1, 2), 4), (8, (4,), 2), (8, (1, 2, 16), 1), (6, (1, 2, 3), 1), (12, (2, 4), 3), (1, (1, 8), 1),
    (12, (1, 2, 4, 8), 3),
])
def test_granule_is_the_largest_that_all_sizes_divide(kv_heads, sizes, granule):
    assert heads.common_granule(kv_heads, sizes) == granule


def test_keys_name_the_heads_and_can_be_read_back():
    split = HeadSplit(GQA, tp_size=2, tp_rank=1, granule=2)
    assert split.parts == (HeadRange(4, 2), HeadRange(6, 2))
    assert split.keys(b"ab") == [b"ab/kvh\x00\x04\x00\x02", b"ab/kvh\x00\x06\x00\x02"]
    assert heads.parse_key(split.keys(b"ab")[1]) == (b"ab", HeadRange(6, 2))
    with pytest.raises(InvalidArgument, match="key"):
        heads.parse_key(b"ab")


def test_prefix_counts_blocks_of_which_all_parts_are_there():
    split = HeadSplit(GQA, tp_size=2, tp_rank=0, granule=2)
    assert split.prefix_keys([b"a", b"b"]) == split.keys(b"a") + split.keys(b"b")
    assert [split.whole_blocks(count) for count in (0, 1, 2, 3, 4)] == [0, 0, 1, 1, 2]


def test_profile_of_the_parts_has_their_heads_and_says_so():
    assert HeadSplit(GQA, 4, 0, granule=2).profile.name == "heads-test.h2of8"
    assert HeadSplit(GQA, 4, 0, granule=2).profile.kv_heads == 2
    assert HeadSplit(MLA, 4, 0).profile == MLA
    assert HeadSplit(GQA, 4, 0, granule=2).profile.block_bytes == GQA.block_bytes // 4


def test_views_share_memory_and_one_part_is_not_copied():
    block = np.zeros((2, 2, 2, 3, 4), np.uint16)
    whole, cut = HeadSplit(GQA, 4, 0, granule=2), HeadSplit(GQA, 4, 0, granule=1)
    assert all(np.shares_memory(view, block) for view in cut.views(block))
    assert np.shares_memory(np.frombuffer(whole.buffers(block)[0], np.uint8), block)
    cut.views(block)[1][...] = 7
    assert block[:, :, 1].min() == 7 and block[:, :, 0].max() == 0


def test_write_goes_straight_into_what_was_reserved():
    split = HeadSplit(GQA, 2, 1, granule=2)
    block = whole_block(GQA, 3)[:, :, 4:]
    targets = [bytearray(split.profile.block_bytes) for _ in split.parts]
    split.write(block, targets)
    assert [bytes(target) for target in targets] == [bytes(data) for data in split.buffers(block)]


def test_axes_of_an_engine_become_those_of_a_stored_block_without_a_copy():
    engine = np.arange(2 * 3 * 2 * 8 * 4, dtype=np.uint16).reshape(2, 2, 3, 8, 4)
    view = heads.canonical(engine, ("kv", "layer", "token", "head", "dim"))
    assert view.shape == (2, 2, 8, 3, 4) and np.shares_memory(view, engine)
    assert view[1, 0, 5, 2, 3] == engine[0, 1, 2, 5, 3]
    tensor = torch.from_numpy(engine.astype(np.int16))
    assert heads.canonical(tensor, ("kv", "layer", "token", "head", "dim")).data_ptr() == tensor.data_ptr()
    with pytest.raises(InvalidArgument, match="axes"):
        heads.canonical(engine, ("layer", "token", "head", "dim"))


def test_tensors_of_bf16_are_written_and_filled_in_place():
    split = HeadSplit(GQA, 2, 0, granule=2)
    source = torch.randn(split.shape).to(torch.bfloat16)
    target = torch.zeros(split.shape, dtype=torch.bfloat16)
    split.fill(target, split.buffers(source))
    assert torch.equal(source.view(torch.int16), target.view(torch.int16))


def test_strided_tensor_of_an_engine_is_filled_through_its_view():
    split = HeadSplit(GQA, 2, 0, granule=2)
    engine = torch.zeros((2, 2, 3, 4, 4), dtype=torch.bfloat16)
    source = torch.randn(split.shape).to(torch.bfloat16)
    split.fill(heads.canonical(engine, ("layer", "kv", "token", "head", "dim")), split.buffers(source))
    assert torch.equal(engine.permute(0, 1, 3, 2, 4).float(), source.float())


@pytest.mark.parametrize(("make", "field"), [
    (lambda: HeadSplit(GQA, 3, 0), "tp_size"),
    (lambda: HeadSplit(GQA, 4, 4), "tp_rank"),
    (lambda: HeadSplit(GQA, 4, 0, granule=3), "granule"),
    (lambda: HeadSplit(GQA, 8, 0, granule=2), "granule"),
    (lambda: HeadSplit(Profile.opaque(), 1, 0), "profile.kind"),
    (lambda: HeadSplit(GQA, 2, 0).buffers(np.zeros((2, 2, 8, 3, 4), np.uint16)), "block.shape"),
    (lambda: HeadSplit(GQA, 2, 0).buffers(np.zeros((2, 2, 4, 3, 4), np.float32)), "block.dtype"),
    (lambda: HeadSplit(GQA, 2, 0).part_of(b"short"), "data"),
    (lambda: HeadSplit(GQA, 2, 0).part_of(np.zeros((4, 4), np.uint16)[:, :2]), "data"),
    (lambda: HeadSplit(GQA, 2, 0).buffers(torch.zeros((2, 2, 4, 3, 4), device="meta", dtype=torch.bfloat16)), "block.device"),
    (lambda: HeadSplit(GQA, 2, 0, 4).fill(np.zeros((2, 2, 4, 3, 4), np.uint16), []), "parts"),
    (lambda: heads.common_granule(8, (1, 5)), "tp_size"),
    (lambda: heads.common_granule(8, ()), "tp_sizes"),
])
def test_what_does_not_fit_is_refused_with_its_name(make, field):
    with pytest.raises(InvalidArgument) as refused:
        make()
    assert refused.value.field == field


@pytest.mark.parametrize("profile", [GQA, MLA], ids=["gqa", "mla"])
@pytest.mark.parametrize(("writers", "readers"), [(4, 2), (1, 8), (8, 1)])
def test_nodes_of_other_sizes_read_each_other_through_a_silo(silo, profile, writers, readers):
    key = f"{profile.name}/{writers}/{readers}".encode()
    block, granule = whole_block(profile, seed=9), heads.common_granule(profile.kv_heads, (1, 2, 4))
    granule = granule if max(writers, readers) <= 4 else 1
    with kvtier.connect(silo.unix, timeout_ms=20_000, local="require") as client:
        for rank in range(writers):
            split = HeadSplit(profile, writers, rank, granule)
            ns = client.namespace(split.profile)
            if split.writes:
                with ns.reserve([(name, split.profile.block_bytes) for name in split.keys(key)]) as slots:
                    split.write(part_of_rank(block, split), [slot.data for slot in slots])
                    assert all(slots.commit())
        for rank in range(readers):
            split = HeadSplit(profile, readers, rank, granule)
            ns = client.namespace(split.profile)
            assert split.whole_blocks(ns.prefix(split.prefix_keys([key, b"no such block"])).count) == 1
            mine = np.zeros(split.shape, np.uint16)
            with ns.lease(split.keys(key)) as leases:
                split.fill(mine, [lease.data for lease in leases])
            assert np.array_equal(mine, part_of_rank(block, split))
            copied = np.zeros(split.shape, np.uint16)
            split.fill(copied, [hit.data for hit in ns.get_many(split.keys(key))])
            assert np.array_equal(copied, mine)

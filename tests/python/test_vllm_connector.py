"""The layer-by-layer connector for vLLM, driven in the engine's order against real silos, with CPU tensors."""
import threading
import time

import pytest

from hellos import answered

torch = pytest.importorskip("torch")

from kvtier.errors import InvalidArgument  # noqa: E402
from processes import promptly, until  # noqa: E402
from vllm_loop import TOKENS, Loop, Request  # noqa: E402


@pytest.fixture
def loop(silo):
    made = []

    def start(endpoint=None, **options):
        made.append(Loop(endpoint or silo.unix, **options))
        return made[-1]

    yield start
    for each in made:
        each.close()


def tokens(count, seed=0):
    return [seed * 1000 + at for at in range(count)]


@pytest.mark.parametrize("case", [
    dict(), dict(axes="N2THD"), dict(axes="2NHTD"), dict(mla=True), dict(dtype=torch.float16), dict(layout="opaque"), dict(size=2),
    dict(size=2, layout="opaque"), dict(size=4, axes="N2THD"), dict(layout="opaque", axes="N2THD")], ids=str)
def test_what_one_engine_computed_another_one_loads(loop, case):
    model = "model/" + "-".join(f"{key}{value}" for key, value in case.items()).replace(".", "")
    first = loop(model=model, **case)
    request = Request("a", tokens(5 * TOKENS + 3))
    assert first.run(request) == 0
    first.saved()
    first.finish(request)

    second = loop(model=model, **case)
    again = Request("b", tokens(5 * TOKENS + 3))
    assert second.run(again) == 5 * TOKENS
    assert second.call.never_waited


def test_engines_of_other_tensor_parallel_sizes_share_blocks(loop):
    one = loop(model="m/tp", size=1)
    one.run(Request("a", tokens(4 * TOKENS + 1)))
    one.saved()
    for size in (2, 4):
        other = loop(model="m/tp", size=size)
        assert other.run(Request("b", tokens(4 * TOKENS + 1))) == 4 * TOKENS


def test_blocks_that_would_come_later_than_they_are_computed_are_not_offered(loop):
    loop_options = {"model": "m/gate"}
    engine = loop(**loop_options)
    engine.run(Request("a", tokens(3 * TOKENS + 1)))
    engine.saved()
    assert loop(prefill_tokens_per_second=1e12, **loop_options).run(Request("b", tokens(3 * TOKENS + 1))) == 0
    assert loop(prefill_tokens_per_second=0.01, **loop_options).run(Request("c", tokens(3 * TOKENS + 1))) == 3 * TOKENS


def test_at_least_one_token_is_left_to_compute(loop):
    engine = loop(model="m/last")
    engine.run(Request("a", tokens(3 * TOKENS)))
    engine.saved()
    assert loop(model="m/last").run(Request("b", tokens(3 * TOKENS))) == 2 * TOKENS


def test_what_is_computed_locally_is_not_loaded(loop):
    engine = loop(model="m/local")
    engine.run(Request("a", tokens(4 * TOKENS + 1)))
    engine.saved()
    second = loop(model="m/local")
    request = Request("b", tokens(4 * TOKENS + 1))
    second.allocate(request)
    for worker in second.workers:
        for layer in second.layers:
            for at in (0, 1):
                worker.block(layer, request.blocks[at]).copy_(worker.expected(layer, request.block_hashes[at]))
    assert second.run(request, local=2 * TOKENS) == 2 * TOKENS


def test_a_prompt_in_chunks_and_decoded_tokens_are_saved(loop):
    engine = loop(model="m/chunks")
    request = Request("a", tokens(3 * TOKENS + 5))
    engine.admit(request)
    engine.step(new=[request], most=TOKENS + 4)
    while request.num_computed_tokens < request.num_tokens:
        engine.step(cached=[request], most=TOKENS + 4)
    for token in range(2 * TOKENS):
        request.append(token)
        engine.step(cached=[request])
    engine.saved()
    longer = Request("b", request.tokens + [1])
    assert loop(model="m/chunks").run(longer) == 5 * TOKENS


def test_decoded_tokens_are_left_out_when_asked(loop):
    engine = loop(model="m/prompt", save_decode=False)
    request = Request("a", tokens(2 * TOKENS))
    engine.run(request)
    for token in range(2 * TOKENS):
        request.append(token)
        engine.step(cached=[request])
    engine.saved()
    assert loop(model="m/prompt").run(Request("b", request.tokens + [1])) == 2 * TOKENS


def test_allocated_twice_and_with_nothing_to_load(loop):
    engine = loop(model="m/twice")
    engine.run(Request("a", tokens(3 * TOKENS + 1)))
    engine.saved()
    second = loop(model="m/twice")
    request = Request("b", tokens(3 * TOKENS + 1))
    assert second.admit(request) == 3 * TOKENS
    # vLLM did not take the offer: blocks are there, and nothing is to be loaded.
    second.scheduler.update_state_after_alloc(request, object(), 0)
    request.num_computed_tokens = 0
    assert second.step(new=[request]) == set()
    assert second.is_right(request)
    third = Request("c", tokens(3 * TOKENS + 1))
    assert second.admit(third) == 3 * TOKENS
    second.scheduler.update_state_after_alloc(third, object(), 3 * TOKENS)
    assert second.step(new=[third]) == set()
    assert second.is_right(third)


def test_a_request_that_is_preempted_loads_into_its_new_blocks(loop):
    engine = loop(model="m/preempt")
    engine.run(Request("a", tokens(4 * TOKENS + 1)))
    engine.saved()
    second = loop(model="m/preempt")
    request = Request("b", tokens(4 * TOKENS + 1))
    assert second.run(request) == 4 * TOKENS
    second.free(request)
    assert second.admit(request) == 4 * TOKENS
    assert second.step(cached=[request], resumed=[request]) == set()
    assert second.is_right(request)


def test_a_request_that_ends_before_its_step_leaves_nothing(loop):
    engine = loop(model="m/gone")
    request = Request("a", tokens(2 * TOKENS + 1))
    engine.admit(request)
    engine.finish(request)
    other = Request("b", tokens(2 * TOKENS + 1, seed=5))
    assert engine.run(other) == 0
    assert not engine.scheduler._scheduler._tracked.keys() - {"b"}


def test_a_block_that_is_gone_when_it_is_loaded_is_computed_and_nothing_wrong_is_saved(loop, silo):
    import kvtier

    engine = loop(model="m/hole")
    request = Request("a", tokens(4 * TOKENS + 1))
    engine.run(request)
    engine.saved()
    second = loop(model="m/hole")
    again = Request("b", tokens(6 * TOKENS + 1)[:4 * TOKENS] + tokens(2 * TOKENS + 1, seed=3))
    assert second.admit(again) == 4 * TOKENS
    plan = second.workers[0].connector._worker._plan
    with kvtier.connect(silo.unix) as client:
        keys = plan.rank_keys([again.block_hashes[1] + bytes(4)])
        assert all(client.namespace(plan.profile).delete(keys))
    assert second.step(new=[again]) == {again.blocks[1]}
    assert again.num_computed_tokens == TOKENS
    second.saved()
    while again.num_computed_tokens < again.num_tokens:
        second.step(cached=[again])
    assert second.is_right(again)
    second.saved()
    # What was computed on top of the hole in the first pass was not saved; what was computed after it was.
    third = Request("c", [*again.tokens, 1])
    assert loop(model="m/hole").run(third) == 6 * TOKENS


@pytest.mark.deadline(240)
def test_a_silo_that_is_stopped_or_killed_is_a_miss_or_a_load_error_and_comes_back(loop, own_silo):
    first = loop(own_silo.unix, ack="ssd")
    request = Request("a", tokens(4 * TOKENS + 1))
    first.run(request)
    first.saved()
    engine = loop(own_silo.unix)
    warm = Request("warm", tokens(4 * TOKENS + 1))
    assert engine.run(warm) == 4 * TOKENS
    engine.finish(warm)

    # Stopped between the look-up and the load.
    again = Request("b", tokens(4 * TOKENS + 1))
    assert engine.admit(again) == 4 * TOKENS
    engine.hurry()
    own_silo.freeze()
    with promptly(8, "a step with loads of a stopped silo"):
        assert engine.step(new=[again]) == set(again.blocks[:4])
    while again.num_computed_tokens < again.num_tokens:
        engine.step(cached=[again])
    assert engine.is_right(again)
    # Stopped before the look-up: a miss.
    assert engine.run(Request("c", tokens(4 * TOKENS + 1))) == 0
    own_silo.thaw()
    own_silo.kill()
    assert engine.run(Request("d", tokens(4 * TOKENS + 1))) == 0
    assert engine.call.never_waited
    own_silo.start()
    engine.calm()

    def is_back():
        trial = Request(f"e{time.monotonic()}", tokens(4 * TOKENS + 1))
        found = engine.run(trial)
        engine.finish(trial)
        return found == 4 * TOKENS

    until(is_back, 60, "the silo to be used again", every=0.5)


def test_a_silo_that_is_not_there_at_start_changes_nothing(loop, folder):
    engine = loop(f"unix:{folder}/none.sock", connect_ms=300)
    engine.hurry()
    assert engine.run(Request("a", tokens(3 * TOKENS + 1))) == 0
    assert engine.call.never_waited


def test_shutdown_in_the_middle_of_a_load_ends(loop, own_silo):
    first = Loop(own_silo.unix)
    first.run(Request("a", tokens(4 * TOKENS + 1)))
    first.saved()
    request = Request("b", tokens(4 * TOKENS + 1))
    engine = Loop(own_silo.unix)
    assert engine.admit(request) == 4 * TOKENS
    engine.hurry()
    own_silo.freeze()
    thaw = threading.Timer(0.1, own_silo.thaw)
    thaw.start()
    worker = engine.workers[0].connector
    metadata = engine.scheduler.build_connector_meta(engine.output([request], before={"b": 4 * TOKENS}, amounts={"b": 1}))
    worker.bind_connector_metadata(metadata)
    worker.start_load_kv(None)
    with promptly(15, "a shutdown"):
        engine.close()
    thaw.join()
    first.close()


def test_saves_above_the_room_for_them_are_left_out(loop, caplog):
    engine = loop(model="m/room", staging_bytes=1)
    assert engine.run(Request("a", tokens(3 * TOKENS + 1))) == 0
    assert "staging_bytes" in caplog.text
    assert loop(model="m/room").run(Request("b", tokens(3 * TOKENS + 1))) == 0


@pytest.mark.parametrize("case, said", [
    (dict(groups=2), "KvTierSecondaryTier"), (dict(pipeline=2), "pipeline_parallel_size"), (dict(tp_sizes="3"), "tp_sizes"),
    (dict(policy="fail"), "recompute")])
def test_an_engine_that_can_t_be_served_goes_on_without_and_says_why(loop, caplog, case, said):
    engine = loop(model="m/odd", **case)
    assert engine.run(Request("a", tokens(2 * TOKENS + 1))) == 0
    assert said in caplog.text


def test_tensors_that_are_not_what_the_configuration_says_are_not_used(loop, caplog):
    engine = loop(model="m/tensors")
    engine.run(Request("a", tokens(2 * TOKENS + 1)))
    engine.saved()
    other = loop(model="m/tensors")
    wrong = {name: tensor.to(torch.float32) for name, tensor in other.workers[0].tensors.items()}
    other.workers[0].connector.register_kv_caches(wrong)
    assert "can't be used" in caplog.text and "float32" in caplog.text
    assert other.run(Request("b", tokens(2 * TOKENS + 1))) == 2 * TOKENS


def test_bad_options_are_named_with_the_nearest_one(silo):
    with pytest.raises(InvalidArgument, match="load_ms"):
        Loop(silo.unix, load_msec=4)
    with pytest.raises(InvalidArgument, match="layout"):
        Loop(silo.unix, layout="odd")


def test_facts_that_vllm_asks_for(loop):
    engine = loop()
    assert engine.scheduler.requires_piecewise_for_cudagraph({}) is True
    assert engine.scheduler.requires_kv_delivery is False
    assert engine.scheduler.prefer_cross_layer_blocks is False
    assert engine.scheduler.reset_cache() is True


def test_two_engines_with_other_hash_seeds_are_told(loop, caplog, monkeypatch):
    for seed in ("0", "1"):
        # A thread reads it when it says hello.
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        engine = loop(model="m/seed")
        engine.run(Request("a", tokens(TOKENS + 1)))
        answered(engine.scheduler._hello)
    assert "can't use each other's cache: seed: 1 here, 0 at " in caplog.text

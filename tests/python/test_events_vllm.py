"""What vLLM's connector has the silo tell routers."""
import pytest

torch = pytest.importorskip("torch")

from vllm_loop import TOKENS, Loop, Request  # noqa: E402
from zmq_peers import CPU, Subscriber, connected, hashes, outlets  # noqa: E402

TOPIC = "kv@pod-a@meta-llama/Llama-3.1-8B"
# What comes too late is computed or left out, as it should be in an engine.
PATIENT = {"connect_ms": 30_000, "lookup_ms": 30_000, "load_ms": 60_000, "save_ms": 60_000}


@pytest.mark.parametrize("case", [dict(), dict(layout="opaque"), dict(size=2)], ids=str)
def test_saved_blocks_are_told_with_their_hashes_tokens_and_parents(new_silo, case):
    silo = new_silo({"events-endpoint": "tcp://127.0.0.1:0", "events-topic": TOPIC, "events-hashes": "bytes"}, name="pod-a")
    with Subscriber(outlets(silo)[0]["endpoint"], TOPIC.encode()) as sub:
        connected(silo, 1)
        engine = Loop(silo.unix, **PATIENT, **case)
        try:
            request = Request("a", list(range(100, 100 + 3 * TOKENS + 2)))
            engine.run(request)
            engine.saved()
            events = sub.until(lambda seen: len(hashes(seen, "BlockStored", CPU)) >= 3, seconds=60)
        finally:
            engine.close()
    # Each after its parent, whenever the publisher looked.
    assert hashes(events, "BlockStored", CPU) == request.block_hashes
    stored = [event for event in events if event["type"] == "BlockStored"]
    assert all(event["block_size"] == TOKENS for event in stored)
    assert said_of_each(stored) == {
        hash_: (request.block_hashes[at - 1] if at else None, request.tokens[at * TOKENS:(at + 1) * TOKENS])
        for at, hash_ in enumerate(request.block_hashes)}


def said_of_each(stored):
    """Parent and tokens of each block, by its hash; the blocks of an event follow each other."""
    said = {}
    for event in stored:
        parent = event["parent_block_hash"]
        for at, hash_ in enumerate(event["block_hashes"]):
            said[hash_] = parent, event["token_ids"][at * TOKENS:(at + 1) * TOKENS]
            parent = hash_
    return said


def test_nothing_is_sent_where_notes_are_off(new_silo):
    silo = new_silo({"events-endpoint": "tcp://127.0.0.1:0"}, name="pod-a")
    engine = Loop(silo.unix, event_notes=False, **PATIENT)
    try:
        engine.run(Request("a", list(range(3 * TOKENS + 2))))
        engine.saved()
    finally:
        engine.close()
    assert silo.metric("kvtier_events_notes") == 0 and silo.metric("kvtier_block_puts_total", result="stored") > 0

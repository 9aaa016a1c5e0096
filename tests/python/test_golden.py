"""Vectors that both languages read: ids, placement, frames."""
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from processes import REPOSITORY
from silos import PYTHON_SOURCE

from kvtier import BlockId, Profile, block_groups, block_id, folding
from kvtier.cluster.map import ClusterMap, SiloEntry, read_map
from kvtier.cluster.placement import hash_of, score, seed_of
from kvtier.crc32c import crc32c, crc32c_rows, short_crc32c
from kvtier.profile import canonical_text, fingerprint
from kvtier.wire import frame
from kvtier.wire.checks import block_check, block_checks

GOLDEN = REPOSITORY / "tests" / "golden"


def load(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def profile_of(entry):
    return Profile(
        entry["name"], entry["layers"], entry["kvHeads"], entry["headDim"], entry["dtype"], entry["blockTokens"], entry["kind"],
        entry["ropeTheta"], entry["ropeScaling"], entry["preRotation"])


def test_ids_of_all_namespaces_are_the_golden_ones():
    namespaces = load("ids.json")["namespaces"]
    assert namespaces
    for entry in namespaces:
        profile = profile_of(entry["profile"])
        profile.validate()
        assert canonical_text(entry["tenant"], profile) == entry["canonicalText"]
        made = fingerprint(entry["tenant"], profile)
        assert made.hex() == entry["namespaceId"]
        for block in entry["blocks"]:
            assert block_id(made, bytes.fromhex(block["key"])).hex() == block["id"]


@pytest.mark.parametrize("value, text", [
    (0.0, "0"), (500000.0, "500000"), (0.1, "0.1"), (1e-5, "1E-05"), (1e15, "1E+15"), (123456789012345.0, "123456789012345"),
    (1.5e300, "1.5E+300"), (1234567890123456.0, "1.234567890123456E+15")])
def test_number_in_a_canonical_text_is_written_as_dotnet_writes_it(value, text):
    assert f"ropeTheta={text}\n" in canonical_text("t", Profile("p", 1, 1, 1, rope_theta=value))


def test_placement_seeds_hashes_and_scores_are_the_golden_ones():
    golden = load("rendezvous.json")
    for entry in golden["seeds"]:
        assert seed_of(entry["name"]) == int(entry["seed"])
    for entry in golden["hashes"]:
        assert hash_of(seed_of(entry["name"]), bytes.fromhex(entry["group"])) == int(entry["hash"])
    for entry in golden["scores"]:
        assert score(int(entry["hash"]), entry["weight"]) == pytest.approx(entry["score"], rel=1e-14)


def test_holders_of_all_maps_are_the_golden_ones():
    maps = load("rendezvous.json")["maps"]
    assert maps
    for entry in maps:
        silos = [SiloEntry(name, "h:1", capacity, zone, joined, draining) for name, capacity, zone, joined, draining in entry["silos"]]
        made = ClusterMap("c", 1, silos, moved={bytes.fromhex(group): name for group, name in entry["moved"].items()})
        for group in entry["holders"]:
            for count in (1, 2, 3):
                found = made.holders_of(bytes.fromhex(group["group"]), count)
                assert [made.silos[i].name for i in found] == group["names"][:count], entry["name"]


def test_groups_of_a_prefix_are_the_golden_ones():
    prefix = load("rendezvous.json")["prefix"]
    assert [one.hex() for one in block_groups([BlockId.from_hex(one) for one in prefix["ids"]])] == prefix["groups"]


def test_frames_are_read_and_written_byte_for_byte():
    entries = load("frames.json")
    assert len(entries) > 90
    for entry in entries:
        raw = bytes.fromhex(entry["frame"])
        header = frame.read_header(raw[:32])
        assert (header.kind, header.opcode, header.request_id) == (entry["kind"], entry["opcode"], int(entry["requestId"])), entry["name"]
        body = raw[32:32 + header.body_length]
        assert crc32c(body) == header.body_crc
        payload = raw[32 + header.body_length:]
        assert len(payload) == header.payload_length
        packed = frame.pack_body(frame.unpack_body(body))
        assert packed == body, entry["name"]
        assert frame.pack_header(header.kind, header.opcode, header.request_id, packed, len(payload)) + packed + payload == raw


def test_map_of_the_golden_frame_is_read():
    entry = next(one for one in load("frames.json") if one["name"] == "clusterMap.response")
    raw = bytes.fromhex(entry["frame"])
    epoch, cluster, _, fields = frame.unpack_body(raw[32:32 + frame.read_header(raw).body_length])
    made = read_map(cluster, epoch, fields)
    assert (made.epoch, made.cluster, [silo.name for silo in made.silos]) == (42, "kvtier", ["silo-a", "silo-b"])
    assert made.silos[1].draining and made.replicas_for("acme/opaque") == 2
    assert made.moved[bytes(range(16))] == "silo-lost" and made.moved[bytes(range(0xF0, 0x100))] == "silo-a"


@pytest.mark.parametrize("change", ["magic", "crc", "version", "kind", "cut"])
def test_header_that_was_changed_is_refused(change):
    raw = bytearray(frame.pack_header(frame.RESPONSE, 2, 1, b"\x90"))
    if change == "magic":
        raw[0] ^= 1
    elif change == "cut":
        with pytest.raises(Exception):
            frame.read_header(bytes(raw[:20]))
        return
    else:
        raw[{"crc": 9, "version": 4, "kind": 5}[change]] ^= 0x40
        if change != "crc":
            raw[28:32] = crc32c(bytes(raw[:28])).to_bytes(4, "little")
    with pytest.raises(Exception) as caught:
        frame.read_header(bytes(raw))
    assert "frame." in str(caught.value)


def slow_crc32c(data: bytes, crc: int = 0) -> int:
    state = crc ^ 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


WAYS = [crc32c, short_crc32c, folding.crc32c]


@pytest.mark.parametrize("crc32c", WAYS)
def test_crc32c_of_every_path_is_that_of_the_definition(crc32c):
    assert crc32c(b"123456789") == 0xE3069283
    source = random.Random(7)
    sizes = [*range(0, 40), 191, 192, 193, 2047, 2048, 2049, 2051, 4096, 9007, 9008, 9009, 9500]
    data = source.randbytes(10_000)
    for size in sizes:
        for start in (0, 1, 3):
            part = memoryview(data)[start:start + size]
            assert crc32c(part) == slow_crc32c(bytes(part)), (size, start)


@pytest.mark.parametrize("crc32c", WAYS)
def test_crc32c_of_long_data_is_that_of_its_parts(crc32c):
    # The definition is too slow for megabytes; what is short is compared with it above, and a CRC goes on where another ended.
    data = np.random.default_rng(3).integers(0, 256, 1_000_003, dtype=np.uint8)
    for size in (108_431, 108_432, 108_441, 217_000, 1_000_003):
        expected = 0
        for start in range(0, size, 4999):
            expected = crc32c(data[start:min(start + 4999, size)], expected)
        assert crc32c(data[:size]) == expected
        assert crc32c(data[5:size], crc32c(data[:5])) == expected


def test_crc32c_without_the_package_is_made_by_numpy():
    code = """
import sys
sys.modules["crc32c"] = None
from kvtier import crc32c, folding
from kvtier.wire import frame
assert crc32c.crc32c is folding.crc32c and frame.crc32c is folding.crc32c
print(crc32c.crc32c(b"123456789"))
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110,
                            env={**os.environ, "PYTHONPATH": str(PYTHON_SOURCE)})
    assert answer.stdout == f"{0xE3069283}\n", answer.stderr


def test_block_checks_of_many_are_those_of_each():
    source = random.Random(1)
    parts = [(source.randbytes(16), 0, i, 100 + i, source.getrandbits(32)) for i in range(9)]
    assert block_checks(parts) == [block_check(*part) for part in parts]
    assert crc32c_rows(np.zeros((2, 32), np.uint8)) == [crc32c(bytes(32))] * 2

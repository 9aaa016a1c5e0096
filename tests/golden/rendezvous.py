"""Placement in a cluster, computed without any KvTier code.

    python3 rendezvous.py --write    writes rendezvous.json (a change of it is a change of where every block lies)
    python3 rendezvous.py --check    checks rendezvous.json

A map is a list of silos [name, capacityBytes, zone, joinedEpoch, draining] and of moved groups {group: name}. Ids are 32 hex digits.
"""
import hashlib
import json
import math
import os
import sys

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rendezvous.json")
MASK = (1 << 64) - 1


def seed_of(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def hash_of(seed: int, group: str) -> int:
    return mix(mix(seed ^ int(group[:16], 16)) ^ int(group[16:], 16))


def score(value: int, weight: float) -> float:
    return weight / -math.log(((value >> 12) + 0.5) / (1 << 52))


def holders(silos, moved, group, count):
    """Names of the holders of a group, the owner first."""
    drains = all(silo[4] for silo in silos)
    may = [silo for silo in sorted(silos) if drains or not silo[4]]
    may.sort(key=lambda silo: -score(hash_of(seed_of(silo[0]), group), float(max(1, silo[1]))))
    found = [silo for silo in may if silo[0] == moved.get(group)]
    while len(found) < min(count, len(may)):
        left = [silo for silo in may if silo not in found]
        zones = {silo[2] for silo in found}
        found.append(next((silo for silo in left if silo[2] not in zones), left[0]))
    return [silo[0] for silo in found[:count]]


def head_of(position: int) -> int:
    return position // 64 * 64 if position >= 64 else max(head for head in (0, 1, 4, 16) if head <= position)


def id_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


GROUPS = [id_of(f"group-{number}") for number in range(24)]
GIB = 1 << 30
EVEN = [[f"silo-{name}", 64 * GIB, "", 1, False] for name in "abc"]
MAPS = {
    "one": [EVEN[:1], {}],
    "even": [EVEN, {}],
    "weights": [[["small", GIB, "", 1, False], ["big", 7 * GIB, "", 2, False], ["none", 0, "", 3, False]], {}],
    "zones": [[[f"z{zone}-{number}", 64 * GIB, f"rack-{zone}", 1, False] for zone in range(2) for number in range(3)], {}],
    "draining": [[EVEN[0], EVEN[1][:4] + [True], EVEN[2]], {}],
    "all draining": [[silo[:4] + [True] for silo in EVEN], {}],
    "moved": [EVEN, {GROUPS[0]: "silo-a", GROUPS[1]: "silo-b", GROUPS[2]: "silo-c", GROUPS[3]: "silo-lost"}],
    "moved to a draining one": [[EVEN[0], EVEN[1][:4] + [True], EVEN[2]], {GROUPS[0]: "silo-b", GROUPS[1]: "silo-a"}],
    "hundred": [[[f"silo-{number:03}", (1 + number % 4) * GIB, f"rack-{number % 5}", number, False] for number in range(100)], {}],
}


def document():
    names = ["silo-a", "silo-b", "kvtier-0.kvtier", "z"]
    ids = [id_of(f"block-{position}") for position in range(200)]
    return {
        "seeds": [{"name": name, "seed": str(seed_of(name))} for name in names],
        "hashes": [{"name": name, "group": group, "hash": str(hash_of(seed_of(name), group))} for name in names for group in GROUPS[:4]],
        "scores": [{"hash": str(value), "weight": weight, "score": score(value, weight)}
                   for value in (0, 1 << 11, 1 << 63, MASK) for weight in (1.0, float(64 * GIB))],
        "maps": [{"name": name, "silos": silos, "moved": moved,
                  "holders": [{"group": group, "names": holders(silos, moved, group, 3)} for group in GROUPS]}
                 for name, (silos, moved) in MAPS.items()],
        "prefix": {"ids": ids, "groups": [ids[head_of(position)] for position in range(len(ids))]},
    }


def write():
    with open(PATH, "w", encoding="utf-8") as out:
        json.dump(document(), out, indent=0)
        out.write("\n")


def check():
    with open(PATH, encoding="utf-8") as source:
        assert json.load(source) == json.loads(json.dumps(document())), "rendezvous.json is not what is computed"


if __name__ == "__main__":
    if sys.argv[1:] not in (["--write"], ["--check"]):
        sys.exit(__doc__)
    write() if sys.argv[1] == "--write" else check()
    print(f"{len(MAPS)} maps")

"""A client in Python that a test in another language drives: one request a line on stdin, one answer a line on stdout, both JSON.

    python3 interop_peer.py ENDPOINT [ENDPOINT …]
    {"do": "put", "tenant": "t", "keys": ["a", "b"], "length": 20000, "salt": "1"}  →  {"is": ["stored", "stored"]}

It uses the silos' shared memory or refuses to start. Bytes follow from key, salt and length, so that both sides know what is right. An
error of the client is answered as `{"error": its name, "field": …, "says": …}`; anything else ends the process with its trace.
"""
import faulthandler
import hashlib
import json
import sys

import numpy as np

import kvtier
from kvtier.cluster import routed, router
from kvtier.local.leases import LeasedHit

# Each block has one owner, and the machine may stand still for a moment: a silo that is slow is not to be given up.
routed.TRY_SECONDS = router.TRY_SECONDS = 20.0
REQUEST_SECONDS = 90
LEASE_MS = 300_000
MODEL = kvtier.Profile("interop", 2, 2, 16, "fp32", 16)


def content(profile: kvtier.Profile, key: str, salt: str, length: int) -> bytes:
    """The bytes of a block: SHAKE-256 of `key/salt`; in a model's namespace one number between -0.5 and 0.5 of each of its bytes."""
    shake = hashlib.shake_256(f"{key}/{salt}".encode())
    if profile.block_bytes == 0:
        return shake.digest(length)
    return (np.frombuffer(shake.digest(profile.block_bytes // 4), np.uint8).astype(np.float32) / 256 - 0.5).tobytes()


class Peer:
    """What can be asked for: each method takes the fields of a request and returns what the answer says."""

    def __init__(self, endpoints: "list[str]"):
        self.client = kvtier.connect(endpoints, local="require", timeout_ms=30_000, lease_ms=LEASE_MS)
        self.leases: "dict[str, tuple[kvtier.Profile, list[str], str, object]]" = {}

    def space(self, tenant: str, model: bool = False, **_):
        """The namespace."""
        return self.client.namespace(MODEL if model else kvtier.OPAQUE, tenant)

    def placement(self, keys, copies=1, prefix=None, **asked):
        """Ids, groups, and the names of the silos that hold each block, the owner first."""
        space = self.space(**asked)
        ids = space.ids_of(_keys(keys))
        groups = _groups(space, keys, prefix) or ids
        map_ = self.client.cluster_map
        held = [[] if map_ is None else [map_.silos[i].name for i in map_.holders_of(group, copies)] for group in groups]
        return [[one.hex(), group.hex(), names] for one, group, names in zip(ids, groups, held)]

    def sequence_owner(self, name, **asked):
        """The silo that owns a sequence; empty outside of a cluster."""
        map_ = self.client.cluster_map
        group = kvtier.block_id(self.space(**asked).fingerprint, f"sequence/{name}".encode())
        return "" if map_ is None else map_.silos[map_.owner_of(group)].name

    def put(self, keys, salt="", length=0, overwrite=False, prefix=None, **asked):
        """Stores blocks."""
        space = self.space(**asked)
        blocks = [(key.encode(), content(space.profile, key, salt, length)) for key in keys]
        outcomes = space.put_many(blocks, overwrite=overwrite, groups=_groups(space, keys, prefix))
        return [str(one.status) if one.error is None else one.error.name for one in outcomes]

    def write(self, keys, salt="", length=0, **asked):
        """Stores blocks by writing them where they are to lie, in the shared memory of the first silo."""
        space = self.space(**asked)
        with space.reserve([(key.encode(), length) for key in keys]) as slots:
            for key, slot in zip(keys, slots):
                if slot:
                    slot.data[:] = content(space.profile, key, salt, length)
            return [str(one.status) for one in slots.commit()]

    def get(self, keys, salt="", length=0, prefix=None, **asked):
        """Fetches blocks and says of each whether it is right, or why it is not here."""
        space = self.space(**asked)
        found = space.get_many(_keys(keys), groups=_groups(space, keys, prefix))
        return [_judge(one, content(space.profile, key, salt, length)) for key, one in zip(keys, found)]

    def lease(self, name, keys, salt="", length=0, prefix=None, **asked):
        """Leases blocks and keeps the leases under a name."""
        space = self.space(**asked)
        leases = space.lease(_keys(keys), groups=_groups(space, keys, prefix))
        assert all(isinstance(one, LeasedHit) for one in leases if one)
        self.leases[name] = (space.profile, keys, salt, leases)
        return [_judge(one, content(space.profile, key, salt, length)) for key, one in zip(keys, leases)]

    def leased(self, name, length=0, **_):
        """Reads blocks under leases again: of each whether its bytes are right and the lease still holds after the last was read."""
        profile, keys, salt, leases = self.leases[name]
        return ["miss" if not one else _judge(one, content(profile, key, salt, length)) if one.verify() else "void"
                for key, one in zip(keys, leases)]

    def release(self, name, **_):
        """Gives leases back."""
        self.leases.pop(name)[3].release()
        return True

    def delete(self, keys, prefix=None, **asked):
        """Deletes blocks."""
        space = self.space(**asked)
        return space.delete(_keys(keys), groups=_groups(space, keys, prefix))

    def append(self, name, keys, tokens, **asked):
        """Appends blocks to a sequence, which is opened where it is not."""
        return _info(self.space(model=True, **asked).sequence(name).append(_keys(keys), tokens))

    def sequence(self, name, **asked):
        """What a sequence is now."""
        return _info(self.space(model=True, **asked).find_sequence(name).info)

    def fork(self, name, into, tokens, **asked):
        """Forks a sequence."""
        return _info(self.space(model=True, **asked).find_sequence(name).fork(into, tokens).info)

    def close(self, name, **asked):
        """Has a sequence forgotten."""
        return _info(self.space(model=True, **asked).find_sequence(name).close())

    def sequences(self, **asked):
        """The names of all sequences."""
        return [info.name for info in self.space(model=True, **asked).sequences()]

    def attend(self, name, layer, queries, budget, **asked):
        """Attention of one query [Hq, D] over a sequence: output and lse, and what was missing."""
        selector = kvtier.selectors.moments.with_budget(budget)
        given = np.array(queries, np.float32).reshape(1, 1, -1, MODEL.head_dim)
        item = self.space(model=True, **asked).recall([(name, layer)], given, selector, "attend")[0]
        return {"output": item.output.ravel().tolist(), "lse": item.lse.ravel().tolist(), "missing": len(item.missing)}

    def hello(self, engine, version, instance, fields, **asked):
        """Says hello for an engine, and what that was answered with."""
        report = self.space(**asked).hello(engine, version, fields, instance=instance)
        return {"engines": report.engines, "complete": report.complete,
                "differences": [[one.field, one.mine, one.theirs, one.whose] for one in report.differences]}


def _keys(keys):
    return [key.encode() for key in keys]


def _groups(space, keys, prefix):
    """The groups that keys have as parts of a prefix of keys; None where each is by itself."""
    if prefix is None:
        return None
    of = dict(zip(prefix, kvtier.block_groups(space.ids_of(_keys(prefix)))))
    return [of[key] for key in keys]


def _info(info):
    return [info.blocks, info.tokens]


def _judge(one, right: bytes) -> str:
    if not one:
        return one.reason
    return "right" if one.data == right else "wrong"


def main() -> None:
    peer = Peer(sys.argv[1:])
    print(json.dumps({"is": kvtier.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        # Who waits gives up before this; then it says where it hangs.
        faulthandler.dump_traceback_later(REQUEST_SECONDS, exit=True)
        try:
            answer = {"is": getattr(peer, request.pop("do"))(**request)}
        except kvtier.KvTierError as error:
            answer = {"error": error.name, "field": error.field, "says": str(error)}
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(answer), flush=True)
    peer.client.close()


if __name__ == "__main__":
    main()

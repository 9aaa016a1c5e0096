"""Clients of tests that expect their calls to go well: on a machine that is busy, or stands still for seconds, all of them still do."""
import kvtier

CALL_MS = 60_000
LEASE_MS = 60_000
TRY_SECONDS = 20.0


def connect(endpoint, **options):
    """As `kvtier.connect`, with deadlines and leases that no busy machine outlasts. Calls that are to run out name their own."""
    return kvtier.connect(endpoint, **{"timeout_ms": CALL_MS, "lease_ms": LEASE_MS, **options})


def be_patient(patch) -> None:
    """Has routing clients wait for a silo that is slow as if nothing were wrong: after 2 s they take it for lost, and a read of what it
    alone holds ends as a miss; after 0.5 s they leave the socket of a silo on this machine out.

    patch: pytest's `monkeypatch`, or anything with its `setattr(module, name, value)`.
    """
    from kvtier.cluster import links, routed, router

    patch.setattr(links, "_MAP_SECONDS", TRY_SECONDS)
    patch.setattr(routed, "TRY_SECONDS", TRY_SECONDS)
    patch.setattr(router, "TRY_SECONDS", TRY_SECONDS)

"""Options of the plug-ins. An unknown one is refused with the nearest name."""
from __future__ import annotations

from dataclasses import dataclass

from kvtier.errors import InvalidArgument

_TRANSFERS = ("auto", "region", "client")
_LAYOUTS = ("auto", "canonical", "opaque")


@dataclass
class TierOptions:
    """Options of a secondary tier: they stand beside ``type`` and ``module_path``. Times in ms.

    ``transfer``: ``region`` has the silo copy rows of vLLM's file itself (Unix socket, same user, same /dev/shm); ``client`` copies
    in the engine's process; ``auto`` tries the first, and falls back to the second with a line in the log.
    """

    endpoint: str = "unix:/run/kvtier.sock"
    token: str | None = None
    tenant: str = "default"
    transfer: str = "auto"
    ack: str = "memory"
    ttl_ms: int = 0
    lookup_ms: int = 200
    load_ms: int = 2000
    store_ms: int = 10_000
    drain_ms: int = 30_000
    connect_ms: int = 1000
    threads: int = 4
    jobs_max: int = 256
    batch_bytes: int = 64 << 20
    enable_kv_events: bool = False
    cost_gate: bool = True
    prefill_tokens_per_second: float = 0.0

    def check(self) -> None:
        """Raises InvalidArgument for the first value that can't be."""
        _one_of("transfer", self.transfer, _TRANSFERS)
        _one_of("ack", self.ack, ("memory", "ssd", "replica"))
        for name in ("lookup_ms", "load_ms", "store_ms", "drain_ms", "connect_ms", "threads", "jobs_max", "batch_bytes"):
            _positive(name, getattr(self, name))


@dataclass
class ConnectorOptions:
    """Options of the connector: ``kv_connector_extra_config``. Times in ms.

    ``layout``: ``canonical`` stores blocks by ranges of KV heads, so that nodes of other tensor-parallel sizes read them; ``opaque``
    stores each rank's bytes as they are; ``auto`` takes the first where the tensors' axes are known.
    ``event_notes``: tell the silo hashes and tokens of saved blocks, for routers; nothing is sent where the silo publishes no events.
    ``tp_sizes``: sizes that are to share blocks, such as ``"1,2,4"``.
    """

    endpoint: str = "unix:/run/kvtier.sock"
    token: str | None = None
    tenant: str = "default"
    layout: str = "auto"
    tp_sizes: str = ""
    ack: str = "memory"
    ttl_ms: int = 0
    lookup_ms: int = 200
    load_ms: int = 2000
    save_ms: int = 10_000
    shutdown_ms: int = 2000
    connect_ms: int = 1000
    save_decode: bool = True
    event_notes: bool = True
    staging_bytes: int = 1 << 30
    cost_gate: bool = True
    prefill_tokens_per_second: float = 0.0

    def check(self) -> None:
        """Raises InvalidArgument for the first value that can't be."""
        _one_of("layout", self.layout, _LAYOUTS)
        _one_of("ack", self.ack, ("memory", "ssd", "replica"))
        for name in ("lookup_ms", "load_ms", "save_ms", "shutdown_ms", "connect_ms", "staging_bytes"):
            _positive(name, getattr(self, name))
        self.sizes()

    def sizes(self) -> tuple[int, ...]:
        """The sizes of ``tp_sizes``."""
        try:
            return tuple(int(part) for part in self.tp_sizes.split(",") if part.strip())
        except ValueError:
            raise InvalidArgument("tp_sizes", self.tp_sizes, "numbers separated by commas, such as 1,2,4") from None


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidArgument(name, value, ", ".join(allowed))


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise InvalidArgument(name, value, "1 or more")

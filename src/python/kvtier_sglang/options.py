"""What a user may write into `--hicache-storage-backend-extra-config`."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from kvtier.errors import InvalidArgument
from kvtier.guarded import Limits
from kvtier.plugin import parse_options

ENGINE_KEYS = (
    "backend_name", "module_path", "class_name", "interface_v1", "prefetch_threshold", "prefetch_timeout_base",
    "prefetch_timeout_per_ki_token", "prefetch_timeout_max", "hicache_storage_pass_prefix_keys", "tp_lcm_size",
)
"""What SGLang reads from the same text."""


@dataclass(frozen=True)
class Options:
    """Options of the backend. Times are ms."""

    endpoint: str | list = "127.0.0.1:7420"
    """``unix:/path``, ``host:port``, or several with commas between them (or as a list)."""
    token: str | None = None
    """The silo's access token."""
    tenant: str = "default"
    """Engines of different tenants never see each other's pages."""
    model: str | None = None
    """Stands for the model's name: set it where one model has different paths on different nodes."""
    kv_heads: int | None = None
    """The model's KV heads; only with ``tp_lcm_size``, and only where a node has more ranks than the model has KV heads."""
    lookup_timeout_ms: int = 500
    """Longest look-up of a batch of pages; then none of them is here."""
    read_timeout_ms: int = 2000
    """Longest read of a batch; pages that came before it count."""
    write_timeout_ms: int = 5000
    """Longest write of a batch; pages that came before it count."""
    batch_bytes: int = 64 << 20
    """Most bytes of one request to the silo."""
    ack: str = "memory"
    """When a page counts as written: ``memory``, ``ssd`` or ``replica``."""
    ttl_ms: int = 0
    """How long pages live; 0 for as long as there is room."""
    local: str = "auto"
    """Shared memory of a silo on this machine: ``auto``, ``never`` or ``require``."""
    failures_max: int = 3
    """So many failures in a row open the circuit breaker."""
    open_ms: int = 500
    """How long an open breaker answers at once that nothing is here before it tries again; it doubles up to 10 s."""

    @staticmethod
    def parse(extra_config: Mapping[str, Any] | None) -> Options:
        """Reads them.

        :raises InvalidArgument: an unknown name (with the nearest known one), or a value that can't be.
        """
        options = parse_options(Options, extra_config or {}, prefix="extra_config.", ignore=ENGINE_KEYS)
        if options.local not in ("auto", "never", "require"):
            raise InvalidArgument("extra_config.local", options.local, "auto, never, require")
        for name in ("failures_max", "open_ms"):
            if getattr(options, name) < 1:
                raise InvalidArgument(f"extra_config.{name}", getattr(options, name), "1 or more")
        options.limits.validate("extra_config.")
        return options

    @property
    def limits(self) -> Limits:
        """Deadlines and sizes of requests."""
        return Limits(self.lookup_timeout_ms, self.read_timeout_ms, self.write_timeout_ms, self.batch_bytes, self.ack, self.ttl_ms)

    @property
    def endpoints(self) -> str | list[str]:
        """The endpoint, or the list of them."""
        if isinstance(self.endpoint, str) and "," in self.endpoint:
            return [one.strip() for one in self.endpoint.split(",") if one.strip()]
        return self.endpoint

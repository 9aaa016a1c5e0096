"""What a user may write for the plug-in into LMCache's configuration."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from kvtier.errors import InvalidArgument
from kvtier.guarded import Limits
from kvtier.plugin import LazyClient, Troubles, parse_options

ENGINE_KEYS = ("module_path", "class_name")
"""What LMCache reads under the same prefix."""


@dataclass(frozen=True)
class Options:
    """Options of the connector and of the L2 adapter. Times are ms."""

    endpoint: str | list = "127.0.0.1:7420"
    """``unix:/path``, ``host:port``, or several with commas between them (or as a list)."""
    token: str | None = None
    """The silo's access token."""
    tenant: str = "default"
    """Engines of different tenants never see each other's chunks."""
    namespace: str | None = None
    """Name of the namespace; made of the model's name by default."""
    lookup_timeout_ms: int = 500
    """Longest look-up of a batch of chunks; then none of them is here."""
    read_timeout_ms: int = 2000
    """Longest read of a batch; chunks that came before it count."""
    write_timeout_ms: int = 5000
    """Longest write of a batch."""
    batch_bytes: int = 64 << 20
    """Most bytes of one request to the silo."""
    threads: int = 4
    """Reads and writes at one time."""
    ack: str = "memory"
    """When a chunk counts as written: ``memory``, ``ssd`` or ``replica``."""
    ttl_ms: int = 0
    """How long chunks live; 0 for as long as there is room."""
    local: str = "auto"
    """Shared memory of a silo on this machine: ``auto``, ``never`` or ``require``."""
    failures_max: int = 3
    """So many failures in a row open the circuit breaker."""
    open_ms: int = 500
    """How long an open breaker answers at once that nothing is here before it tries again; it doubles up to 10 s."""

    @staticmethod
    def parse(values: Mapping[str, Any], prefix: str = "") -> Options:
        """Reads them.

        :raises InvalidArgument: an unknown name (with the nearest known one), or a value that can't be.
        """
        options = parse_options(Options, values, prefix=prefix, ignore=ENGINE_KEYS)
        if options.local not in ("auto", "never", "require"):
            raise InvalidArgument(f"{prefix}local", options.local, "auto, never, require")
        for name in ("failures_max", "open_ms", "threads"):
            if getattr(options, name) < 1:
                raise InvalidArgument(f"{prefix}{name}", getattr(options, name), "1 or more")
        options.limits.validate(prefix)
        return options

    @staticmethod
    def of_config(extra_config: Mapping[str, Any] | None, plugin: str) -> Options:
        """Those that begin with ``remote_storage_plugin.<plugin>.`` in LMCache's ``extra_config``."""
        prefix = f"remote_storage_plugin.{plugin}."
        mine = {name[len(prefix):]: value for name, value in (extra_config or {}).items() if name.startswith(prefix)}
        return Options.parse(mine, prefix)

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

    def client(self, troubles: Troubles) -> LazyClient:
        """A client that connects when it is first needed."""
        # Connecting may take as long as a look-up, as that is what most often finds that the silo is gone.
        return LazyClient(self.endpoints, token=self.token, timeout_ms=self.lookup_timeout_ms, local=self.local,
                          failures_max=self.failures_max, open_ms=self.open_ms, troubles=troubles)

"""How LMCache finds the connector: `remote_storage_plugins: ["kvtier"]` with this module and class in `extra_config`."""
from __future__ import annotations

import inspect
from typing import Any
from urllib.parse import urlsplit

from lmcache.v1.storage_backend.connector import ConnectorAdapter

from .connector import KvTierConnector
from .options import Options

_SCHEMES = ("plugin://kvtier", "kvtier://")


class KvTierConnectorAdapter(ConnectorAdapter):
    """Makes connectors for ``plugin://kvtier`` (or ``plugin://kvtier.<instance>``) and for a remote URL ``kvtier://host:port``."""

    def __init__(self) -> None:
        super().__init__("kvtier://")

    def can_parse(self, url: str) -> bool:
        """True for both forms."""
        return url.startswith(_SCHEMES)

    def create_connector(self, context: Any) -> KvTierConnector:
        """Makes one; it connects when it is first used.

        :raises InvalidArgument: an option that is unknown or can't be.
        """
        url = urlsplit(context.url)
        plugin = getattr(context, "plugin_name", None) or (url.netloc if url.scheme == "plugin" else "") or "kvtier"
        extra = dict(getattr(context.config, "extra_config", None) or {})
        name = f"remote_storage_plugin.{plugin}.endpoint"
        if url.scheme == "kvtier" and name not in extra:
            extra[name] = url.netloc if url.netloc else f"unix:{url.path}"
        options = Options.of_config(extra, plugin)
        return KvTierConnector(options, context.loop, context.local_cpu_backend, context.config, getattr(context, "metadata", None),
                               releases_batches=wrapper_releases_batches())


def wrapper_releases_batches() -> bool:
    """Whether LMCache's wrapper counts references of a batched put down; releases before that fix leak them."""
    try:
        from lmcache.v1.storage_backend.connector.instrumented_connector import InstrumentedRemoteConnector

        return "ref_count_down" in inspect.getsource(InstrumentedRemoteConnector.batched_put)
    except (ImportError, AttributeError, OSError, TypeError):
        return False

"""vLLM's classes that the plug-ins are made of, or stand-ins where vLLM is not installed.

With the stand-ins everything can be imported and tested, but no engine can load it. A vLLM that is there and lacks an interface is another
matter: then the import fails and says which one.
"""
from __future__ import annotations

import enum
import importlib
import importlib.util
import logging
from abc import ABC
from dataclasses import dataclass
from typing import Any, Collection, Optional

_LOG = logging.getLogger("kvtier.vllm")
HAS_VLLM = importlib.util.find_spec("vllm") is not None


class _LookupResult(enum.Enum):
    MISS = enum.auto()
    HIT = enum.auto()
    HIT_PENDING = enum.auto()
    RETRY = enum.auto()


@dataclass
class _RequestOffloadingContext:
    policy: Any = None


@dataclass
class _JobResult:
    job_id: int
    success: bool
    successful_keys: Optional[Collection[bytes]] = None
    transfer_time: Optional[float] = None


class _Medium(enum.Enum):
    CPU = "CPU"
    STORAGE = "STORAGE"


@dataclass
class _OffloadingEvent:
    keys: list[bytes]
    medium: Any
    removed: bool


class _SecondaryTierManager(ABC):
    medium: Any = None

    def __init__(self, offloading_spec: Any, primary_kv_view: memoryview, tier_type: str) -> None:
        self._offloading_spec = offloading_spec
        self._primary_kv_view = primary_kv_view
        self.tier_type = tier_type
        self.locality: Any = None


class _Role(enum.Enum):
    SCHEDULER = 0
    WORKER = 1


class _Metadata(ABC):
    pass


class _ConnectorBase(ABC):
    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any) -> None:
        self._vllm_config = vllm_config
        self._kv_transfer_config = vllm_config.kv_transfer_config
        self._kv_cache_config = kv_cache_config
        self._role = role
        self._connector_metadata: Any = None

    @property
    def role(self) -> Any:
        return self._role

    def bind_connector_metadata(self, connector_metadata: Any) -> None:
        self._connector_metadata = connector_metadata

    def clear_connector_metadata(self) -> None:
        self._connector_metadata = None

    def has_connector_metadata(self) -> bool:
        return self._connector_metadata is not None


def _find(module: str, name: str, stand_in: Any, *, needed: bool) -> Any:
    if not HAS_VLLM:
        return stand_in
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        if not needed:
            return stand_in
        raise ImportError(
            f"kvtier: this vLLM has no {module}.{name} ({error}). KvTierSecondaryTier needs the tiering of kv_offload (2026), "
            "KvTierConnector needs KVConnectorBase_V1: update vLLM, or use the other of the two") from error


def tier_bases() -> dict[str, Any]:
    """What a secondary tier is made of."""
    base, tiering = "vllm.v1.kv_offload.base", "vllm.v1.kv_offload.tiering.base"
    return {
        "SecondaryTierManager": _find(tiering, "SecondaryTierManager", _SecondaryTierManager, needed=True),
        "JobResult": _find(tiering, "JobResult", _JobResult, needed=True),
        "LookupResult": _find(base, "LookupResult", _LookupResult, needed=True),
        "RequestOffloadingContext": _find(base, "RequestOffloadingContext", _RequestOffloadingContext, needed=True),
        "Medium": _find(base, "Medium", _Medium, needed=False),
        "OffloadingEvent": _find(base, "OffloadingEvent", _OffloadingEvent, needed=False),
        "CounterMetadata": _find(base, "OffloadingCounterMetadata", None, needed=False),
        "Stats": _find("vllm.distributed.kv_transfer.kv_connector.v1.offloading.metrics", "OffloadingConnectorStats", None, needed=False),
    }


def connector_bases() -> dict[str, Any]:
    """What a connector is made of."""
    base = "vllm.distributed.kv_transfer.kv_connector.v1.base"
    return {
        "KVConnectorBase_V1": _find(base, "KVConnectorBase_V1", _ConnectorBase, needed=True),
        "KVConnectorMetadata": _find(base, "KVConnectorMetadata", _Metadata, needed=True),
        "KVConnectorRole": _find(base, "KVConnectorRole", _Role, needed=True),
    }

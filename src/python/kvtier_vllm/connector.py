"""``KvTierConnector``: KvTier as vLLM's KV connector, layer by layer.

    --kv-transfer-config '{"kv_connector": "KvTierConnector", "kv_connector_module_path": "kvtier_vllm.connector",
      "kv_role": "kv_both", "kv_load_failure_policy": "recompute",
      "kv_connector_extra_config": {"endpoint": "unix:/run/kvtier.sock"}}'

Layers are fetched while earlier ones compute, and copied to host memory before they are saved in the background, so that vLLM never
waits for a save and may free or preempt at any time. A block that does not come is a load error; ``kv_load_failure_policy`` must be
``recompute``.
Options: :class:`kvtier_vllm.options.ConnectorOptions`.
"""
from __future__ import annotations

import logging
from typing import Any, Iterable, Optional

from kvtier.errors import KvTierError
from kvtier.handshake import Handshake
from kvtier.plugin import LazyClient, Troubles, parse_options

from .bases import connector_bases
from .identity import engine_instance, get, hash_fields, vllm_version
from .options import ConnectorOptions
from .plan import Plan, make_plan
from .scheduling import KvTierMetadata, SchedulerSide
from .working import WorkerSide

_LOG = logging.getLogger("kvtier.vllm")
_BASES = connector_bases()
_Base, _Role = _BASES["KVConnectorBase_V1"], _BASES["KVConnectorRole"]


class KvTierConnector(_Base):  # type: ignore[misc,valid-type]
    """vLLM makes one in the scheduler and one in each worker; see the module."""

    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any = None) -> None:
        """:raises InvalidArgument: an option is unknown or can't be."""
        super().__init__(vllm_config, role, kv_cache_config)
        transfer = vllm_config.kv_transfer_config
        self.options = parse_options(
            ConnectorOptions, get(transfer, "kv_connector_extra_config", {}), prefix="kv_connector_extra_config.")
        self.options.check()
        self.troubles = Troubles(_LOG)
        self._client = LazyClient(self.options.endpoint, token=self.options.token, timeout_ms=self.options.connect_ms,
                                  troubles=self.troubles)
        self._scheduler: Optional[SchedulerSide] = None
        self._worker: Optional[WorkerSide] = None
        self._hello: Optional[Handshake] = None
        rank = get(vllm_config, "parallel_config.rank", 0) % get(vllm_config, "parallel_config.tensor_parallel_size", 1)
        try:
            plan = make_plan(vllm_config, kv_cache_config, self.options, rank)
        except KvTierError as error:
            self.troubles.report("this engine's cache is not kept", error)
            return
        self._start(vllm_config, role, kv_cache_config, plan, rank)

    def _start(self, vllm_config: Any, role: Any, kv_cache_config: Any, plan: Plan, rank: int) -> None:
        options, policy = self.options, get(vllm_config, "kv_transfer_config.kv_load_failure_policy")
        if role == _Role.SCHEDULER:
            self._scheduler = SchedulerSide(self._client, plan, options)
            if policy is not None and policy != "recompute":
                self.troubles.report("a block that can't be loaded fails its request", f"kv_load_failure_policy is {policy}, not recompute")
            said = {"dtype": plan.profile.dtype, "layout": "opaque" if plan.split is None else "canonical",
                    "block_tokens": plan.block_tokens, "namespace": plan.rank_profiles[0].name}
            self._hello = Handshake(self._client, plan.common, options.tenant, "vllm", vllm_version(),
                                    lambda: {**hash_fields(vllm_config), **said}, instance=engine_instance(vllm_config), logger=_LOG)
            self._hello.say()
        else:
            self._worker = WorkerSide(self._client, plan, options, kv_cache_config.num_blocks)
        _LOG.info("kvtier: connector in namespace %s/%s at %s, rank %s", options.tenant, plan.profile.name, options.endpoint, rank)

    # Facts that vLLM asks for.

    @classmethod
    def requires_piecewise_for_cudagraph(cls, extra_config: dict[str, Any]) -> bool:
        """True: whole CUDA graphs would skip the calls for each layer."""
        return True

    @property
    def requires_kv_delivery(self) -> bool:
        """False: a save that is lost is a later miss."""
        return False

    @property
    def prefer_cross_layer_blocks(self) -> bool:
        """False: each layer has its tensor."""
        return False

    # In the scheduler.

    def on_new_request(self, request: Any) -> None:
        """Says hello again when it is time for it."""
        if self._hello is not None:
            self._hello.say()

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[Optional[int], bool]:
        """Tokens that can be loaded, in the step that computes the rest; None while the silo has not answered."""
        if self._scheduler is None:
            return 0, False
        return self._scheduler.matched(request, num_computed_tokens), False

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        """Notes what is to be loaded; called again, the last call counts."""
        if self._scheduler is not None:
            self._scheduler.allocated(request, num_external_tokens)

    def build_connector_meta(self, scheduler_output: Any) -> KvTierMetadata:
        """What the workers load and save in this step."""
        return KvTierMetadata() if self._scheduler is None else self._scheduler.build(scheduler_output)

    def update_connector_output(self, connector_output: Any) -> None:
        """Hears which blocks could not be loaded."""
        if self._scheduler is not None:
            self._scheduler.failed(getattr(connector_output, "invalid_block_ids", None) or ())

    def request_finished(self, request: Any, block_ids: list[int]) -> tuple[bool, Optional[dict[str, Any]]]:
        """False: what is to be saved was copied, so the blocks may be freed."""
        if self._scheduler is not None:
            self._scheduler.finished(request.request_id)
        return False, None

    def take_events(self) -> Iterable[Any]:
        """None: the silo publishes events of its own."""
        return ()

    def reset_cache(self) -> bool:
        """Forgets what was looked up; blocks stay in the silo."""
        if self._scheduler is not None:
            self._scheduler.reset()
        return True

    # In a worker.

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        """Takes the layers' tensors."""
        if self._worker is not None:
            self._worker.register(kv_caches)

    def handle_preemptions(self, kv_connector_metadata: Any) -> None:
        """Nothing: what is saved was copied, and what is loaded is for this step's requests."""

    def start_load_kv(self, forward_context: Any, **kwargs: Any) -> None:
        """Begins to fetch the layers of this step's loads."""
        if self._worker is not None and self.has_connector_metadata():
            metadata = self._connector_metadata
            self._worker.begin(metadata.loads, metadata.saves)

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Waits until a layer is in its tensor, for at most what is left of ``load_ms`` for the whole step."""
        if self._worker is not None:
            self._worker.wait_layer(layer_name)

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **kwargs: Any) -> None:
        """Copies a layer of the blocks that are to be saved."""
        if self._worker is not None:
            self._worker.save_layer(layer_name)

    def wait_for_save(self) -> None:
        """Returns at once: all was copied."""
        if self._worker is not None:
            self._worker.end_saves()

    def get_finished(self, finished_req_ids: set[str]) -> tuple[Optional[set[str]], Optional[set[str]]]:
        """Nothing: no request waits for this connector."""
        return None, None

    def get_block_ids_with_load_errors(self) -> set[int]:
        """Blocks that could not be loaded, each once."""
        return set() if self._worker is None else self._worker.take_errors()

    def shutdown(self) -> None:
        """Saves what was copied, within ``shutdown_ms``, and ends threads and connections."""
        if self._worker is not None:
            self._worker.close()
        if self._scheduler is not None:
            self._scheduler.close()
        self._client.close()


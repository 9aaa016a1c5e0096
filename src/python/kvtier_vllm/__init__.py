"""KvTier's plug-ins for vLLM, loaded by its configuration alone.

``kvtier_vllm.tier.KvTierSecondaryTier`` is a secondary tier of vLLM's ``TieringOffloadingSpec``: whole blocks, copied by the silo.
``kvtier_vllm.connector.KvTierConnector`` is a KV connector: layer by layer, without vLLM's own host tier.
See ``docs/how-to/vllm.md``.
"""

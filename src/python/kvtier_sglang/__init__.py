"""KvTier as the storage backend of SGLang's hierarchical cache: `kvtier_sglang.backend.KvTierHiCache`."""

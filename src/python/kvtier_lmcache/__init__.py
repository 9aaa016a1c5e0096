"""KvTier as remote storage of LMCache: `kvtier_lmcache.adapter.KvTierConnectorAdapter`, and `kvtier_lmcache.l2.KvTierL2Adapter`."""

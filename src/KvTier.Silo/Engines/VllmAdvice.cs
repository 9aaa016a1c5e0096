namespace KvTier.Silo.Engines;

/// <summary>What to set in vLLM.</summary>
internal static class VllmAdvice
{
    /// <summary>The advice; null where nothing is special to vLLM.</summary>
    public static string? Of(in EngineQuestion difference) => difference.Field switch
    {
        EngineAdvice.HashAlgorithm =>
            "start every engine with --prefix-caching-hash-algo sha256_cbor: keys of different algorithms never meet",
        EngineAdvice.Seed when difference.IsSeedUnset =>
            "set PYTHONHASHSEED=0 in the environment of every engine: without it the first hash is random in each process",
        EngineAdvice.Seed => "set PYTHONHASHSEED to one value, such as 0, in the environment of every engine",
        EngineAdvice.ProbeHash when difference.RootsAgree =>
            "the same tokens give other hashes: use --prefix-caching-hash-algo sha256_cbor (sha256 depends on the version of Python) and "
            + "engines of one version",
        EngineAdvice.ProbeHash =>
            "follows from the hash algorithm or the seed: set --prefix-caching-hash-algo sha256_cbor and PYTHONHASHSEED=0 everywhere",
        "dtype" => "set one --kv-cache-dtype (and --dtype), or give each a namespace of its own",
        "layout" => "set one layout of the KV cache (VLLM_KV_CACHE_LAYOUT), or give each a namespace of its own",
        "world_size" => "set one --tensor-parallel-size, or store blocks by KV head so that sizes do not matter",
        "block_tokens" => "set one --block-size for every engine",
        _ => null,
    };
}

namespace KvTier.Silo.Engines;

/// <summary>What to set when engines of a namespace differ.</summary>
internal static class EngineAdvice
{
    /// <summary>Field: how hashes of blocks are computed.</summary>
    public const string HashAlgorithm = "hash_algorithm";

    /// <summary>Field: the seed of hashes, <see cref="Unset"/> for none.</summary>
    public const string Seed = "seed";

    /// <summary>Field: the hash of the first block of a fixed list of tokens.</summary>
    public const string ProbeHash = "probe_hash";

    /// <summary>Value of <see cref="Seed"/> when there is none.</summary>
    public const string Unset = "unset";

    /// <summary>What to set when a field differs.</summary>
    /// <param name="field">The field.</param>
    /// <param name="mine">What one engine said.</param>
    /// <param name="theirs">What the other said.</param>
    /// <param name="rootsAgree">True when hash algorithm and seed agree.</param>
    public static string Of(string field, string mine, string theirs, bool rootsAgree) => field switch
    {
        HashAlgorithm => "start every engine with --prefix-caching-hash-algo sha256_cbor: keys of different algorithms never meet",
        Seed when mine == Unset || theirs == Unset =>
            "set PYTHONHASHSEED=0 in the environment of every engine: without it the first hash is random in each process",
        Seed => "set PYTHONHASHSEED to one value, such as 0, in the environment of every engine",
        ProbeHash when rootsAgree =>
            "the same tokens give other hashes: use --prefix-caching-hash-algo sha256_cbor (sha256 depends on the version of Python) and "
            + "engines of one version",
        ProbeHash =>
            "follows from the hash algorithm or the seed: set --prefix-caching-hash-algo sha256_cbor and PYTHONHASHSEED=0 everywhere",
        "model_digest" => "serve the same weights in the same revision, or give each model a namespace of its own",
        "dtype" => "set one --kv-cache-dtype (and --dtype), or give each a namespace of its own",
        "layout" => "set one layout of the KV cache (VLLM_KV_CACHE_LAYOUT, --hicache-mem-layout), or give each a namespace of its own",
        "rank" => "give each rank keys or a namespace of its own: ranks hold different bytes under the same hash",
        "world_size" => "set one --tensor-parallel-size, or store blocks by KV head so that sizes do not matter",
        "block_tokens" => "set one --block-size for every engine",
        _ => $"set {field} alike for every engine, or give each a namespace of its own",
    };
}

namespace KvTier.Silo.Engines;

/// <summary>What to set in LMCache, which has a configuration of its own beside that of the engine that it runs in.</summary>
internal static class LmcacheAdvice
{
    private const string Fixed = "pre_caching_hash_algorithm: sha256_cbor_64bit";

    /// <summary>The advice; null where nothing is special to LMCache.</summary>
    public static string? Of(in EngineQuestion difference) => difference.Field switch
    {
        EngineAdvice.HashAlgorithm => $"set {Fixed} in every LMCache configuration: keys of different algorithms never meet",
        EngineAdvice.Seed when difference.IsSeedUnset =>
            $"set PYTHONHASHSEED=0 in the environment of every engine, or {Fixed}: LMCache's default hash is random in each process",
        EngineAdvice.Seed => $"set PYTHONHASHSEED to one value, such as 0, in the environment of every engine, or {Fixed}",
        EngineAdvice.ProbeHash => $"set {Fixed} in every LMCache configuration, and use one version of LMCache",
        "dtype" => "set one dtype of the KV cache in the engines that LMCache runs in (--kv-cache-dtype)",
        "world_size" => "set one size of tensor parallelism in the engines that LMCache runs in: its keys have the size in them",
        "block_tokens" => "set one chunk_size in every LMCache configuration",
        "page_shape" => "follows from model, dtype, chunk_size or world size: set them alike, and use one version of LMCache",
        _ => null,
    };
}

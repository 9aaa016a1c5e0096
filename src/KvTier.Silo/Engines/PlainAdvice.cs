namespace KvTier.Silo.Engines;

/// <summary>What to set in an engine whose options are not known here, and in all where nothing is special to one.</summary>
internal static class PlainAdvice
{
    /// <summary>The advice.</summary>
    public static string Of(in EngineQuestion difference) => difference.Field switch
    {
        EngineAdvice.HashAlgorithm => "set one hash algorithm for every engine: keys of different algorithms never meet",
        EngineAdvice.Seed when difference.IsSeedUnset =>
            "set one seed of hashes for every engine, PYTHONHASHSEED=0 where they are Python's: without it they are random in each process",
        EngineAdvice.Seed => "set one seed of hashes for every engine, such as PYTHONHASHSEED=0 where they are Python's",
        EngineAdvice.ProbeHash when difference.RootsAgree =>
            "the same tokens give other hashes: use engines of one version, and a hash that does not depend on what they run on",
        EngineAdvice.ProbeHash => "follows from the hash algorithm or the seed: set both alike for every engine",
        "model_digest" => "serve the same weights in the same revision, or give each model a namespace of its own",
        "dtype" => "set one dtype of the KV cache for every engine, or give each a namespace of its own",
        "layout" => "set one layout of the KV cache for every engine, or give each a namespace of its own",
        "rank" => "give each rank keys or a namespace of its own: ranks hold different bytes under the same hash",
        "world_size" => "set one size of tensor parallelism, or store blocks by KV head so that sizes do not matter",
        "block_tokens" => "set one number of tokens a block for every engine",
        _ => $"set {difference.Field} alike for every engine, or give each a namespace of its own",
    };
}

namespace KvTier.Silo.Engines;

/// <summary>What to set when engines of a namespace differ: in the words of the engine that said hello.</summary>
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

    /// <summary>What to set.</summary>
    /// <param name="difference">In what the engine differs from another one.</param>
    public static string Of(in EngineQuestion difference)
    {
        if (difference.IsOfTwoKinds && difference.Field is HashAlgorithm or ProbeHash)
            return $"{difference.Engine} and {difference.Other} make different keys: give each a namespace of its own";
        string? known = difference.Engine.ToLowerInvariant() switch
        {
            "vllm" => VllmAdvice.Of(difference),
            "sglang" => SglangAdvice.Of(difference),
            "lmcache" => LmcacheAdvice.Of(difference),
            _ => null,
        };
        return known ?? PlainAdvice.Of(difference);
    }
}

/// <summary>A difference for which advice is asked.</summary>
/// <param name="Engine">Kind of the engine that asks, such as <c>vllm</c>.</param>
/// <param name="Other">Kind of the one that it differs from.</param>
/// <param name="Field">In what.</param>
/// <param name="Mine">What the engine said.</param>
/// <param name="Theirs">What the other said.</param>
/// <param name="RootsAgree">True when hash algorithm and seed agree.</param>
internal readonly record struct EngineQuestion(
    string Engine, string Other, string Field, string Mine, string Theirs, bool RootsAgree)
{
    /// <summary>True when one of the two has no seed.</summary>
    public bool IsSeedUnset => Mine == EngineAdvice.Unset || Theirs == EngineAdvice.Unset;

    /// <summary>True for engines that are not of one kind.</summary>
    public bool IsOfTwoKinds => !string.Equals(Engine, Other, StringComparison.OrdinalIgnoreCase);
}

namespace KvTier.Recall;

/// <summary>The order in which an index takes blocks.</summary>
internal static class BlockOrder
{
    /// <summary>Checks that a block is the next one, or the last one anew after it was partly filled.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another one, or has too many tokens or none.</exception>
    internal static void Check(int block, int tokens, long tokensBefore, int blockTokens)
    {
        if (tokens < 1 || tokens > blockTokens) throw new ArgumentOutOfRangeException(nameof(tokens), tokens, $"1 to {blockTokens}");
        long next = tokensBefore / blockTokens;
        if (block != next) throw new ArgumentOutOfRangeException(nameof(block), block, $"{next} comes next");
    }
}

namespace KvTier.Recall;

/// <summary>What is appended.</summary>
/// <param name="Blocks">The blocks in order.</param>
/// <param name="Tokens">Tokens in them.</param>
/// <param name="ReplaceLast">True when the first of them takes the place of the last block.</param>
/// <param name="ExpectedTokens">Tokens that the sequence must have before, -1 for any.</param>
internal sealed record Addition(ReadOnlyMemory<BlockId> Blocks, long Tokens, bool ReplaceLast, long ExpectedTokens)
{
    /// <summary>Blocks that stay.</summary>
    internal int Keep(SequenceState state) => state.Blocks.Count - (ReplaceLast ? 1 : 0);

    /// <summary>True when exactly this has been appended last.</summary>
    internal bool IsDone(SequenceState state)
    {
        int blockTokens = state.Layout.BlockTokens;
        int first = state.Blocks.Count - Blocks.Length;
        if (ExpectedTokens < 0 || ExpectedTokens == state.Tokens || first < 0 || Blocks.Length == 0) return false;
        long kept = ReplaceLast ? ExpectedTokens / blockTokens * blockTokens : ExpectedTokens;
        if (kept + Tokens != state.Tokens || kept != (long)first * blockTokens) return false;
        for (int i = 0; i < Blocks.Length; i++)
        {
            if (state[first + i].Id != Blocks.Span[i]) return false;
        }

        return true;
    }
}

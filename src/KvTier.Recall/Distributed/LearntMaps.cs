namespace KvTier.Recall;

/// <summary>How the values of a sequence follow its keys, as its coordinator has learnt it.</summary>
/// <param name="Digest">The digest that it is for.</param>
/// <param name="Blocks">First blocks that it was learnt from.</param>
/// <param name="Maps">The maps <c>[L · Hkv, D, D]</c>.</param>
internal sealed record LearntMaps(DigestSpec Digest, int Blocks, float[] Maps)
{
    /// <summary>First blocks that a sequence learns from: those with which there were enough tokens, or with which the fit is final.
    /// </summary>
    /// <returns>0 when it does not learn yet.</returns>
    internal static int BlocksOf(DigestSpec digest, SequenceState state)
    {
        BlockLayout layout = state.Layout;
        if (digest.Kind != DigestKind.Moments || !digest.ValueMap || layout.HeadDim > ValueMaps.HeadDimMax) return 0;
        int final = BlocksWith(ValueMaps.TokensMax, digest, state);
        return final > 0 ? final : BlocksWith(ValueMaps.TokensPerChannel * layout.HeadDim, digest, state);
    }

    // Whole chunks count.
    private static int BlocksWith(int tokens, DigestSpec digest, SequenceState state)
    {
        if (state.Tokens / digest.ChunkTokens * digest.ChunkTokens < tokens) return 0;
        int needed = (tokens + digest.ChunkTokens - 1) / digest.ChunkTokens * digest.ChunkTokens;
        return (needed + state.Layout.BlockTokens - 1) / state.Layout.BlockTokens;
    }
}

namespace KvTier.Recall;

/// <summary>The most tokens that a selector allows a KV head.</summary>
internal static class TokenLimit
{
    /// <summary>The most tokens, quarantined chunks aside. For a threshold or a mass it is all tokens.</summary>
    /// <param name="selector">The selector.</param>
    /// <param name="tokens">Tokens of the sequence.</param>
    internal static int Of(Selector selector, long tokens)
    {
        double limit = selector.Budget.Kind switch
        {
            BudgetKind.Tokens => selector.Budget.Value,
            BudgetKind.Share => Math.Floor(selector.Budget.Value * tokens),
            _ => tokens,
        };
        double least = (double)selector.MinChunks * selector.Digest.ChunkTokens;
        return (int)Math.Min(Math.Max(limit, least), tokens);
    }

    /// <summary>True when everything is chosen without a look at a score.</summary>
    internal static bool TakesAll(in SelectRequest request, long tokens) =>
        request.Layer < request.Selector.DenseLayers
        || request.Selector.Budget is { Kind: BudgetKind.Mass, Value: 1 }
        || (request.Selector.Budget.Kind is BudgetKind.Tokens or BudgetKind.Share && Of(request.Selector, tokens) >= tokens);
}

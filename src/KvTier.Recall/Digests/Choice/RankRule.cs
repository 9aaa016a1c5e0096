namespace KvTier.Recall;

/// <summary>How a selector ranks units.</summary>
internal static class RankRule
{
    /// <summary>True when every query head ranks by itself, and they take turns.</summary>
    internal static bool IsUnion(Selector selector) =>
        selector.Reduction == GroupReduction.Union && selector.Budget.Kind is BudgetKind.Tokens or BudgetKind.Share;

    /// <summary>True when ranks are shares of the mass of the whole sequence.</summary>
    internal static bool NeedsMass(Selector selector) =>
        selector.Softmax || selector.Budget.Kind is BudgetKind.Threshold or BudgetKind.Mass;

    /// <summary>
    /// True when parts can rank chunks without the mass of the whole: a chunk's key is the share of one query head, and the mass of the
    /// whole is one factor for all chunks of that head. So the best chunks of a part are among those that are best for one of its heads,
    /// by the masses that it knows.
    /// </summary>
    internal static bool ByHeads(Selector selector, int window) =>
        selector.Softmax && selector.Reduction is (GroupReduction.Max or GroupReduction.Union)
        && selector.Budget.Kind is (BudgetKind.Tokens or BudgetKind.Share)
        && selector.Digest.Kind is not (DigestKind.Centroids or DigestKind.Vq)
        && (window == 1 || selector.Reuse.Kind == ReuseKind.Probe);

    /// <summary>Writes <see cref="ScoreTable.Keys"/> of a table that was scored.</summary>
    internal static void WriteKeys(Selector selector, ScoreTable table)
    {
        switch (selector.Budget.Kind)
        {
            case BudgetKind.Threshold:
                GroupKeys.Write(table, selector.Reduction == GroupReduction.Sum ? GroupReduction.Mean : selector.Reduction, softmax: true);
                break;
            case BudgetKind.Mass:
                GroupKeys.Write(table, GroupReduction.Sum, softmax: true);
                break;
            default:
                GroupKeys.Write(table, selector.Reduction, selector.Softmax);
                break;
        }
    }
}

namespace KvTier.Recall;

/// <summary>Chooses the units of a recall over several silos.</summary>
internal sealed class SpreadChoice(SpreadRecall run, PartCaller caller, PartBuilder builder)
{
    /// <summary>Chooses for every item.</summary>
    internal ValueTask<KvError?> ChooseAsync(Deadline deadline)
    {
        _ = (caller, builder);
        foreach (SpreadItem item in run.Items)
        {
            if (item.TakesAll) item.Choice = All(item);
            else return new ValueTask<KvError?>(new KvError(ErrorCode.Unsupported, "selector", "a budget", "all"));
        }

        return default;
    }

    private Selection All(SpreadItem item)
    {
        int[] units = [.. Enumerable.Range(0, item.Units)];
        var all = new Selection(run.Layout.KvHeads) { UnitTokens = item.UnitTokens };
        for (int head = 0; head < all.KvHeads; head++) all.Set(head, units);
        return all;
    }
}

namespace KvTier.Cluster;

/// <summary>
/// Deals with values of mutable namespaces that were left here from an earlier time, when their groups come to this silo again: the owner
/// in between may have changed them. Those that nobody can vouch for any more are dropped.
/// </summary>
internal sealed class MutableCleaner(NodeContext node, MutableState state, MutableValues values)
{
    private const int WalkMax = 256;

    private static readonly TimeSpan retry = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan tick = TimeSpan.FromMilliseconds(500);

    private readonly NodeSignal wake = new(node.Time);

    /// <summary>Wakes the loop: the map has changed, or it is to end.</summary>
    public void Wake() => wake.Set();

    /// <summary>Runs until the node stops.</summary>
    public async Task RunAsync()
    {
        while (!node.IsStopping)
        {
            OwnershipHistory.Gain[] gains = state.Gains;
            if (gains.Length > 0)
            {
                if (await CleanAsync()) state.Cleaned(gains);
                else await node.PauseAsync(retry);
            }

            await wake.WaitAsync(state.TryCalm() ? TimeSpan.FromHours(1) : tick);
        }
    }

    private async ValueTask<bool> CleanAsync()
    {
        bool clean = true;
        if (!node.Store.Namespaces.Any(ns => ns.IsMutable)) return true;
        var found = new WalkedBlock[WalkMax];
        long cursor = 0;
        do
        {
            cursor = node.Store.Walk(cursor, found, out int count);
            foreach (IGrouping<ushort, WalkedBlock> some in found.Take(count).GroupBy(block => block.Namespace).ToList())
            {
                if (node.NamespaceOf(some.Key) is not { IsMutable: true }) continue;
                List<BlockId> doubtful = [.. some.Select(block => block.Id).Where(id => state.IsInDoubt(some.Key, id))];
                if (doubtful.Count > 0) clean &= await values.ResolveAsync(some.Key, doubtful);
            }

            await Task.Yield();
        }
        while (cursor != 0 && !node.IsStopping);
        return clean && !node.IsStopping;
    }
}

namespace KvTier.Cluster;

/// <summary>
/// Drops values of mutable namespaces that were left here from an earlier time, when their groups come to this silo again: the owner in
/// between may have changed them.
/// </summary>
internal sealed class MutableCleaner(NodeContext node, MutableState state)
{
    private const int WalkMax = 256;

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
                if (!await CleanAsync(gains)) continue;
                state.Cleaned(gains);
            }

            await wake.WaitAsync(state.TryCalm() ? TimeSpan.FromHours(1) : tick);
        }
    }

    private async ValueTask<bool> CleanAsync(OwnershipHistory.Gain[] gains)
    {
        if (!node.Store.Namespaces.Any(ns => ns.IsMutable)) return true;
        var found = new WalkedBlock[WalkMax];
        long cursor = 0;
        do
        {
            cursor = node.Store.Walk(cursor, found, out int count);
            for (int i = 0; i < count; i++)
            {
                if (node.NamespaceOf(found[i].Namespace) is { IsMutable: true })
                    state.DropDoubtful(found[i].Namespace, found[i].Id, gains);
            }

            await Task.Yield();
        }
        while (cursor != 0 && !node.IsStopping);
        return !node.IsStopping;
    }
}

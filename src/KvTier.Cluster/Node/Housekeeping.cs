namespace KvTier.Cluster;

/// <summary>Ends what lasts for a time only: copies of groups that are not read so much any more, room that was kept in vain.</summary>
internal sealed class Housekeeping(NodeContext node, HotHeld hot, Reservations reservations, HandOverLoop handOver)
{
    private static readonly TimeSpan every = TimeSpan.FromSeconds(2);

    /// <summary>Runs until the node stops.</summary>
    public async Task RunAsync()
    {
        while (!node.IsStopping)
        {
            await node.PauseAsync(every);
            foreach (BlockId group in hot.TakeCooled()) handOver.Owe(group);
            foreach (BlockId group in reservations.TakeUnused(node.Map)) handOver.Owe(group);
        }
    }
}

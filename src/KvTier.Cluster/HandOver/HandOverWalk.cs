namespace KvTier.Cluster;

/// <summary>One walk over this silo's blocks under one map.</summary>
internal sealed class HandOverWalk(NodeContext node, HotHeld hot, Reservations reservations, WalkPlan plan, HandOverStep step)
{
    private const int WalkMax = 256;

    private readonly WalkedBlock[] found = new WalkedBlock[WalkMax];
    private readonly Dictionary<ushort, HandOverBatch> batches = [];
    private readonly int self = plan.Now.IndexOf(node.Self);
    private bool complete = true;

    /// <summary>Walks.</summary>
    /// <returns>True when all that this silo has is with those that are to have it, and nowhere else.</returns>
    public async ValueTask<bool> RunAsync()
    {
        NodeCounters counters = node.Counters;
        long cursor = 0;
        do
        {
            cursor = node.Store.Walk(cursor, found, out int count);
            NodeCounters.Add(ref counters.WalkedBlocks, count);
            for (int i = 0; i < count; i++)
            {
                if (Take(found[i]) is not { IsFull: true } batch) continue;
                await FlushAsync(batch);
            }

            if (node.IsStopping || node.Map.Epoch != plan.Now.Epoch) return false;
            await Task.Yield();
        }
        while (cursor != 0);
        foreach (HandOverBatch batch in batches.Values.ToList()) await FlushAsync(batch);
        return complete && !node.IsStopping;
    }

    /// <summary>Puts a block into the batch of its namespace, if there is anything to be done about it.</summary>
    private HandOverBatch? Take(in WalkedBlock block)
    {
        if (node.NamespaceOf(block.Namespace) is not { } descriptor) return null;
        int copies = plan.Now.Settings.ReplicasOf(descriptor);
        if (!plan.IsToDo(block.Group, block.Namespace, descriptor)) return null;
        Holders holders = Holders.Of(plan.Now, copies, block.Group);
        int rank = holders.RankOf(self);
        if (holders.Count == 0 || (holders.Count == 1 && rank == 0)) return null;
        if (rank < 0 && (hot.Holds(block.Group) || reservations.Holds(block.Group, plan.Now))) return null;
        if (!batches.TryGetValue(block.Namespace, out HandOverBatch? batch))
        {
            batch = new HandOverBatch(plan.Now, block.Namespace, descriptor);
            batches.Add(block.Namespace, batch);
        }

        batch.Add(block, holders, rank);
        return batch;
    }

    private async ValueTask FlushAsync(HandOverBatch batch)
    {
        if (batch.Count > 0 && !node.IsStopping) complete &= await step.RunAsync(batch);
        batch.Clear();
    }
}

namespace KvTier.Cluster;

/// <summary>
/// The maps since the last one under which this silo handed everything over. A group whose holders were the same in all of them has
/// nothing to be done: nobody had a reason to drop it in between. Thread-safe.
/// </summary>
internal sealed class MapHistory
{
    /// <summary>Most maps that are kept; with more changes than that a walk skips nothing.</summary>
    private const int MapsMax = 16;

    /// <summary>Most groups that are remembered as owed; with more a walk skips nothing.</summary>
    private const int OwedMax = 8192;

    private readonly Lock gate = new();
    private readonly List<ClusterMap> maps = [];
    private readonly HashSet<BlockId> owed = [];
    private bool full = true;

    /// <summary>Notes a map that this silo has taken over.</summary>
    public void Seen(ClusterMap map)
    {
        lock (gate)
        {
            if (maps.Count > 0 && maps[^1].Epoch >= map.Epoch) return;
            maps.Add(map);
            if (maps.Count <= MapsMax) return;
            maps.RemoveRange(0, maps.Count - 1);
            full = true;
        }
    }

    /// <summary>Asks for a walk that skips nothing.</summary>
    public void OweAll()
    {
        lock (gate) full = true;
    }

    /// <summary>Asks for a group to be looked at although its holders are the same.</summary>
    public void Owe(BlockId group)
    {
        lock (gate)
        {
            if (full) return;
            if (owed.Count < OwedMax) owed.Add(group);
            else full = true;
        }
    }

    /// <summary>True when a walk is needed for nothing but groups that are owed.</summary>
    public bool IsOnlyOwed(ClusterMap now)
    {
        lock (gate) return !full && owed.Count > 0 && maps.Count > 0 && maps[0].Epoch == now.Epoch;
    }

    /// <summary>Says what a walk under a map is to look at; null when there is nothing to do.</summary>
    public WalkPlan? Plan(ClusterMap now)
    {
        lock (gate)
        {
            if (!full && owed.Count == 0 && maps.Count > 0 && maps[0].Epoch == now.Epoch) return null;
            var plan = new WalkPlan(now, [.. maps.Where(map => map.Epoch < now.Epoch)], full, new HashSet<BlockId>(owed));
            full = false;
            owed.Clear();
            return plan;
        }
    }

    /// <summary>A walk came to its end with everything handed over.</summary>
    public void Completed(WalkPlan plan)
    {
        lock (gate)
        {
            maps.RemoveAll(map => map.Epoch < plan.Now.Epoch);
            if (maps.Count == 0) maps.Add(plan.Now);
        }
    }

    /// <summary>A walk did not: what it was to look at is still owed.</summary>
    public void Failed(WalkPlan plan)
    {
        lock (gate)
        {
            full |= plan.IsFull || owed.Count + plan.Owed.Count > OwedMax;
            if (!full) owed.UnionWith(plan.Owed);
        }
    }
}

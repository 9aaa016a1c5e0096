namespace KvTier.Cluster;

/// <summary>Finds the silos that may have blocks of a group that its owner does not have (yet). Thread-safe.</summary>
internal sealed class EarlierHolders(NodeContext node, Settling settling)
{
    /// <summary>Most silos that a miss asks.</summary>
    private const int Most = 6;

    /// <summary>Most joins that are looked behind.</summary>
    private const int JoinsMax = 3;

    private Shadow? shadow;

    /// <summary>
    /// The silos to be asked, likeliest first: where the group was moved from, its other holders, its holders before silos joined, and
    /// as if none drained and nothing was moved. Silos that have handed everything over are left out.
    /// </summary>
    public List<SiloEntry> Of(ClusterMap map, int copies, BlockId group)
    {
        var found = new List<SiloEntry>(Most);
        if (settling.MovedFrom(group) is { } from && map.IndexOf(from) is >= 0 and var index) Add(found, map.Silos[index], always: true);
        AddHolders(found, map, copies + 1, group, long.MaxValue);
        Shadow before = ShadowOf(map);
        foreach (long joined in before.Joins) AddHolders(found, map, copies, group, joined);
        AddHolders(found, before.Undrained, copies, group, long.MaxValue);
        foreach (long joined in before.Joins) AddHolders(found, before.Undrained, copies, group, joined);
        return found;
    }

    private void AddHolders(List<SiloEntry> found, ClusterMap map, int copies, BlockId group, long joinedBefore)
    {
        Holders holders = Holders.Of(map, copies, group, joinedBefore);
        for (int rank = 0; rank < holders.Count; rank++) Add(found, map.Silos[holders[rank]], always: false);
    }

    private void Add(List<SiloEntry> found, SiloEntry silo, bool always)
    {
        if (found.Count == Most || silo.Name == node.Self || found.Exists(other => other.Name == silo.Name)) return;
        if (always || settling.IsUnsettled(silo.Name)) found.Add(silo);
    }

    private Shadow ShadowOf(ClusterMap map)
    {
        Shadow? last = Volatile.Read(ref shadow);
        if (last is not null && ReferenceEquals(last.Map, map)) return last;
        var undrained = new ClusterMap(
            map.Cluster, map.Epoch, map.MembersEpoch, map.Silos.Select(silo => silo with { Draining = false }), map.Settings,
            new Dictionary<BlockId, string>());
        long[] joins = [.. map.Silos.Select(silo => silo.JoinedEpoch).Distinct().OrderDescending().Take(JoinsMax)];
        last = new Shadow(map, undrained, joins);
        Volatile.Write(ref shadow, last);
        return last;
    }

    private sealed record Shadow(ClusterMap Map, ClusterMap Undrained, long[] Joins);
}

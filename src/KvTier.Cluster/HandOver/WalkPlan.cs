namespace KvTier.Cluster;

/// <summary>What a walk is to look at.</summary>
/// <param name="Now">The map that it makes true.</param>
/// <param name="Before">The maps since the last walk that came to its end, oldest first.</param>
/// <param name="IsFull">True when nothing is skipped.</param>
/// <param name="Owed">Groups to be looked at although their holders are the same.</param>
internal sealed record WalkPlan(ClusterMap Now, IReadOnlyList<ClusterMap> Before, bool IsFull, IReadOnlySet<BlockId> Owed)
{
    /// <summary>Most answers that are remembered; blocks of a group lie all over the index.</summary>
    private const int KnownMax = 1 << 20;

    private readonly Dictionary<(BlockId Group, ushort Namespace), bool> known = [];
    private readonly HashSet<BlockId>? moved = MovedOnly(Now, Before);

    /// <summary>True when a group's holders are not the same in all maps, or something of it is owed.</summary>
    public bool IsToDo(BlockId group, ushort handle, NamespaceDescriptor ns)
    {
        if (IsFull || Owed.Contains(group)) return true;
        if (moved is not null) return moved.Contains(group);
        if (known.TryGetValue((group, handle), out bool changed)) return changed;
        changed = Before.Any(map => !AreSame(map, Now, group, ns));
        if (known.Count < KnownMax) known.Add((group, handle), changed);
        return changed;
    }

    /// <summary>The groups whose entries differ, when nothing but entries has changed; else null.</summary>
    private static HashSet<BlockId>? MovedOnly(ClusterMap now, IReadOnlyList<ClusterMap> before)
    {
        var groups = new HashSet<BlockId>();
        foreach (ClusterMap map in before)
        {
            if (map.MembersEpoch != now.MembersEpoch || !ReferenceEquals(map.Settings, now.Settings)) return null;
            foreach ((BlockId group, string silo) in map.Moved)
            {
                if (now.Moved.GetValueOrDefault(group) != silo) groups.Add(group);
            }

            foreach (BlockId group in now.Moved.Keys)
            {
                if (!map.Moved.ContainsKey(group)) groups.Add(group);
            }
        }

        return groups;
    }

    private static bool AreSame(ClusterMap map, ClusterMap now, BlockId group, NamespaceDescriptor ns)
    {
        Holders before = Holders.Of(map, map.Settings.ReplicasOf(ns), group);
        Holders after = Holders.Of(now, now.Settings.ReplicasOf(ns), group);
        if (before.Count != after.Count) return false;
        for (int i = 0; i < after.Count; i++)
        {
            SiloEntry silo = now.Silos[after[i]];
            bool found = false;
            for (int j = 0; j < before.Count && !found; j++)
            {
                SiloEntry other = map.Silos[before[j]];
                found = other.Name == silo.Name && other.JoinedEpoch == silo.JoinedEpoch;
            }

            if (!found) return false;
        }

        return true;
    }
}

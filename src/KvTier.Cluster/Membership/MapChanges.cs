namespace KvTier.Cluster;

/// <summary>Questions about two maps, and the changes that membership makes. Pure.</summary>
internal static class MapChanges
{
    /// <summary>
    /// True when a silo may own a group in the later map that it did not own in the earlier one. Silos that join or stop draining only take
    /// from others; so does a moved group from all but its new owner.
    /// </summary>
    public static bool MayGain(ClusterMap before, ClusterMap after, string self)
    {
        int mine = after.IndexOf(self);
        if (mine < 0) return false;
        int old = before.IndexOf(self);
        if (old < 0 || Grows(before.Silos[old], after.Silos[mine])) return true;
        foreach (SiloEntry silo in before.Silos)
        {
            if (silo.Name == self) continue;
            int index = after.IndexOf(silo.Name);
            if (index < 0 || Grows(after.Silos[index], silo)) return true;
        }

        return !ReferenceEquals(before.Moved, after.Moved) && (before.Moved.Keys.Any(Gained) || after.Moved.Keys.Any(Gained));

        bool Gained(BlockId group) =>
            before.Moved.GetValueOrDefault(group) != after.Moved.GetValueOrDefault(group)
            && after.OwnerOf(group) == mine && before.OwnerOf(group) != old;
    }

    /// <summary>The change by which a silo joins.</summary>
    /// <param name="map">The map.</param>
    /// <param name="self">The silo.</param>
    /// <param name="known">The highest epoch that the silo knows of; the change makes a higher one.</param>
    public static ClusterChange Join(ClusterMap map, SiloEntry self, long known)
    {
        var change = new ClusterChange(map.Epoch) { AtLeast = known + 1 };
        return change with
        {
            Silos = [.. map.Silos.Where(silo => silo.Name != self.Name), self with { JoinedEpoch = change.Makes }],
        };
    }

    /// <summary>The change by which silos are no members any more.</summary>
    public static ClusterChange Remove(ClusterMap map, IReadOnlyCollection<string> names) => new(map.Epoch)
    {
        Silos = [.. map.Silos.Where(silo => !names.Contains(silo.Name))],
    };

    /// <summary>True when a map is what a change makes, whoever made it.</summary>
    public static bool Holds(ClusterMap map, ClusterChange change)
    {
        if (map.Epoch <= change.Epoch) return false;
        if (change.Silos is { } silos && !silos.OrderBy(silo => silo.Name, StringComparer.Ordinal).SequenceEqual(map.Silos)) return false;
        if (change.Settings is { } settings && !Same(settings, map.Settings)) return false;
        return change.Moved is null || change.Moved.All(entry => map.Moved.GetValueOrDefault(entry.Key) == entry.Value);
    }

    /// <summary>True when a silo of the second form takes more than in the first.</summary>
    private static bool Grows(SiloEntry before, SiloEntry after) =>
        after.CapacityBytes > before.CapacityBytes || (before.Draining && !after.Draining);

    private static bool Same(ClusterSettings one, ClusterSettings other) =>
        one.Replicas == other.Replicas && one.NamespaceReplicas.Count == other.NamespaceReplicas.Count
        && one.NamespaceReplicas.All(each => other.NamespaceReplicas.TryGetValue(each.Key, out int replicas) && replicas == each.Value);
}

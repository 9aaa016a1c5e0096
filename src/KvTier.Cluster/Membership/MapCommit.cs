namespace KvTier.Cluster;

/// <summary>What a change makes of a map: the same for every engine.</summary>
public static class MapCommit
{
    /// <summary>Makes the next map.</summary>
    /// <param name="map">The map that the change's author saw.</param>
    /// <param name="change">The change.</param>
    /// <returns>
    /// The map with the epoch that the change makes; <see cref="ErrorCode.Conflict"/> when the map is of another epoch than the change.
    /// </returns>
    public static Result<ClusterMap> Apply(ClusterMap map, ClusterChange change)
    {
        if (map.Epoch != change.Epoch) return OtherEpoch(change.Epoch, map.Epoch);
        if (Validate(change) is { } error) return error;
        long epoch = change.Makes;
        bool ofMembers = change.Silos is not null || change.Settings is not null;
        return new ClusterMap(
            map.Cluster, epoch, ofMembers ? epoch : map.MembersEpoch, change.Silos ?? map.Silos, change.Settings ?? map.Settings,
            change.Moved is { Count: > 0 } moved ? Merge(map.Moved, moved) : map.Moved);
    }

    /// <summary>Checks a change.</summary>
    /// <returns>Null when it can be made.</returns>
    public static KvError? Validate(ClusterChange change)
    {
        if (change.Moved is { } moved && moved.Count > ClusterChange.MovedMax)
            return KvError.LimitExceeded("change.moved", moved.Count, ClusterChange.MovedMax);
        if (change.Silos is { } silos)
        {
            if (silos.Count > ClusterMap.SilosMax) return KvError.LimitExceeded("change.silos", silos.Count, ClusterMap.SilosMax);
            if (silos.Select(silo => silo.Name).Distinct(StringComparer.Ordinal).Count() != silos.Count)
                return KvError.InvalidArgument("change.silos", "a name twice", "each silo once");
        }

        return change.Settings?.Validate();
    }

    /// <summary>The epoch was another one than the author of a change thought.</summary>
    public static KvError OtherEpoch(long wanted, long found) => new(
        ErrorCode.Conflict, "change.epoch", wanted.ToString(System.Globalization.CultureInfo.InvariantCulture),
        found.ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static Dictionary<BlockId, string> Merge(IReadOnlyDictionary<BlockId, string> old, IReadOnlyDictionary<BlockId, string?> moved)
    {
        var merged = new Dictionary<BlockId, string>(old);
        foreach ((BlockId group, string? silo) in moved)
        {
            if (silo is null) merged.Remove(group);
            else merged[group] = silo;
        }

        return merged;
    }
}

namespace KvTier.Cluster;

/// <summary>
/// What this silo knows of its own share since all silos had handed over: the maps since then, and which groups came to it anew. Values
/// that were here when their group came were left from an earlier time and may be old. Not thread-safe: part of <see cref="MutableState"/>.
/// </summary>
internal sealed class OwnershipHistory(string self)
{
    /// <summary>Most maps; beyond that those in the middle are forgotten, which may cost a value but never brings an old one.</summary>
    private const int MapsMax = 64;

    private readonly List<ClusterMap> maps = [];
    private readonly List<Gain> gains = [];
    private bool wasAway;
    private bool wasCut;

    /// <summary>The newest map that was noted; null before the first.</summary>
    public ClusterMap? Newest => maps.Count > 0 ? maps[^1] : null;

    /// <summary>True when some values here may be old ones.</summary>
    public bool HasGains => gains.Count > 0;

    /// <summary>True when nothing is to be looked at: one map, and nothing in doubt under it.</summary>
    public bool IsCalm => maps.Count == 1 && gains.Count == 0 && !wasAway;

    /// <summary>What is in doubt now, to be given to <see cref="Cleaned"/> when it is cleaned up.</summary>
    public Gain[] Gains => [.. gains];

    /// <summary>Notes a change of the map.</summary>
    /// <param name="before">The map before.</param>
    /// <param name="after">The map from now on.</param>
    /// <param name="wasQuiet">True when all silos had handed over under the map before.</param>
    public void Change(ClusterMap before, ClusterMap after, bool wasQuiet)
    {
        bool comes = before.IndexOf(self) < 0 ? before.Epoch > 0 || after.IndexOf(self) < 0 : IsStartedAnew(before, after);
        if (comes)
        {
            // Others owned everything in between, or this silo is new.
            maps.Clear();
            maps.Add(after);
            gains.Clear();
            gains.Add(new Gain(null, after));
            wasAway = true;
            wasCut = false;
            return;
        }

        if (wasQuiet && gains.Count == 0) Calm(before);
        if (maps.Count == 0 && before.Epoch > 0) maps.Add(before);
        maps.Add(after);
        if (maps.Count > MapsMax)
        {
            maps.RemoveAt(1);
            wasCut = true;
        }

        if (before.Epoch > 0 && MapChanges.MayGain(before, after, self)) gains.Add(new Gain(before, after));
    }

    /// <summary>
    /// True when a silo that ended was started again before anybody took it out of the map: what it had in memory is gone, and what it
    /// has on its SSD may be older. Alone in the map it has the newest there is, as a silo outside of a cluster has.
    /// </summary>
    private bool IsStartedAnew(ClusterMap before, ClusterMap after) => before.Silos.Count > 1 && after.IndexOf(self) is >= 0 and var index
        && after.Silos[index].JoinedEpoch != before.Silos[before.IndexOf(self)].JoinedEpoch;

    /// <summary>All silos have handed over under a map: what was before it does not matter any more.</summary>
    public void Calm(ClusterMap map)
    {
        maps.Clear();
        maps.Add(map);
        wasAway = false;
        wasCut = false;
    }

    /// <summary>What came anew with these changes is cleaned up.</summary>
    public void Cleaned(Gain[] done) => gains.RemoveAll(gain => Array.IndexOf(done, gain) >= 0);

    /// <summary>True when a value of a group that is here may be an old one.</summary>
    /// <param name="group">The group.</param>
    /// <param name="rightSince">Epoch in which it was last known to be right; 0 for never.</param>
    /// <param name="some">What came to this silo; null for what is in doubt now.</param>
    public bool IsInDoubt(BlockId group, long rightSince, Gain[]? some = null)
    {
        foreach (Gain gain in some ?? (IEnumerable<Gain>)gains)
        {
            if (rightSince >= gain.After.Epoch) continue;
            if (gain.Before is null || (Owns(gain.After, group) && !Owns(gain.Before, group))) return true;
        }

        return false;
    }

    /// <summary>
    /// The silos that owned a group between this silo's last time and now: if none of them has changed a value, the one that is left here
    /// from then is right.
    /// </summary>
    /// <returns>Those silos and the last epoch of that time; null when it is not known who they were.</returns>
    public (List<SiloEntry> Between, long OwnedAt)? Between(BlockId group)
    {
        if (wasCut) return null;
        var between = new List<SiloEntry>();
        int at = maps.Count - 1;
        while (at >= 0 && Owns(maps[at], group)) at--;
        for (; at >= 0; at--)
        {
            if (Owns(maps[at], group)) return (between, maps[at].Epoch);
            int owner = maps[at].OwnerOf(group);
            if (owner >= 0) between.Add(maps[at].Silos[owner]);
        }

        return null;
    }

    /// <summary>True when this silo owns a group by the newest map that was noted.</summary>
    public bool OwnsNow(BlockId group) => maps.Count > 0 && Owns(maps[^1], group);

    /// <summary>True when this silo did not own a group in all maps since an epoch.</summary>
    public bool IsNew(BlockId group, long since = 0)
    {
        if (since == 0 && wasAway) return true;
        foreach (ClusterMap map in maps)
        {
            if (map.Epoch >= since && !Owns(map, group)) return true;
        }

        return false;
    }

    /// <summary>The newest epoch in which this silo owned a group, and whether from the oldest known map on; 0 for none.</summary>
    public (long Epoch, bool AllAlong) OwnedAt(BlockId group)
    {
        int last = maps.FindLastIndex(map => Owns(map, group));
        if (last < 0) return (0, false);
        return (maps[last].Epoch, !wasAway && maps.Take(last).All(map => Owns(map, group)));
    }

    private bool Owns(ClusterMap map, BlockId group) => map.OwnerOf(group) is >= 0 and var owner && map.Silos[owner].Name == self;

    /// <summary>A change of the map by which groups came to this silo.</summary>
    /// <param name="Before">The map before; null when it was no member, and all groups came.</param>
    /// <param name="After">The map after.</param>
    internal sealed record Gain(ClusterMap? Before, ClusterMap After);
}

namespace KvTier.Cluster;

/// <summary>What an <see cref="Authority"/> last decided. Immutable, so that it is read without a lock.</summary>
/// <param name="Until">When the right to change anything ends.</param>
/// <param name="SettledFrom">From when on it is the right to change all that the map gives.</param>
/// <param name="OwnedIn">Maps in all of which a group must have been the silo's own to be changed before that; null for none.</param>
internal sealed record Grant(TimeSpan Until, TimeSpan SettledFrom, IReadOnlyList<ClusterMap>? OwnedIn)
{
    /// <summary>No right at all.</summary>
    public static readonly Grant None = new(TimeSpan.MinValue, TimeSpan.MaxValue, null);

    /// <summary>True while the right lasts.</summary>
    public bool Holds(TimeSpan now) => now < Until;

    /// <summary>True from when all other silos had the newest map.</summary>
    public bool IsSettled(TimeSpan now) => now >= SettledFrom;

    /// <summary>True when a group has been the silo's since before the changes that others may not know of yet.</summary>
    public bool WasOwnedAllAlong(string self, BlockId group)
    {
        if (OwnedIn is null) return false;
        foreach (ClusterMap map in OwnedIn)
        {
            if (map.OwnerOf(group) is var owner && (owner < 0 || owner != map.IndexOf(self))) return false;
        }

        return true;
    }
}

namespace KvTier.Cluster;

/// <summary>
/// What a silo owns newly, and who must know of it before it may change that: all other silos of the map. Not thread-safe: part of an
/// <see cref="Authority"/>.
/// </summary>
/// <param name="self">Name of the silo.</param>
internal sealed class Takeover(string self)
{
    /// <summary>
    /// Changes of the map that may be waited for at once; above it nothing may be changed before the others know the newest.
    /// </summary>
    private const int MapsMax = 8;

    private readonly Dictionary<string, long> acknowledged = new(StringComparer.Ordinal);
    private List<ClusterMap>? ownedIn;
    private long gainEpoch;
    private bool complete;
    private bool settledOnce;
    private TimeSpan notBefore = TimeSpan.MinValue;

    /// <summary>From when on all others have the map and nobody counts on older words; the end of time while that is open.</summary>
    public TimeSpan SettledFrom => complete ? notBefore : TimeSpan.MaxValue;

    /// <summary>Maps in all of which a group must have been the silo's to be changed before that; null for nothing.</summary>
    public IReadOnlyList<ClusterMap>? OwnedIn => ownedIn is { Count: <= MapsMax } ? [.. ownedIn] : null;

    /// <summary>True when all others knew at some time since this silo joined what it owned then.</summary>
    public bool HasSettled(TimeSpan now) => settledOnce || IsSettled(now);

    /// <summary>The map has changed, or this silo has joined.</summary>
    /// <param name="before">The map before.</param>
    /// <param name="after">The map from now on.</param>
    /// <param name="sameStart">True when the silo was in the map before, in the same start.</param>
    /// <param name="now">The time.</param>
    /// <param name="free">When nobody counts on a word of this silo any more.</param>
    public void Change(ClusterMap before, ClusterMap after, bool sameStart, TimeSpan now, TimeSpan free)
    {
        bool settled = IsSettled(now);
        settledOnce = sameStart && (settledOnce || settled);
        bool gains = !sameStart || MapChanges.MayGain(before, after, self);
        if (settled && !gains) return;
        if (!sameStart) ownedIn = null;
        else if (settled) ownedIn = [before];
        else if (ownedIn?.Count <= MapsMax) ownedIn.Add(before);
        if (gains)
        {
            gainEpoch = after.Epoch;
            if (free > notBefore) notBefore = free;
        }

        complete = !FindMissing(after).Any();
    }

    /// <summary>
    /// A silo has told its epoch. One that this silo's map is not at yet says nothing: what comes between is not known here.
    /// </summary>
    /// <param name="map">The map of this silo.</param>
    /// <param name="by">The other's name.</param>
    /// <param name="epoch">Its epoch.</param>
    /// <param name="free">When nobody counts on a word of it any more.</param>
    public void Acknowledge(ClusterMap map, string by, long epoch, TimeSpan free)
    {
        if (complete || epoch > map.Epoch || epoch < gainEpoch) return;
        acknowledged[by] = epoch;
        if (free > notBefore) notBefore = free;
        complete = !FindMissing(map).Any();
    }

    /// <summary>Silos that have not told yet that they know what this one owns.</summary>
    public IEnumerable<SiloEntry> Missing(ClusterMap map) => complete ? [] : FindMissing(map);

    private bool IsSettled(TimeSpan now) => complete && now >= notBefore;

    private IEnumerable<SiloEntry> FindMissing(ClusterMap map) =>
        map.Silos.Where(silo => silo.Name != self
            && acknowledged.GetValueOrDefault(silo.Name) is var epoch && (epoch < gainEpoch || epoch < silo.JoinedEpoch));
}

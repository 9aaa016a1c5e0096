namespace KvTier.Cluster;

/// <summary>
/// The words that silos give each other while the engine is away: those this one got, those it gave, and whose it needs. Not thread-safe:
/// part of an <see cref="Authority"/>.
/// </summary>
/// <param name="self">Name of the silo.</param>
/// <param name="ttl">Its lease.</param>
internal sealed class Confirmations(string self, TimeSpan ttl)
{
    /// <summary>Silos up to which a confirmation lasts for its shortest time; more are asked less often.</summary>
    private const int SilosOfShortLife = 200;

    private readonly Dictionary<string, TimeSpan> taken = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> met = new(StringComparer.Ordinal);
    private TimeSpan givenUntil = TimeSpan.MinValue;

    /// <summary>How long a confirmation counts: a third of the lease but at most 1 s; longer with more than 200 silos.</summary>
    public static TimeSpan LifeOf(TimeSpan ttl, int silos)
    {
        TimeSpan life = ttl / 3 < TimeSpan.FromSeconds(1) ? ttl / 3 : TimeSpan.FromSeconds(1);
        return silos <= SilosOfShortLife ? life : life * ((double)silos / SilosOfShortLife);
    }

    /// <summary>Gives one.</summary>
    /// <returns>How long it counts.</returns>
    public TimeSpan Give(ClusterMap map, TimeSpan now)
    {
        TimeSpan life = LifeOf(ttl, map.Silos.Count);
        if (now + life > givenUntil) givenUntil = now + life;
        return life;
    }

    /// <summary>How long until none that was given counts any more.</summary>
    public TimeSpan GivenLeft(TimeSpan now) => givenUntil > now ? givenUntil - now : TimeSpan.Zero;

    /// <summary>Takes one, or a refusal when its life is not above zero. A tenth is left off, for clocks of different speeds.</summary>
    public void Take(string by, TimeSpan sent, TimeSpan life)
    {
        if (life <= TimeSpan.Zero) taken.Remove(by);
        else taken[by] = sent + life * 0.9;
    }

    /// <summary>Forgets those that were taken: they were about another map.</summary>
    public void Clear() => taken.Clear();

    /// <summary>Notes a silo that is about to join.</summary>
    public void Meet(string name, long revision) => met[name] = Math.Max(revision, met.GetValueOrDefault(name));

    /// <summary>Forgets silos that were about to join and have joined or are gone.</summary>
    public void Forget(ClusterState state)
    {
        if (met.Count == 0) return;
        foreach ((string name, long revision) in met.ToArray())
        {
            bool known = state.Map.IndexOf(name) >= 0;
            bool gone = state.Revision >= revision && !state.Alive.Any(silo => silo.Name == name);
            if (known || gone) met.Remove(name);
        }
    }

    /// <summary>Names of those whose word is needed: the others of the map and those about to join it.</summary>
    public IEnumerable<string> Needed(ClusterMap map) =>
        map.Silos.Select(silo => silo.Name).Where(name => name != self).Concat(met.Keys.Where(name => map.IndexOf(name) < 0));

    /// <summary>Until when all whose word is needed stand by it; the end of time when there are no others.</summary>
    public TimeSpan Until(ClusterMap map)
    {
        TimeSpan until = TimeSpan.MaxValue;
        foreach (string name in Needed(map))
        {
            if (!taken.TryGetValue(name, out TimeSpan end)) return TimeSpan.MinValue;
            if (end < until) until = end;
        }

        return until;
    }
}

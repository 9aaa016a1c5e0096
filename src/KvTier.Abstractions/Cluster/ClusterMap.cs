namespace KvTier;

/// <summary>
/// The cluster at one epoch: its silos, its settings and the groups that were moved away from where hashing puts them. Immutable. Whoever
/// has the same map computes the same owners.
/// </summary>
public sealed class ClusterMap
{
    /// <summary>Most silos of a cluster.</summary>
    public const int SilosMax = 4096;

    private readonly ulong[] seeds;
    private readonly double[] weights;
    private readonly int[] zones;
    private readonly int holders;
    private readonly Dictionary<string, int> indexes;

    /// <summary>Makes a map.</summary>
    /// <param name="cluster">Name of the cluster.</param>
    /// <param name="epoch">Number of this state; every change of members or moved groups makes the next one.</param>
    /// <param name="membersEpoch">Epoch of the last change of members.</param>
    /// <param name="silos">The silos, in any order.</param>
    /// <param name="settings">What holds for all.</param>
    /// <param name="moved">Groups that were moved, with the name of their silo. Kept, not copied.</param>
    public ClusterMap(
        string cluster, long epoch, long membersEpoch, IEnumerable<SiloEntry> silos, ClusterSettings settings,
        IReadOnlyDictionary<BlockId, string> moved)
    {
        Cluster = cluster;
        Epoch = epoch;
        MembersEpoch = membersEpoch;
        Silos = [.. silos.OrderBy(silo => silo.Name, StringComparer.Ordinal)];
        Settings = settings;
        Moved = moved;
        seeds = [.. Silos.Select(silo => Rendezvous.SeedOf(silo.Name))];
        weights = [.. Silos.Select(silo => (double)Math.Max(1, silo.CapacityBytes))];
        string[] zoneNames = [.. Silos.Select(silo => silo.Zone).Distinct(StringComparer.Ordinal)];
        zones = [.. Silos.Select(silo => Array.IndexOf(zoneNames, silo.Zone))];
        holders = Silos.Count(silo => !silo.Draining);
        indexes = Silos.Index().ToDictionary(each => each.Item.Name, each => each.Index, StringComparer.Ordinal);
    }

    /// <summary>Name of the cluster.</summary>
    public string Cluster { get; }

    /// <summary>Number of this state.</summary>
    public long Epoch { get; }

    /// <summary>Epoch of the last change of members.</summary>
    public long MembersEpoch { get; }

    /// <summary>The silos by name.</summary>
    public IReadOnlyList<SiloEntry> Silos { get; }

    /// <summary>What holds for all.</summary>
    public ClusterSettings Settings { get; }

    /// <summary>Groups that were moved, with the name of their silo.</summary>
    public IReadOnlyDictionary<BlockId, string> Moved { get; }

    /// <summary>Index of a silo in <see cref="Silos"/>; -1 for one that is not in the map.</summary>
    public int IndexOf(string name) => indexes.GetValueOrDefault(name, -1);

    /// <summary>Index of the silo that owns a group; -1 when there are no silos.</summary>
    public int OwnerOf(BlockId group)
    {
        Span<int> first = stackalloc int[1];
        return FindHolders(group, first) == 0 ? -1 : first[0];
    }

    /// <summary>
    /// Finds the silos that hold a group, the owner first, then replicas in the order in which they would take over: by score, each from
    /// a zone that has none yet as long as there is one. Draining silos hold nothing unless all drain.
    /// </summary>
    /// <param name="group">The group.</param>
    /// <param name="found">Takes indexes of silos, as many as it has room for or as there are.</param>
    /// <param name="joinedBefore">Only silos that joined before this epoch count; with it the holders of earlier days are found.</param>
    /// <returns>How many were found.</returns>
    public int FindHolders(BlockId group, Span<int> found, long joinedBefore = long.MaxValue)
    {
        int count = 0;
        if (Moved.Count > 0 && found.Length > 0 && Moved.TryGetValue(group, out string? name) && IndexOf(name) is >= 0 and var moved
            && MayHold(moved, joinedBefore))
            found[count++] = moved;
        while (count < found.Length)
        {
            int best = FindNext(group, found[..count], joinedBefore, newZone: true);
            if (best < 0) best = FindNext(group, found[..count], joinedBefore, newZone: false);
            if (best < 0) break;
            found[count++] = best;
        }

        return count;
    }

    private bool MayHold(int silo, long joinedBefore) =>
        (!Silos[silo].Draining || holders == 0) && Silos[silo].JoinedEpoch < joinedBefore;

    private int FindNext(BlockId group, ReadOnlySpan<int> taken, long joinedBefore, bool newZone)
    {
        int best = -1;
        double highest = double.NegativeInfinity;
        for (int i = 0; i < seeds.Length; i++)
        {
            if (!MayHold(i, joinedBefore) || taken.Contains(i) || (newZone && IsZoneTaken(i, taken))) continue;
            double score = Rendezvous.Score(Rendezvous.Hash(seeds[i], group), weights[i]);
            if (score <= highest) continue;
            highest = score;
            best = i;
        }

        return best;
    }

    private bool IsZoneTaken(int silo, ReadOnlySpan<int> taken)
    {
        foreach (int other in taken)
        {
            if (zones[other] == zones[silo]) return true;
        }

        return false;
    }
}

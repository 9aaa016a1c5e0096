using System.Runtime.CompilerServices;

namespace KvTier;

/// <summary>
/// The cluster at one epoch: its silos, its settings and the groups that were moved away from where hashing puts them. Immutable. Whoever
/// has the same map computes the same owners.
/// </summary>
public sealed class ClusterMap
{
    /// <summary>Most silos of a cluster.</summary>
    public const int SilosMax = 4096;

    private readonly RendezvousTable table;
    private readonly int[] zones;
    private readonly bool hasZones;
    private readonly int[] draining;
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
        table = new RendezvousTable(
            [.. Silos.Select(silo => Rendezvous.SeedOf(silo.Name))], [.. Silos.Select(silo => (double)Math.Max(1, silo.CapacityBytes))]);
        string[] zoneNames = [.. Silos.Select(silo => silo.Zone).Distinct(StringComparer.Ordinal)];
        zones = [.. Silos.Select(silo => Array.IndexOf(zoneNames, silo.Zone))];
        hasZones = zoneNames.Length > 1;
        holders = Silos.Count(silo => !silo.Draining);
        draining = holders == 0 ? [] : [.. Silos.Index().Where(each => each.Item.Draining).Select(each => each.Index)];
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
        int moved = -1;
        if (Moved.Count > 0 && Moved.TryGetValue(group, out string? name)) moved = IndexOf(name);
        return FindHoldersFrom(group, moved, found, joinedBefore);
    }

    /// <summary>The same as if a group was moved to a silo, whatever <see cref="Moved"/> says of it.</summary>
    /// <param name="group">The group.</param>
    /// <param name="first">Index of the silo that would own it; -1 for where hashing puts it.</param>
    /// <param name="found">As above.</param>
    /// <param name="joinedBefore">As above.</param>
    /// <returns>How many were found.</returns>
    [SkipLocalsInit]
    public int FindHoldersFrom(BlockId group, int first, Span<int> found, long joinedBefore = long.MaxValue)
    {
        if (found.Length == 0) return 0;
        int count = 0;
        if (first >= 0 && MayHold(first, joinedBefore)) found[count++] = first;
        if (count == found.Length || count == Silos.Count) return count;
        Span<double> all = stackalloc double[table.Padded];
        table.FillBounds(group, all);
        LeaveOut(all, joinedBefore);
        if (count > 0) all[first] = double.PositiveInfinity;
        Span<double> newZones = hasZones && found.Length > 1 ? stackalloc double[table.Padded] : default;
        while (count < found.Length)
        {
            int best = -1;
            if (hasZones && count > 0)
            {
                all.CopyTo(newZones);
                LeaveOutZones(newZones, found[..count]);
                best = table.FindBest(group, newZones);
            }

            if (best < 0) best = table.FindBest(group, all);
            if (best < 0) break;
            all[best] = double.PositiveInfinity;
            found[count++] = best;
        }

        return count;
    }

    /// <summary>Index of the silo that hashing gives a group to, moved or not; -1 when there are no silos.</summary>
    public int HomeOf(BlockId group)
    {
        Span<int> home = stackalloc int[1];
        return FindHoldersFrom(group, -1, home) == 0 ? -1 : home[0];
    }

    private bool MayHold(int silo, long joinedBefore) =>
        (!Silos[silo].Draining || holders == 0) && Silos[silo].JoinedEpoch < joinedBefore;

    private void LeaveOut(Span<double> bounds, long joinedBefore)
    {
        foreach (int silo in draining) bounds[silo] = double.PositiveInfinity;
        if (joinedBefore == long.MaxValue) return;
        for (int i = 0; i < Silos.Count; i++)
        {
            if (Silos[i].JoinedEpoch >= joinedBefore) bounds[i] = double.PositiveInfinity;
        }
    }

    private void LeaveOutZones(Span<double> bounds, ReadOnlySpan<int> taken)
    {
        foreach (int other in taken)
        {
            int zone = zones[other];
            for (int i = 0; i < zones.Length; i++)
            {
                if (zones[i] == zone) bounds[i] = double.PositiveInfinity;
            }
        }
    }
}

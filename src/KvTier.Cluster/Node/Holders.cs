using System.Runtime.CompilerServices;

namespace KvTier.Cluster;

/// <summary>The silos that hold a group by one map: indexes in it, the owner first.</summary>
[InlineArray(Most)]
internal struct HolderIndexes
{
    /// <summary>Most holders: all replicas and one more while a group is hot.</summary>
    public const int Most = ClusterSettings.ReplicasMax + 1;

    private int first;
}

/// <summary>The holders of a group by one map.</summary>
internal struct Holders
{
    private HolderIndexes indexes;

    /// <summary>How many there are.</summary>
    public int Count { get; private set; }

    /// <summary>Index of the silo at a rank.</summary>
    public readonly int this[int rank] => indexes[rank];

    /// <summary>Finds the holders of a group.</summary>
    /// <param name="map">The map.</param>
    /// <param name="copies">How many copies are asked for.</param>
    /// <param name="group">The group.</param>
    /// <param name="joinedBefore">Only silos that joined before this epoch.</param>
    public static Holders Of(ClusterMap map, int copies, BlockId group, long joinedBefore = long.MaxValue)
    {
        Holders found = default;
        found.Count = map.FindHolders(group, ((Span<int>)found.indexes)[..Math.Min(copies, HolderIndexes.Most)], joinedBefore);
        return found;
    }

    /// <summary>Rank of a silo; -1 when it holds nothing of the group.</summary>
    public readonly int RankOf(int silo)
    {
        for (int i = 0; i < Count; i++)
        {
            if (indexes[i] == silo) return i;
        }

        return -1;
    }
}

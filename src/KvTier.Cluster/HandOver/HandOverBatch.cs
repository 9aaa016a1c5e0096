namespace KvTier.Cluster;

/// <summary>A block that a walk has to do with.</summary>
internal struct HandOverItem
{
    /// <summary>The block.</summary>
    public WalkedBlock Block;

    /// <summary>The silos that are to have it.</summary>
    public Holders Holders;

    /// <summary>This silo's rank among them; -1 when it is none of them.</summary>
    public int OwnRank;

    /// <summary>Ranks of those that have it; a bit each.</summary>
    public int Has;

    /// <summary>Ranks of those that said whether they have it; a bit each.</summary>
    public int Answered;

    /// <summary>
    /// Ranks of those that have it in their log, where they have one; a bit each. Asked only where it is to be dropped here.
    /// </summary>
    public int Kept;

    /// <summary>Ranks of those that refused it; a bit each.</summary>
    public int Refused;

    /// <summary>Ranks of all holders; a bit each.</summary>
    public readonly int All => (1 << Holders.Count) - 1;

    /// <summary>True when all holders have it.</summary>
    public readonly bool IsDone => Has == All;

    /// <summary>
    /// True when this silo is the one to push it to those that lack it: the first holder that has it, or anybody when none has. As of when
    /// all were asked: what this silo itself pushes meanwhile changes nothing.
    /// </summary>
    public bool IsOwnToPush;

    /// <summary>Decides who pushes it, when the holders have been asked.</summary>
    public void Decide()
    {
        int others = OwnRank >= 0 ? Has & ~(1 << OwnRank) : Has;
        IsOwnToPush = OwnRank >= 0 ? (others & ((1 << OwnRank) - 1)) == 0 : others == 0;
    }
}

/// <summary>Blocks of one namespace that a walk deals with together.</summary>
/// <param name="map">The map that it makes true.</param>
/// <param name="handle">Handle of the namespace.</param>
/// <param name="descriptor">The namespace.</param>
internal sealed class HandOverBatch(ClusterMap map, ushort handle, NamespaceDescriptor descriptor)
{
    /// <summary>Blocks of a batch.</summary>
    public const int BlocksMax = 512;

    private readonly HandOverItem[] items = new HandOverItem[BlocksMax];

    /// <summary>The map.</summary>
    public ClusterMap Map => map;

    /// <summary>Handle of the namespace.</summary>
    public ushort Handle => handle;

    /// <summary>The namespace.</summary>
    public NamespaceDescriptor Descriptor => descriptor;

    /// <summary>Blocks in it.</summary>
    public int Count { get; private set; }

    /// <summary>True when no more go into it.</summary>
    public bool IsFull => Count == BlocksMax;

    /// <summary>The blocks.</summary>
    public Span<HandOverItem> Items => items.AsSpan(0, Count);

    /// <summary>One of the blocks.</summary>
    public ref HandOverItem this[int index] => ref items[index];

    /// <summary>Adds a block.</summary>
    public void Add(in WalkedBlock block, in Holders holders, int ownRank) => items[Count++] = new HandOverItem
    {
        Block = block,
        Holders = holders,
        OwnRank = ownRank,
        Has = ownRank >= 0 ? 1 << ownRank : 0,
        Answered = ownRank >= 0 ? 1 << ownRank : 0,
    };

    /// <summary>Empties it.</summary>
    public void Clear() => Count = 0;

    /// <summary>The silos that are to have blocks of it, this one left out; indexes in the map.</summary>
    public List<int> Targets(int self)
    {
        var found = new List<int>();
        foreach (ref readonly HandOverItem item in Items)
        {
            for (int rank = 0; rank < item.Holders.Count; rank++)
            {
                int silo = item.Holders[rank];
                if (silo != self && !found.Contains(silo)) found.Add(silo);
            }
        }

        return found;
    }
}

namespace KvTier.Engine;

/// <summary>
/// S3-FIFO (Yang et al., SOSP 2023): newcomers wait in a small queue of a tenth; those used more than once there go on to the main queue,
/// the others leave and are remembered by a ghost queue, from which they come back straight into the main queue. The main queue gives
/// each block as many more rounds as it was used, at most three. Not in the paper: blocks that were cooled wait in a queue of their own,
/// which goes before both.
/// </summary>
internal sealed class S3FifoOrder : IVictimOrder
{
    private const byte UsesMax = 3;
    private const byte InMain = 0x80;
    private const byte InCold = 0x40;
    private const byte Places = InMain | InCold;

    private readonly ReservedArray<SlotLink> links = new(SlotTable.SlotsMax);
    private readonly ReservedArray<byte> marks = new(SlotTable.SlotsMax);
    private readonly SlotList small;
    private readonly SlotList main;
    private readonly SlotList cold;
    private readonly FingerprintRing ghost;
    private readonly long capacity;

    /// <summary>Makes an empty order.</summary>
    /// <param name="capacity">Blocks that host memory may hold; 0 when only its bytes are bounded,
    /// then what it holds is taken as its size.</param>
    /// <param name="ghostBlocks">Blocks that the ghost queue remembers.</param>
    internal S3FifoOrder(long capacity, int ghostBlocks)
    {
        this.capacity = capacity;
        small = new SlotList(links);
        main = new SlotList(links);
        cold = new SlotList(links);
        ghost = new FingerprintRing(ghostBlocks);
    }

    /// <inheritdoc/>
    public long Count => small.Count + main.Count + cold.Count;

    private long SmallTarget => Math.Max(1, (capacity > 0 ? capacity : Count) / 10);

    /// <inheritdoc/>
    public void Insert(int slot, ulong fingerprint, bool cold)
    {
        bool known = ghost.Remove(fingerprint);
        marks[slot] = known ? InMain : (byte)0;
        (known ? main : small).AddNewest(slot);
    }

    /// <inheritdoc/>
    public void Touch(int slot)
    {
        if ((marks[slot] & ~Places) < UsesMax) marks[slot]++;
    }

    /// <inheritdoc/>
    public void Cool(int slot)
    {
        ListOf(slot).Remove(slot);
        marks[slot] = InCold;
        cold.AddNewest(slot);
    }

    /// <inheritdoc/>
    public void Remove(int slot) => ListOf(slot).Remove(slot);

    /// <inheritdoc/>
    public int TakeVictim(IVictimCheck check)
    {
        // Every slot may go round the main queue once for each of its uses before it is the victim.
        for (long left = (Count * (UsesMax + 2)) + 1; left > 0 && Count > 0; left--)
        {
            if (cold.Count > 0)
            {
                int cooled = TryFromCold(check);
                if (cooled >= 0) return cooled;
                continue;
            }

            bool fromSmall = small.Count >= SmallTarget || main.Count == 0;
            int slot = fromSmall && small.Count > 0 ? TryFromSmall(check) : TryFromMain(check);
            if (slot >= 0) return slot;
        }

        return TakeAnyFromSmall(check);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        links.Dispose();
        marks.Dispose();
    }

    private int TryFromSmall(IVictimCheck check)
    {
        int slot = small.Oldest;
        small.Remove(slot);
        if (marks[slot] > 1)
        {
            marks[slot] = InMain;
            main.AddNewest(slot);
            return -1;
        }

        if (!check.MayGo(slot))
        {
            // In use at this moment: it has earned the main queue, and must not keep the small one from moving.
            marks[slot] = InMain;
            main.AddNewest(slot);
            return -1;
        }

        ghost.Add(check.Fingerprint(slot));
        return slot;
    }

    // Nothing of the main queue may go now, so the small one gives what it can, even below its share and however often it was used.
    private int TakeAnyFromSmall(IVictimCheck check)
    {
        for (long left = small.Count; left > 0; left--)
        {
            int slot = small.Oldest;
            small.Remove(slot);
            if (check.MayGo(slot))
            {
                ghost.Add(check.Fingerprint(slot));
                return slot;
            }

            marks[slot] = InMain;
            main.AddNewest(slot);
        }

        return -1;
    }

    // What was used since, or is in use at this moment, is not cold after all. A victim from here is not remembered: nobody wants it back.
    private int TryFromCold(IVictimCheck check)
    {
        int slot = cold.Oldest;
        cold.Remove(slot);
        if ((marks[slot] & ~Places) == 0 && check.MayGo(slot)) return slot;
        marks[slot] = InMain;
        main.AddNewest(slot);
        return -1;
    }

    private int TryFromMain(IVictimCheck check)
    {
        int slot = main.Oldest;
        int uses = marks[slot] & ~InMain;
        if (uses == 0 && check.MayGo(slot))
        {
            main.Remove(slot);
            return slot;
        }

        if (uses > 0) marks[slot]--;
        main.MoveToNewest(slot);
        return -1;
    }

    private SlotList ListOf(int slot) => (marks[slot] & InMain) != 0 ? main : (marks[slot] & InCold) != 0 ? cold : small;
}

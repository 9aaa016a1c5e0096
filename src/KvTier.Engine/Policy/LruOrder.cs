namespace KvTier.Engine;

/// <summary>Least recently used goes first.</summary>
internal sealed class LruOrder : IVictimOrder
{
    private readonly ReservedArray<SlotLink> links = new(SlotTable.SlotsMax);
    private readonly SlotList list;

    internal LruOrder() => list = new SlotList(links);

    /// <inheritdoc/>
    public long Count => list.Count;

    /// <inheritdoc/>
    public void Insert(int slot, ulong fingerprint, bool cold)
    {
        if (cold) list.AddOldest(slot);
        else list.AddNewest(slot);
    }

    /// <inheritdoc/>
    public void Touch(int slot) => list.MoveToNewest(slot);

    /// <inheritdoc/>
    public void Cool(int slot)
    {
        list.Remove(slot);
        list.AddOldest(slot);
    }

    /// <inheritdoc/>
    public void Remove(int slot) => list.Remove(slot);

    /// <inheritdoc/>
    public int TakeVictim(IVictimCheck check)
    {
        for (long left = list.Count; left > 0; left--)
        {
            int slot = list.Oldest;
            if (check.MayGo(slot))
            {
                list.Remove(slot);
                return slot;
            }

            // In use at this moment, so it is among the most recently used.
            list.MoveToNewest(slot);
        }

        return -1;
    }

    /// <inheritdoc/>
    public void Dispose() => links.Dispose();
}

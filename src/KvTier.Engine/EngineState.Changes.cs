namespace KvTier.Engine;

/// <summary>Pins and expiry.</summary>
internal sealed partial class EngineState
{
    /// <summary>Ends a pin.</summary>
    /// <returns>False when the block is not pinned.</returns>
    internal bool Unpin(uint number)
    {
        ref BlockEntry entry = ref Index[number];
        if (!entry.Has(EntryFlags.Pinned)) return false;
        Pins.Remove(number);
        entry.Flags &= ~EntryFlags.Pinned;
        if (entry.Slot >= 0) Settle(entry.Slot);
        return true;
    }

    /// <summary>Sets when a block expires.</summary>
    internal void SetExpiry(ref BlockEntry entry, long expiryUnixMs)
    {
        bool expired = entry.Expiry != 0;
        entry.Expiry = expiryUnixMs;
        bool expires = entry.Expiry != 0;
        if (expired != expires) Counters.ExpiringBlocks += expires ? 1 : -1;
    }
}

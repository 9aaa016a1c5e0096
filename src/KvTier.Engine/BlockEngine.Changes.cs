namespace KvTier.Engine;

/// <summary>Changing what is known of blocks.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Deletes a block. Readers that hold a lease keep their bytes.</summary>
    /// <returns>False when it was not here.</returns>
    public bool Delete(ushort ns, BlockId id)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            state.Remove(number, MissReason.Deleted, tombstone: true);
            return true;
        }
    }

    /// <summary>Keeps a block from eviction (host and SSD) until a time, at most <see cref="Limits.PinMsMax"/> from now. A later pin
    /// replaces an earlier one.</summary>
    /// <returns>False when the block is not here.</returns>
    public bool Pin(ushort ns, BlockId id, long untilUnixMs)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            long now = state.NowUnixMs;
            if (untilUnixMs <= now) return true;
            state.Pins.Set(number, Math.Min(untilUnixMs, now + state.Options.Limits.PinMsMax));
            ref BlockEntry entry = ref state.Index[number];
            entry.Flags |= EntryFlags.Pinned;
            if (entry.Slot >= 0) state.Host.LeaveOrder(entry.Slot);
            return true;
        }
    }

    /// <summary>Ends a pin.</summary>
    /// <returns>False when the block is not here or not pinned.</returns>
    public bool Unpin(ushort ns, BlockId id)
    {
        lock (state.Gate) return TryFind(ns, id, out uint number) && state.Unpin(number);
    }

    /// <summary>Marks a block as used now.</summary>
    /// <returns>False when it is not here.</returns>
    public bool Touch(ushort ns, BlockId id)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            state.Touch(ref state.Index[number]);
            return true;
        }
    }

    /// <summary>Starts reading a block into host memory; does nothing when it is there.</summary>
    /// <returns>False when it is not here, or when the reads in flight are at their limit.</returns>
    public bool Prefetch(ushort ns, BlockId id)
    {
        bool started;
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            started = state.Index[number].Slot >= 0 || state.Index[number].Length == 0
                || (reader is not null && reader.TryPrefetch(number));
        }

        reader?.Launch();
        return started;
    }

    /// <summary>Sets when a block expires, in ms since 1970; 0 for never.</summary>
    /// <returns>False when it is not here.</returns>
    public bool SetExpiry(ushort ns, BlockId id, long expiryUnixMs)
    {
        lock (state.Gate)
        {
            if (!TryFind(ns, id, out uint number)) return false;
            ref BlockEntry entry = ref state.Index[number];
            state.SetExpiry(ref entry, expiryUnixMs);
            if (state.HasLog && entry.Has(EntryFlags.Traced))
            {
                state.AddOp(new LogOp { Kind = LogRecordKind.Expiry, Namespace = ns, Id = id, Expiry = entry.Expiry });
            }

            return true;
        }
    }

    private bool TryFind(ushort ns, BlockId id, out uint number)
    {
        number = state.Closed ? 0 : state.FindLive(ns, id, BlockIndex.Hash(ns, id));
        return number != 0;
    }
}

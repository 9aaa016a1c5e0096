namespace KvTier.Engine;

/// <summary>Where a block's ranges are to be had.</summary>
internal enum RangePlace : byte
{
    /// <summary>Nowhere, for <see cref="RangeLookup.Reason"/>.</summary>
    Miss,

    /// <summary>In host memory, under <see cref="RangeLookup.Lease"/>.</summary>
    Host,

    /// <summary>In the log.</summary>
    Log,

    /// <summary>The block is here, but is shorter than what is asked for.</summary>
    TooShort,
}

/// <summary>What was found of a block of which ranges are wanted.</summary>
/// <param name="Place">Where.</param>
/// <param name="Reason">Why nowhere.</param>
/// <param name="Length">Bytes of the block.</param>
/// <param name="Entry">Its number in the index, for <see cref="RangePlace.Log"/>.</param>
/// <param name="Lease">To be given back, for <see cref="RangePlace.Host"/>.</param>
internal readonly record struct RangeLookup(RangePlace Place, MissReason Reason, int Length, uint Entry, BlockLease Lease)
{
    /// <summary>Looks a block up. Touches nothing; counts a miss. Needs the engine's lock.</summary>
    /// <param name="state">The engine's truth.</param>
    /// <param name="ns">The namespace.</param>
    /// <param name="id">The block.</param>
    /// <param name="rangesEnd">The byte after the last one that is wanted.</param>
    internal static RangeLookup Find(EngineState state, ushort ns, BlockId id, long rangesEnd)
    {
        if (state.Closed) return Miss(MissReason.ShuttingDown);
        ulong hash = BlockIndex.Hash(ns, id);
        uint number = state.FindLive(ns, id, hash);
        if (number == 0)
        {
            MissReason reason = state.WhyMissing(hash);
            state.Ledger.Count(reason);
            state.Ghost.Wanted(hash);
            return Miss(reason);
        }

        ref BlockEntry entry = ref state.Index[number];
        if (rangesEnd > entry.Length) return new RangeLookup(RangePlace.TooShort, default, entry.Length, 0, default);
        bool isInHost = entry.Slot >= 0 && state.Host.Slots[entry.Slot].State == SlotState.Sealed;
        if (!isInHost && entry.Length > 0) return new RangeLookup(RangePlace.Log, default, entry.Length, number, default);
        state.Counters.RangeReadsHost++;
        state.Namespaces.Traffic(entry.Namespace).Hits++;
        return new RangeLookup(
            RangePlace.Host, default, entry.Length, number, state.Grant(ref entry, isInHost ? TierSet.Host : TierSet.Ssd));
    }

    /// <summary>The caller's result for what needs no device.</summary>
    internal RangeReadResult ToResult(long rangesEnd) => Place switch
    {
        RangePlace.Host => new RangeReadResult(MissReason.None, Lease.Source, 0, Lease.PayloadCrc),
        RangePlace.TooShort => new RangeReadResult(
            MissReason.None, TierSet.None, 0, 0, KvError.LimitExceeded("range.end", rangesEnd, Length)),

        // Of a block in the log this is true until it is read.
        _ => new RangeReadResult(Place == RangePlace.Log ? MissReason.Deadline : Reason, TierSet.None, 0),
    };

    private static RangeLookup Miss(MissReason reason) => new(RangePlace.Miss, reason, 0, 0, default);
}

namespace KvTier.Engine;

/// <summary>Finding and reading blocks.</summary>
public sealed partial class BlockEngine
{
    /// <summary>Entries looked up under the lock at one time, so that a long list keeps nobody waiting.</summary>
    private const int PrefixStep = 256;

    /// <summary>Leases a block that is in host memory, and touches it.</summary>
    /// <returns><see cref="MissReason.None"/> with a lease; <see cref="MissReason.Deadline"/> when the block is on SSD only, which
    /// <see cref="LeaseAsync"/> would read; else why it is not here. Misses are counted by <see cref="LeaseAsync"/> and by this call alike,
    /// except for <see cref="MissReason.Deadline"/>.</returns>
    public MissReason TryLease(ushort ns, BlockId id, out BlockLease lease)
    {
        ulong hash = BlockIndex.Hash(ns, id);
        lock (state.Gate) return TryLeaseLocked(ns, id, hash, isQuiet: false, out lease);
    }

    /// <summary>
    /// Leases a block, reading it from the log when it is not in host memory. One read serves all who wait for the block.
    /// </summary>
    public ValueTask<LeaseResult> LeaseAsync(ushort ns, BlockId id, TimeSpan deadline)
    {
        MissReason reason = TryLease(ns, id, out BlockLease lease);
        return reason != MissReason.Deadline || reader is null
            ? new ValueTask<LeaseResult>(new LeaseResult(reason, lease))
            : LeaseFromLogAsync(reader, ns, id, isQuiet: false, deadline);
    }

    /// <summary>
    /// Leases a block as <see cref="LeaseAsync"/> does, for work that the silo does by itself: no hit or miss is counted, and the block
    /// is not touched, so that copying everything to another silo does not make all of it look wanted.
    /// </summary>
    public ValueTask<LeaseResult> LeaseQuietlyAsync(ushort ns, BlockId id, TimeSpan deadline)
    {
        MissReason reason;
        BlockLease lease;
        lock (state.Gate) reason = TryLeaseLocked(ns, id, BlockIndex.Hash(ns, id), isQuiet: true, out lease);
        return reason != MissReason.Deadline || reader is null
            ? new ValueTask<LeaseResult>(new LeaseResult(reason, lease))
            : LeaseFromLogAsync(reader, ns, id, isQuiet: true, deadline);
    }

    /// <summary>Gives a lease back.</summary>
    public void Release(in BlockLease lease)
    {
        if (lease.Slot < 0) return;
        lock (state.Gate)
        {
            state.EndLease(lease);
        }
    }

    /// <summary>How many of these ordered ids are here without a gap from the first one on.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="tiers">For each id counted, where it is; may be empty when the caller does not care.</param>
    /// <param name="touch">True to touch each block counted.</param>
    public int Prefix(ushort ns, ReadOnlySpan<BlockId> ids, Span<TierSet> tiers, bool touch)
    {
        Span<uint> found = stackalloc uint[PrefixStep];
        for (int start = 0; start < ids.Length; start += PrefixStep)
        {
            ReadOnlySpan<BlockId> step = ids.Slice(start, Math.Min(PrefixStep, ids.Length - start));
            int count;
            lock (state.Gate)
            {
                if (state.Closed) return start;
                count = PrefixLocked(state.Index.FindPrefix(ns, step, found), found, tiers.IsEmpty ? tiers : tiers[start..], touch);
                if (start == 0) state.Namespaces.Traffic(ns).Lookups++;
            }

            if (count < step.Length) return start + count;
        }

        return ids.Length;
    }

    /// <summary>What is known of a block. Counts neither hit nor miss.</summary>
    public BlockInfo Describe(ushort ns, BlockId id)
    {
        ulong hash = BlockIndex.Hash(ns, id);
        lock (state.Gate)
        {
            if (state.Closed) return default(BlockInfo) with { Reason = MissReason.ShuttingDown };
            uint number = state.FindLive(ns, id, hash);
            if (number == 0) return default(BlockInfo) with { Reason = state.WhyMissing(hash) };
            ref BlockEntry entry = ref state.Index[number];
            long pinned = entry.Has(EntryFlags.Pinned) ? state.Pins.Get(number) : 0;
            return new BlockInfo(
                TiersOf(entry), MissReason.None, entry.Length, entry.Crc, entry.Codec, entry.Expiry, pinned, !entry.Address.IsNone)
            {
                Group = state.GroupOf(number),
            };
        }
    }

    /// <summary>Copies a block's key.</summary>
    /// <returns>Its length; -1 when the block is not here. Nothing is copied when the destination is too small.</returns>
    public int CopyKey(ushort ns, BlockId id, Span<byte> destination)
    {
        ulong hash = BlockIndex.Hash(ns, id);
        lock (state.Gate)
        {
            uint number = state.Closed ? 0 : state.FindLive(ns, id, hash);
            if (number == 0) return -1;
            ref BlockEntry entry = ref state.Index[number];
            if (entry.KeyLength <= destination.Length) state.Keys.Get(entry.Key, entry.KeyLength).CopyTo(destination);
            return entry.KeyLength;
        }
    }

    private MissReason TryLeaseLocked(ushort ns, BlockId id, ulong hash, bool isQuiet, out BlockLease lease)
    {
        lease = default;
        if (state.Closed) return MissReason.ShuttingDown;
        uint number = state.FindLive(ns, id, hash);
        if (number == 0)
        {
            MissReason reason = state.WhyMissing(hash);
            if (isQuiet) return reason;
            state.Ledger.Count(reason);
            state.Namespaces.Traffic(ns).Misses++;
            state.Ghost.Wanted(hash);
            return reason;
        }

        ref BlockEntry entry = ref state.Index[number];
        bool inHost = IsInHost(entry);
        if (!inHost && entry.Length > 0) return MissReason.Deadline;
        lease = state.Grant(ref entry, inHost ? TierSet.Host : TierSet.Ssd);
        if (isQuiet) return MissReason.None;
        state.Namespaces.Traffic(ns).Hits++;
        state.Touch(ref entry);
        if (inHost)
        {
            state.Counters.HostHits++;
            state.Counters.HostHitBytes += entry.Length;
        }
        else
        {
            state.Counters.SsdHits++;
        }

        return MissReason.None;
    }

    private async ValueTask<LeaseResult> LeaseFromLogAsync(SsdReader source, ushort ns, BlockId id, bool isQuiet, TimeSpan deadline)
    {
        ulong hash = BlockIndex.Hash(ns, id);
        long start = state.Time.GetTimestamp();
        while (true)
        {
            SsdRead? read = null;
            Task wait;
            lock (state.Gate)
            {
                MissReason reason = TryLeaseLocked(ns, id, hash, isQuiet, out BlockLease lease);
                if (reason != MissReason.Deadline) return new LeaseResult(reason, lease);
                uint number = state.Index.Find(ns, id, hash);
                if (source.TryJoin(number, isQuiet, out read)) wait = read!.Done;
                else wait = state.Host.MayHaveRoom(state.Index[number].Length) ? Task.CompletedTask : state.Host.Room.Next;
            }

            source.Launch();
            TimeSpan left = deadline - state.Time.GetElapsedTime(start);
            bool inTime = (read is not null || left > TimeSpan.Zero) && await Waiting.ForAsync(wait, left, state.Time);
            lock (state.Gate)
            {
                if (read is not null && source.Leave(read, isQuiet, out LeaseResult result))
                {
                    if (result.Reason != MissReason.None && !isQuiet) state.Ledger.Count(result.Reason);
                    return result;
                }

                if (inTime) continue;
                if (!isQuiet) state.Ledger.Count(MissReason.Deadline);
                return new LeaseResult(MissReason.Deadline, default);
            }
        }
    }

    private int PrefixLocked(int count, Span<uint> found, Span<TierSet> tiers, bool touch)
    {
        for (int i = 0; i < count; i++)
        {
            ref BlockEntry entry = ref state.Index[found[i]];
            if (entry.Expiry != 0 && state.IsExpired(found[i])) return i;
            if (!tiers.IsEmpty) tiers[i] = TiersOf(entry);
            if (touch) state.Touch(ref entry);
        }

        return count;
    }

    private bool IsInHost(in BlockEntry entry) => entry.Slot >= 0 && state.Host.Slots[entry.Slot].State == SlotState.Sealed;

    private TierSet TiersOf(in BlockEntry entry) =>
        (entry.Has(EntryFlags.OnDevice) ? TierSet.Device : TierSet.None)
        | (IsInHost(entry) ? TierSet.Host : TierSet.None) | (entry.Address.IsNone ? TierSet.None : TierSet.Ssd);
}

namespace KvTier.Engine;

/// <summary>
/// Reads blocks from the log into slots: once for all who want the block at that time, and no more reads at one time than allowed.
/// Members need the engine's lock unless they say otherwise.
/// </summary>
internal sealed class SsdReader(EngineState state, IBlockLog log, EngineMetrics metrics)
{
    private readonly Dictionary<int, SsdRead> bySlot = [];
    private readonly LinkedList<SsdRead> queue = [];
    private readonly int readsMax = state.Options.SsdReadsMax;
    private TaskCompletionSource? idle;
    private int active;
    private bool closed;

    /// <summary>Called without the lock when the device failed to read, with the number of such failures.</summary>
    internal Action<long>? OnError { get; set; }

    /// <summary>Reads under way and waiting.</summary>
    internal int Count => bySlot.Count;

    /// <summary>
    /// Waits for the read of a block together with others, or begins one. <see cref="Launch"/> has to follow, without the lock.
    /// </summary>
    /// <returns>False when there is no slot to read into.</returns>
    internal bool TryJoin(uint number, bool isQuiet, out SsdRead? read)
    {
        int slot = state.Index[number].Slot;
        if (slot >= 0) read = bySlot[slot];
        else if (!TryBegin(number, out read)) return false;
        read!.Waiters++;
        if (isQuiet) read.QuietWaiters++;
        return true;
    }

    /// <summary>Begins to read a block that nobody waits for.</summary>
    /// <returns>False when there is no slot to read into, or when the reads in flight are at their limit.</returns>
    internal bool TryPrefetch(uint number) => bySlot.Count < readsMax && TryBegin(number, out _);

    /// <summary>Ends the wait of a caller.</summary>
    /// <returns>True with the outcome; false when the read goes on or the block has to be looked up again.</returns>
    internal bool Leave(SsdRead read, bool isQuiet, out LeaseResult result)
    {
        result = read.Outcome ?? default;
        if (!read.IsDone && isQuiet) read.QuietWaiters--;
        if (!read.IsDone && --read.Waiters == 0 && read.Place is { } place)
        {
            // Nobody wants it any more and it has not begun: behind a device that hangs, such reads must not take all of host memory.
            queue.Remove(place);
            read.Place = null;
            TakeSlotAway(read);
            read.End(null);
        }

        return read.IsDone && read.Outcome is not null;
    }

    /// <summary>Starts what may be read now. Needs no lock.</summary>
    internal void Launch()
    {
        while (true)
        {
            SsdRead read;
            lock (state.Gate)
            {
                if (queue.Count == 0 || active >= readsMax || closed) return;
                read = queue.First!.Value;
                queue.RemoveFirst();
                read.Place = null;
                active++;
            }

            _ = RunAsync(read);
        }
    }

    /// <summary>Refuses further reads and waits for those under way, which write into the arena. Needs no lock.</summary>
    internal async ValueTask CloseAsync()
    {
        Task last;
        lock (state.Gate)
        {
            closed = true;
            foreach (SsdRead read in queue) Finish(read, LogReadStatus.IoError);
            queue.Clear();
            if (active == 0) return;
            idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            last = idle.Task;
        }

        await last;
    }

    private bool TryBegin(uint number, out SsdRead? read)
    {
        read = null;
        ref BlockEntry entry = ref state.Index[number];
        if (closed || !state.Host.TryTake(entry.Length, SlotState.Reading, out int slot)) return false;
        state.Host.Slots[slot].Entry = number;
        state.Host.Slots[slot].Holds = 1;
        entry.Slot = slot;
        state.Ghost.Wanted(BlockIndex.Hash(entry.Namespace, entry.Id));
        read = new SsdRead { Namespace = entry.Namespace, Id = entry.Id, Address = entry.Address, Length = entry.Length, Slot = slot };
        bySlot.Add(slot, read);
        read.Place = queue.AddLast(read);
        return true;
    }

    private async Task RunAsync(SsdRead read)
    {
        long start = state.Time.GetTimestamp();
        LogReadStatus status;
        try
        {
            Memory<byte> destination = state.Arena.Slice(state.Host.Slots[read.Slot].Offset, state.Host.Slots[read.Slot].Capacity);
            var whole = new LogRead { Address = read.Address, Id = read.Id, Length = read.Length, Destination = destination };
            status = (await log.ReadAsync(whole)).Status;
        }
#pragma warning disable CA1031 // Whatever a device throws, those who wait must hear of it and the slot must come back.
        catch (Exception)
#pragma warning restore CA1031
        {
            status = LogReadStatus.IoError;
        }

        metrics.Read(state.Time.GetElapsedTime(start), read.Length);
        long errors;
        lock (state.Gate)
        {
            Finish(read, status);
            errors = state.Counters.SsdReadErrors;
            if (--active == 0) idle?.TrySetResult();
        }

        if (status == LogReadStatus.IoError) OnError?.Invoke(errors);

        Launch();
    }

    private void Finish(SsdRead read, LogReadStatus status)
    {
        bySlot.Remove(read.Slot);
        ref HostSlot slot = ref state.Host.Slots[read.Slot];
        slot.Holds = 0;
        uint number = slot.Entry;
        if (number == 0)
        {
            // Deleted or replaced while it was read.
            state.Host.Free(read.Slot);
            read.End(null);
        }
        else if (status == LogReadStatus.Ok)
        {
            read.End(new LeaseResult(MissReason.None, Serve(read, ref slot, ref state.Index[number])));
        }
        else
        {
            TakeSlotAway(read);
            read.End(Fail(read, number, status));
        }
    }

    private void TakeSlotAway(SsdRead read)
    {
        bySlot.Remove(read.Slot);
        ref HostSlot slot = ref state.Host.Slots[read.Slot];
        slot.Holds = 0;
        if (slot.Entry != 0) state.Index[slot.Entry].Slot = -1;
        state.Host.Free(read.Slot);
    }

    private BlockLease Serve(SsdRead read, ref HostSlot slot, ref BlockEntry entry)
    {
        slot.State = SlotState.Sealed;
        state.Watch?.OnChanged(read.Namespace, read.Id);
        state.Counters.HostBlocks++;
        state.Counters.HostBytes += entry.Length;
        slot.Leases = read.Waiters;
        if (read.Waiters > 0) state.Counters.LeasedSlots++;
        state.Settle(read.Slot, cold: IsCold(read, ref entry));
        return new BlockLease(read.Slot, slot.Generation, slot.Offset, entry.Length, entry.Crc, entry.Codec, TierSet.Ssd);
    }

    // The first read since the block left host memory puts it where it goes first; the second, or a prefetch, promotes it. A read for
    // quiet waiters only says nothing about the block.
    private bool IsCold(SsdRead read, ref BlockEntry entry)
    {
        int hits = read.Waiters - read.QuietWaiters;
        if (hits == 0 && read.QuietWaiters > 0) return true;
        state.Counters.SsdHits += hits;
        state.Namespaces.Traffic(read.Namespace).Hits += hits;
        state.Counters.SsdHitBytes += (long)hits * entry.Length;
        if (hits > 0) entry.Flags |= EntryFlags.Hot;
        bool isFirst = hits > 0 && !entry.Has(EntryFlags.ReadOnce);
        entry.Flags = isFirst ? entry.Flags | EntryFlags.ReadOnce : entry.Flags & ~EntryFlags.ReadOnce;
        return isFirst;
    }

    private LeaseResult? Fail(SsdRead read, uint number, LogReadStatus status)
    {
        switch (status)
        {
            case LogReadStatus.Corrupt:
                state.Counters.CorruptBlocks++;
                state.Remove(number, MissReason.Corrupt, tombstone: true);
                return new LeaseResult(MissReason.Corrupt, default);
            case LogReadStatus.Gone when state.Index[number].Address == read.Address:
                state.Remove(number, MissReason.Evicted, tombstone: false);
                return null;
            case LogReadStatus.Gone:
                return null;
            default:
                state.Counters.LogFaults++;
                state.Counters.SsdReadErrors++;
                return new LeaseResult(MissReason.Deadline, default);
        }
    }
}

namespace KvTier.Engine;

/// <summary>Slots without a block.</summary>
public sealed partial class BlockEngine
{
    /// <summary>
    /// Takes a slot that belongs to no block, for bytes that are made here and handed on by shared memory. The holder may write it; it
    /// has the bytes of whoever had it before. Ends by <see cref="Release"/>, as a lease of a block does.
    /// </summary>
    /// <param name="bytes">Bytes wanted, 1 or more.</param>
    /// <param name="lease">The slot, of that length; it has no check and no source.</param>
    /// <returns>False when there is no room now.</returns>
    public bool TryTakeScratch(int bytes, out BlockLease lease)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        lease = default;
        lock (state.Gate)
        {
            if (state.Draining || state.Counters.ScratchBytes + bytes > state.ScratchBytesMax) return false;
            if (!state.Host.TryTake(bytes, SlotState.Scratch, out int slot)) return false;
            ref HostSlot record = ref state.Host.Slots[slot];
            record.Leases = 1;
            state.Counters.LeasedSlots++;
            state.Counters.ScratchSlots++;
            state.Counters.ScratchBytes += record.Capacity;
            lease = new BlockLease(slot, record.Generation, record.Offset, bytes, 0, 0, TierSet.None);
            return true;
        }
    }

    /// <summary>Takes a slot as <see cref="TryTakeScratch"/> does, waiting for room.</summary>
    /// <returns>The slot; or <see cref="ErrorCode.LimitExceeded"/> above <see cref="EngineOptions.ScratchBytesMax"/>,
    /// <see cref="ErrorCode.HostFull"/> when the deadline passed first, <see cref="ErrorCode.ShuttingDown"/>.</returns>
    public async ValueTask<Result<BlockLease>> TakeScratchAsync(int bytes, TimeSpan deadline)
    {
        if (bytes > state.ScratchBytesMax) return KvError.LimitExceeded("scratch.bytes", bytes, state.ScratchBytesMax);
        long start = state.Time.GetTimestamp();
        while (true)
        {
            Task room;
            lock (state.Gate)
            {
                if (state.Draining) return new KvError(ErrorCode.ShuttingDown, "engine");
                room = state.Host.Room.Next;
            }

            if (TryTakeScratch(bytes, out BlockLease lease)) return lease;
            if (!await Waiting.ForAsync(room, deadline - state.Time.GetElapsedTime(start), state.Time))
                return new KvError(ErrorCode.HostFull, "scratch.bytes", $"{bytes}", $"room within {deadline.TotalMilliseconds:0} ms");
        }
    }
}

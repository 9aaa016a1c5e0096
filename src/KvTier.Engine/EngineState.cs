using KvTier.Memory;

namespace KvTier.Engine;

/// <summary>
/// The truth: index, keys, slots, victim order, pins, pending puts, changes for the log, ledger, ghosts, counters; and the transitions
/// between their states. Every member needs <see cref="Gate"/> unless it says otherwise.
/// </summary>
/// <remarks>
/// Lock order: <see cref="Gate"/> is the only lock of the engine's truth. Under it only the lock inside <see cref="WakeSignal"/>
/// is taken, which calls nothing back. No payload byte is copied and no task is awaited under it.
/// </remarks>
internal sealed partial class EngineState : IVictimOwner, IDisposable
{
    internal EngineState(EngineOptions options, Arena arena, bool hasLog, TimeProvider time)
    {
        Options = options;
        Arena = arena;
        HasLog = hasLog;
        Time = time;
        // A log may hold longer keys than today's limit allows.
        Keys = new KeyStore(KeyBytesMax);
        Namespaces = new NamespaceTable(options.Limits.NamespacesMax);
        Ledger = new MissLedger(options.MissLedgerEntries);
        Ghost = new GhostList(options.GhostBlocks);
        Host = new HostTier(arena, VictimOrders.Create(options), this, options.HostBlocksMax);
        WriterWake = new WakeSignal(time);
    }

    /// <summary>Longest key that any option allows.</summary>
    internal const int KeyBytesMax = 512;

    /// <summary>The lock.</summary>
    internal Lock Gate { get; } = new();

    internal EngineOptions Options { get; }

    internal Arena Arena { get; }

    internal bool HasLog { get; }

    internal TimeProvider Time { get; }

    internal BlockIndex Index { get; } = new();

    internal KeyStore Keys { get; }

    internal GroupTable Groups { get; } = new();

    internal HostTier Host { get; }

    internal NamespaceTable Namespaces { get; }

    internal PendingPuts Pending { get; } = new();

    internal PinTable Pins { get; } = new();

    internal LogOpQueue Ops { get; } = new();

    internal MissLedger Ledger { get; }

    internal GhostList Ghost { get; }

    internal EngineCounters Counters { get; } = new();

    /// <summary>Wakes the write-behind loop; needs no lock.</summary>
    internal WakeSignal WriterWake { get; }

    /// <summary>True when puts are refused because the engine drains.</summary>
    internal bool Draining { get; set; }

    /// <summary>True when the engine is disposed and its native memory gone.</summary>
    internal bool Closed { get; private set; }

    /// <summary>True when it was closed with its native memory left in place, as a device that hangs may still use it.</summary>
    internal bool Abandoned { get; private set; }

    /// <summary>Bytes of slots that may be scratch at one time.</summary>
    internal long ScratchBytesMax => Options.ScratchBytesMax > 0 ? Options.ScratchBytesMax : Arena.CapacityBytes / 4;

    /// <summary>Told of blocks that came into a tier or left one; null for nobody.</summary>
    internal IBlockWatch? Watch { get; set; }

    /// <summary>Told of blocks whose copy in device memory is void.</summary>
    internal Action<ushort, BlockId>? OnDeviceBlockGone { get; set; }

    /// <summary>True when the log has refused records for so long that blocks that are only in host memory may be evicted.</summary>
    internal bool LogGivenUp { get; private set; }

    /// <summary>The time, in ms since 1970.</summary>
    internal long NowUnixMs => Time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Native memory that the engine holds beside the arena.</summary>
    internal long NativeBytes => Index.NativeBytes + Groups.NativeBytes + Keys.NativeBytes + Host.Slots.NativeBytes;

    /// <inheritdoc/>
    public bool MayGo(int slot)
    {
        ref HostSlot record = ref Host.Slots[slot];
        return record.Leases == 0 && record.Holds == 0 && (!record.Has(SlotFlags.Dirty) || (LogGivenUp && !IsKept(record.Entry)));
    }

    /// <summary>
    /// True when the block may not leave the engine but by a delete; from host memory it may, while its record is in the log.
    /// </summary>
    internal bool IsKept(uint number) => Namespaces.IsKept(Index[number].Namespace);

    /// <inheritdoc/>
    public ulong Fingerprint(int slot)
    {
        ref BlockEntry entry = ref Index[Host.Slots[slot].Entry];
        return BlockIndex.Hash(entry.Namespace, entry.Id);
    }

    /// <inheritdoc/>
    public void OnVictim(int slot)
    {
        uint number = Host.Slots[slot].Entry;
        Ghost.Left(Fingerprint(slot));
        Counters.HostEvictions++;
        ref BlockEntry entry = ref Index[number];
        if (entry.Address.IsNone)
        {
            if (Host.Slots[slot].Has(SlotFlags.Dirty)) Counters.DirtyEvictions++;
            Remove(number, MissReason.Evicted, tombstone: true);
            return;
        }

        DetachSlot(ref entry);
    }

    /// <summary>Finds a block that has not expired.</summary>
    /// <returns>Its entry; 0 when it is not here.</returns>
    internal uint FindLive(ushort ns, BlockId id, ulong hash)
    {
        uint number = Index.Find(ns, id, hash);
        return number != 0 && IsExpired(number) ? 0 : number;
    }

    /// <summary>True when the block has expired; then it was removed.</summary>
    internal bool IsExpired(uint number)
    {
        long expiry = Index[number].Expiry;
        if (expiry == 0 || expiry > NowUnixMs) return false;
        // Without a committed record of its own, an older value of the block may be the newest in the log.
        Remove(number, MissReason.Expired, tombstone: Index[number].Address.IsNone);
        return true;
    }

    /// <summary>Why a block is not here.</summary>
    internal MissReason WhyMissing(ulong hash)
    {
        if (Pending.Has(hash)) return MissReason.NotSealed;
        return Draining ? MissReason.ShuttingDown : Ledger.Why(hash);
    }

    /// <summary>Notes a use of a block: for the victim order, and for the reclaimer of the log.</summary>
    internal void Touch(ref BlockEntry entry)
    {
        if (entry.Slot >= 0) Host.Touch(entry.Slot);
        if (HasLog) entry.Flags |= EntryFlags.Hot;
    }

    /// <summary>Puts a sealed slot into the victim order if nothing keeps its block.</summary>
    internal void Settle(int slot, bool cold = false)
    {
        ref HostSlot record = ref Host.Slots[slot];
        if (record.State != SlotState.Sealed || (record.Has(SlotFlags.Dirty) && !LogGivenUp)) return;
        ref BlockEntry entry = ref Index[record.Entry];
        if (entry.Has(EntryFlags.Pinned) || (entry.Address.IsNone && IsKept(record.Entry))) return;
        Host.EnterOrder(slot, BlockIndex.Hash(entry.Namespace, entry.Id), cold);
    }

    /// <summary>Removes a block from the engine. Readers keep the bytes they hold.</summary>
    /// <param name="number">The entry.</param>
    /// <param name="reason">Why, for the ledger.</param>
    /// <param name="tombstone">True when earlier records of it must not come back at recovery.</param>
    internal void Remove(uint number, MissReason reason, bool tombstone)
    {
        ref BlockEntry entry = ref Index[number];
        if (entry.Slot >= 0) DetachSlot(ref entry);
        LeaveDevice(ref entry);
        SetAddress(ref entry, LogAddress.None);
        if (tombstone && HasLog && entry.Has(EntryFlags.Traced))
        {
            AddOp(new LogOp { Kind = LogRecordKind.Tombstone, Namespace = entry.Namespace, Id = entry.Id });
        }

        if (entry.Has(EntryFlags.Pinned)) Pins.Remove(number);
        if (entry.Expiry != 0) Counters.ExpiringBlocks--;
        Ledger.Record(BlockIndex.Hash(entry.Namespace, entry.Id), reason);
        RemoveContent(number);
        Namespaces.Blocks(entry.Namespace)--;
        Keys.Remove(entry.Key, entry.KeyLength);
        Index.Remove(number);
    }

    /// <summary>Takes a block's slot away from it; the slot is freed now or when the last who holds it lets go.</summary>
    internal void DetachSlot(ref BlockEntry entry)
    {
        int slot = entry.Slot;
        entry.Slot = -1;
        ref HostSlot record = ref Host.Slots[slot];
        Host.LeaveOrder(slot);
        MarkClean(ref record);
        record.Entry = 0;
        if (record.State == SlotState.Reading) return;
        Watch?.OnChanged(entry.Namespace, entry.Id);
        Counters.HostBlocks--;
        Counters.HostBytes -= entry.Length;
        if (record.Leases > 0 || record.Holds > 0) record.State = SlotState.Orphan;
        else Host.Free(slot);
    }

    /// <summary>Ends a use of a slot that was counted in <see cref="HostSlot.Holds"/>.</summary>
    internal void Unhold(int slot)
    {
        ref HostSlot record = ref Host.Slots[slot];
        record.Holds--;
        Loosen(slot);
    }

    /// <summary>After a lease or hold ended: frees an orphan, or lets the victim order have the slot.</summary>
    internal void Loosen(int slot)
    {
        ref HostSlot record = ref Host.Slots[slot];
        if (record.Leases > 0 || record.Holds > 0) return;
        if (record.State == SlotState.Scratch) FreeScratch(slot);
        else if (record.State == SlotState.Orphan) Host.Free(slot);
        else Host.Refresh(slot);
    }

    /// <summary>Grants a lease of a block whose bytes are in host memory, or that has none.</summary>
    internal BlockLease Grant(ref BlockEntry entry, TierSet source)
    {
        if (entry.Length == 0) return new BlockLease(-1, 0, 0, 0, entry.Crc, entry.Codec, source);
        ref HostSlot slot = ref Host.Slots[entry.Slot];
        if (slot.Leases++ == 0)
        {
            Counters.LeasedSlots++;
            Host.Refresh(entry.Slot);
        }

        return new BlockLease(entry.Slot, slot.Generation, slot.Offset, entry.Length, entry.Crc, entry.Codec, source);
    }

    /// <summary>Ends a lease; does nothing when it has ended.</summary>
    internal void EndLease(in BlockLease lease)
    {
        if (lease.Slot < 0 || Closed || !Host.Slots.IsCurrent(lease.Slot, lease.Generation)) return;
        ref HostSlot slot = ref Host.Slots[lease.Slot];
        if (slot.Leases == 0 || --slot.Leases > 0) return;
        Counters.LeasedSlots--;
        Loosen(lease.Slot);
    }

    /// <summary>Notes where a block's committed record is, or that it has none any more.</summary>
    internal void SetAddress(ref BlockEntry entry, LogAddress address)
    {
        if (entry.Address.IsNone != address.IsNone)
        {
            int sign = address.IsNone ? -1 : 1;
            Counters.SsdBlocks += sign;
            Counters.SsdBytes += sign * entry.Length;
            Watch?.OnChanged(entry.Namespace, entry.Id);
        }

        entry.Address = address;
    }

    /// <summary>The slot's bytes need no more to be kept for the log.</summary>
    internal void MarkClean(ref HostSlot slot)
    {
        if (!slot.Has(SlotFlags.Dirty)) return;
        slot.Flags &= ~SlotFlags.Dirty;
        Counters.DirtyBlocks--;
    }

    /// <summary>Queues a change for the log and wakes the writer when it may be asleep.</summary>
    internal void AddOp(in LogOp op)
    {
        bool idle = Ops.Appended == Ops.Last;
        Ops.Add(op);
        if (idle || Ops.WaitingBytes >= Options.WriteBatchBytes) WriterWake.Set();
    }

    /// <summary>Tells host memory whether the log is given up; then blocks that are only there may be evicted, or again may not.</summary>
    internal void SetLogGivenUp(bool givenUp)
    {
        if (LogGivenUp == givenUp) return;
        LogGivenUp = givenUp;
        for (long number = Ops.Durable + 1; number <= Ops.Last; number++)
        {
            ref LogOp op = ref Ops[number];
            if (op.Kind != LogRecordKind.Block || !Host.Slots.IsCurrent(op.Slot, op.Generation)) continue;
            if (givenUp) Settle(op.Slot);
            Host.Refresh(op.Slot);
        }
    }

    /// <summary>Closes without freeing anything: what hangs at the device refers to slots and entries.</summary>
    internal void Abandon()
    {
        Closed = true;
        Draining = true;
        Abandoned = true;
        Host.Room.Pulse();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Closed) return;
        Closed = true;
        Draining = true;
        Host.Room.Pulse();
        Free();
    }

    /// <summary>Gives native memory back; after <see cref="Abandon"/> only once nothing is under way any more.</summary>
    internal void Free()
    {
        Host.Dispose();
        Index.Dispose();
        Groups.Dispose();
        Keys.Dispose();
    }
}

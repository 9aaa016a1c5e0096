namespace KvTier.Engine;

/// <summary>Pins, expiry, and what the log has to learn.</summary>
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

    /// <summary>True when a block is pinned now. A pin whose time has run out ends here, before the sweep comes by.</summary>
    internal bool IsPinned(uint number)
    {
        if (!Index[number].Has(EntryFlags.Pinned)) return false;
        if (Pins.Get(number) > NowUnixMs) return true;
        Unpin(number);
        return false;
    }

    /// <summary>Sets when a block expires.</summary>
    internal void SetExpiry(ref BlockEntry entry, long expiryUnixMs)
    {
        bool expired = entry.Expiry != 0;
        entry.Expiry = expiryUnixMs;
        bool expires = entry.Expiry != 0;
        if (expired != expires) Counters.ExpiringBlocks += expires ? 1 : -1;
    }

    /// <summary>Marks a sealed slot as not in the log, and queues its block.</summary>
    internal void QueueBlock(int slot)
    {
        ref HostSlot record = ref Host.Slots[slot];
        ref BlockEntry entry = ref Index[record.Entry];
        record.Flags |= SlotFlags.Dirty;
        Counters.DirtyBlocks++;
        AddOp(new LogOp
        {
            Kind = LogRecordKind.Block,
            Namespace = entry.Namespace,
            Id = entry.Id,
            Slot = slot,
            Generation = record.Generation,
            Bytes = entry.Length,
        });
    }

    /// <summary>Frees a slot that belonged to no block.</summary>
    internal void FreeScratch(int slot)
    {
        Counters.ScratchSlots--;
        Counters.ScratchBytes -= Host.Slots[slot].Capacity;
        Host.Free(slot);
    }

    /// <summary>Notes whether the device tier has a copy of a block.</summary>
    internal void SetOnDevice(ref BlockEntry entry, bool isOnDevice)
    {
        if (entry.Has(EntryFlags.OnDevice) == isOnDevice) return;
        entry.Flags ^= EntryFlags.OnDevice;
        Counters.DeviceBlocks += isOnDevice ? 1 : -1;
        Watch?.OnChanged(entry.Namespace, entry.Id);
    }

    /// <summary>The block goes or gets other content: the device tier has to let go of its copy.</summary>
    internal void LeaveDevice(ref BlockEntry entry)
    {
        if (!entry.Has(EntryFlags.OnDevice)) return;
        SetOnDevice(ref entry, isOnDevice: false);
        OnDeviceBlockGone?.Invoke(entry.Namespace, entry.Id);
    }

    /// <summary>A block is put that is here: when its record went with a segment of the log, it is written again, as the put may ask for a
    /// durable copy.</summary>
    internal void WriteAgain(uint number)
    {
        ref BlockEntry entry = ref Index[number];
        if (!HasLog || !entry.Address.IsNone || entry.Slot < 0) return;
        ref HostSlot slot = ref Host.Slots[entry.Slot];
        if (slot.State != SlotState.Sealed || slot.Has(SlotFlags.Dirty)) return;
        QueueBlock(entry.Slot);
        Host.Refresh(entry.Slot);
    }
}

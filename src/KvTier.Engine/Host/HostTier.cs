using KvTier.Memory;

namespace KvTier.Engine;

/// <summary>
/// Host memory: slots cut from the arena, the order in which they give way, and who holds them. It knows no blocks; what a slot's
/// block becomes when it has to go is its owner's business. Not thread-safe.
/// </summary>
internal sealed class HostTier : IDisposable
{
    /// <summary>Victims that one search for room may take, so that a put of a large block does not hold the lock for long.</summary>
    private const int VictimsPerSearch = 4096;

    private readonly Arena arena;
    private readonly IVictimOrder order;
    private readonly IVictimOwner owner;
    private readonly long blocksMax;
    private long blockedInOrder;

    internal HostTier(Arena arena, IVictimOrder order, IVictimOwner owner, long blocksMax)
    {
        this.arena = arena;
        this.order = order;
        this.owner = owner;
        this.blocksMax = blocksMax > 0 ? blocksMax : long.MaxValue;
    }

    /// <summary>The slots.</summary>
    internal SlotTable Slots { get; } = new();

    /// <summary>Tells who waits for room.</summary>
    internal RoomSignal Room { get; } = new();

    /// <summary>Slots that could be freed for others now.</summary>
    internal long VictimsNow => order.Count - blockedInOrder;

    /// <summary>Slots in the victim order.</summary>
    internal long Ordered => order.Count;

    /// <summary>Takes a slot, evicting what has to go for it.</summary>
    /// <returns>False when there is no room and nothing may go, or not enough in one search.</returns>
    internal bool TryTake(int lengthBytes, SlotState state, out int slot)
    {
        slot = -1;
        for (int victims = 0; ; victims++)
        {
            ArenaSlot room = ArenaSlot.None;
            if (Slots.Count < blocksMax && (lengthBytes == 0 || arena.TryAllocate(lengthBytes, out room)))
            {
                slot = Slots.Take(room.Offset, room.Capacity, state);
                return true;
            }

            if (victims == VictimsPerSearch || VictimsNow == 0) return false;
            int victim = order.TakeVictim(owner);
            if (victim < 0) return false;
            Slots[victim].Flags &= ~SlotFlags.Ordered;
            owner.OnVictim(victim);
        }
    }

    /// <summary>True when <see cref="TryTake"/> might succeed now.</summary>
    internal bool MayHaveRoom(int lengthBytes)
    {
        if (VictimsNow > 0) return true;
        if (Slots.Count >= blocksMax) return false;
        if (lengthBytes == 0) return true;
        if (!arena.TryAllocate(lengthBytes, out ArenaSlot room)) return false;
        arena.Free(room);
        return true;
    }

    /// <summary>Gives a slot back that nobody holds.</summary>
    internal void Free(int slot)
    {
        ref HostSlot record = ref Slots[slot];
        LeaveOrder(slot);
        if (record.Capacity > 0) arena.Free(new ArenaSlot(record.Offset, record.Capacity));
        Slots.Give(slot);
        Room.Pulse();
    }

    /// <summary>The slot's block was used.</summary>
    internal void Touch(int slot)
    {
        if (Slots[slot].Has(SlotFlags.Ordered)) order.Touch(slot);
    }

    /// <summary>The slot's block is not wanted: it goes before others.</summary>
    internal void Cool(int slot)
    {
        if (Slots[slot].Has(SlotFlags.Ordered)) order.Cool(slot);
    }

    /// <summary>Puts a slot into the victim order.</summary>
    internal void EnterOrder(int slot, ulong fingerprint, bool cold)
    {
        ref HostSlot record = ref Slots[slot];
        if (record.Has(SlotFlags.Ordered)) return;
        order.Insert(slot, fingerprint, cold);
        record.Flags |= SlotFlags.Ordered;
        Refresh(slot);
        if (!record.Has(SlotFlags.Blocked)) Room.Pulse();
    }

    /// <summary>Takes a slot out of the victim order.</summary>
    internal void LeaveOrder(int slot)
    {
        ref HostSlot record = ref Slots[slot];
        if (!record.Has(SlotFlags.Ordered)) return;
        order.Remove(slot);
        if (record.Has(SlotFlags.Blocked)) blockedInOrder--;
        record.Flags &= ~(SlotFlags.Ordered | SlotFlags.Blocked);
    }

    /// <summary>Notes whether a slot in the order may go, after its leases, holds or dirt changed.</summary>
    internal void Refresh(int slot)
    {
        ref HostSlot record = ref Slots[slot];
        if (!record.Has(SlotFlags.Ordered)) return;
        bool blocked = !owner.MayGo(slot);
        if (blocked == record.Has(SlotFlags.Blocked)) return;
        record.Flags ^= SlotFlags.Blocked;
        blockedInOrder += blocked ? 1 : -1;
        if (!blocked) Room.Pulse();
    }

    /// <summary>The bytes of a slot.</summary>
    internal Memory<byte> Slice(int slot, int length) => length == 0 ? Memory<byte>.Empty : arena.Slice(Slots[slot].Offset, length);

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int slot = 0; slot < Slots.Top; slot++)
        {
            if (Slots[slot].State != SlotState.Free && Slots[slot].Capacity > 0)
            {
                arena.Free(new ArenaSlot(Slots[slot].Offset, Slots[slot].Capacity));
            }
        }

        order.Dispose();
        Slots.Dispose();
    }
}

/// <summary>Decides whether a slot's block may go, and lets it go.</summary>
internal interface IVictimOwner : IVictimCheck
{
    /// <summary>The slot left the order: its block has to leave host memory and the slot to be freed.</summary>
    void OnVictim(int slot);
}

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvTier.Engine;

/// <summary>Life of a slot.</summary>
internal enum SlotState : byte
{
    /// <summary>Not in use.</summary>
    Free,

    /// <summary>A put writes it; <see cref="HostSlot.Entry"/> is the number of the pending put.</summary>
    Reserved,

    /// <summary>The log is read into it; <see cref="HostSlot.Entry"/> is the block's, or 0 when the block went meanwhile.</summary>
    Reading,

    /// <summary>Holds the bytes of a block.</summary>
    Sealed,

    /// <summary>Its block was deleted or replaced; readers still hold it.</summary>
    Orphan,

    /// <summary>Belongs to no block; its holder writes it.</summary>
    Scratch,
}

/// <summary>Facts about a slot that are one bit each.</summary>
[Flags]
internal enum SlotFlags : byte
{
    /// <summary>None of them.</summary>
    None = 0,

    /// <summary>The block should be in the log and is not committed there yet.</summary>
    Dirty = 1,

    /// <summary>It is in the victim order.</summary>
    Ordered = 2,

    /// <summary>It is in the victim order but may not go now.</summary>
    Blocked = 4,
}

/// <summary>A slot of host memory: 32 bytes.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal struct HostSlot
{
    /// <summary>First byte in the arena.</summary>
    internal long Offset;

    /// <summary>Bytes there; 0 for the slot of an empty block.</summary>
    internal int Capacity;

    /// <summary>Entry of the block, or what <see cref="SlotState"/> says.</summary>
    internal uint Entry;

    /// <summary>Raised each time the slot is taken.</summary>
    internal uint Generation;

    /// <summary>Readers that hold it.</summary>
    internal int Leases;

    /// <summary>Uses by the engine itself: an append or a read under way. While the slot is free, the next free one.</summary>
    internal int Holds;

    internal SlotState State;
    internal SlotFlags Flags;

    internal readonly bool Has(SlotFlags flag) => (Flags & flag) == flag;
}

/// <summary>The slots by number. Not thread-safe.</summary>
internal sealed class SlotTable : IDisposable
{
    /// <summary>Most slots; only addresses are reserved for them.</summary>
    internal const int SlotsMax = 1 << 28;

    private readonly ReservedArray<HostSlot> slots = new(SlotsMax);
    private int top;
    private int free = -1;

    /// <summary>Slots that are not free.</summary>
    internal long Count { get; private set; }

    /// <summary>One more than the highest number handed out so far.</summary>
    internal int Top => top;

    /// <summary>Bytes of native memory that the table takes.</summary>
    internal unsafe long NativeBytes => slots.Pointer == null ? 0 : top * (long)sizeof(HostSlot);

    /// <summary>A slot by its number.</summary>
    internal ref HostSlot this[int slot]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref slots[slot];
    }

    /// <summary>Takes a free slot.</summary>
    internal int Take(long offset, int capacity, SlotState state)
    {
        int number = free;
        if (number >= 0) free = slots[number].Holds;
        else if (top < SlotsMax) number = top++;
        else throw new KvException(KvError.LimitExceeded("slots", top, SlotsMax));
        ref HostSlot slot = ref slots[number];
        uint generation = slot.Generation + 1;
        slot = new HostSlot { Offset = offset, Capacity = capacity, Generation = generation, State = state };
        Count++;
        return number;
    }

    /// <summary>Gives a slot back.</summary>
    internal void Give(int number)
    {
        ref HostSlot slot = ref slots[number];
        slot = new HostSlot { Generation = slot.Generation, Holds = free };
        free = number;
        Count--;
    }

    /// <summary>True when a number and generation stand for a slot that is in use.</summary>
    internal bool IsCurrent(int number, uint generation) =>
        (uint)number < (uint)top && slots[number].Generation == generation && slots[number].State != SlotState.Free;

    /// <inheritdoc/>
    public void Dispose()
    {
        slots.Dispose();
        top = 0;
        free = -1;
    }
}

namespace KvTier.Memory;

/// <summary>
/// Slots of memory that this process does not address, such as a GPU's: offsets only, with the size classes of <see cref="Arena"/>.
/// Not thread-safe.
/// </summary>
public sealed class DetachedArena : IDisposable
{
    private readonly SlotAllocator slots;

    /// <summary>Makes an arena of which all is free.</summary>
    /// <param name="capacityBytes">Its size, rounded down to whole extents of 256 KiB; at least one extent, at most
    /// <see cref="ArenaOptions.CapacityBytesMax"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The size is outside.</exception>
    public DetachedArena(long capacityBytes)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacityBytes, ExtentPool.ExtentBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacityBytes, ArenaOptions.CapacityBytesMax);
        int extents = (int)(capacityBytes >> ExtentPool.ExtentShift);
        CapacityBytes = (long)extents << ExtentPool.ExtentShift;
        // Extent 0 is the header's in an arena with one; here nothing lies there and offsets are moved down by it.
        slots = new SlotAllocator(extents + 1);
    }

    /// <summary>Bytes that slots may take.</summary>
    public long CapacityBytes { get; }

    /// <summary>Bytes in allocated slots.</summary>
    public long UsedBytes => slots.UsedBytes;

    /// <summary>Finds a slot.</summary>
    /// <param name="lengthBytes">1 to 64 MiB.</param>
    /// <param name="slot">The slot; its offset counts from 0 and is a multiple of 512.</param>
    /// <returns>False when there is no room.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The length is outside.</exception>
    public bool TryAllocate(int lengthBytes, out ArenaSlot slot)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(lengthBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lengthBytes, ExtentPool.RunMax << ExtentPool.ExtentShift);
        bool found = slots.TryAllocate(lengthBytes, out ArenaSlot inside, out _);
        slot = found ? inside with { Offset = inside.Offset - ExtentPool.ExtentBytes } : default;
        return found;
    }

    /// <summary>Gives a slot back.</summary>
    /// <exception cref="ArgumentException">It is no slot that is allocated now.</exception>
    public void Free(ArenaSlot slot) => slots.Free(slot with { Offset = slot.Offset + ExtentPool.ExtentBytes });

    /// <summary>Frees the bookkeeping.</summary>
    public void Dispose() => slots.Dispose();
}

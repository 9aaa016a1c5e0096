using KvTier.Memory;

namespace KvTier.Kernels.Device;

/// <summary>
/// The arena on the device: one buffer, cut into slots by bookkeeping on the host, so that kernels reach every slot by its offset.
/// Thread-safe.
/// </summary>
internal sealed class DeviceMemory : IDisposable
{
    private readonly DetachedArena slots;
    private bool disposed;

    /// <summary>Makes the bookkeeping of a buffer.</summary>
    public DeviceMemory(DeviceBuffer buffer)
    {
        Buffer = buffer;
        slots = new DetachedArena(buffer.Bytes);
    }

    /// <summary>The buffer.</summary>
    public DeviceBuffer Buffer { get; }

    /// <summary>Bytes that slots may take.</summary>
    public long CapacityBytes => slots.CapacityBytes;

    /// <summary>Bytes in allocated slots.</summary>
    public long UsedBytes
    {
        get
        {
            lock (slots) return slots.UsedBytes;
        }
    }

    /// <summary>Finds a slot.</summary>
    public bool TryAllocate(int lengthBytes, out DeviceSlot slot)
    {
        lock (slots)
        {
            slot = default;
            if (disposed || !slots.TryAllocate(lengthBytes, out ArenaSlot inside)) return false;
            slot = new DeviceSlot(inside.Offset, inside.Capacity);
            return true;
        }
    }

    /// <summary>Gives a slot back; after the end of the arena there is nothing to do.</summary>
    public void Free(DeviceSlot slot)
    {
        lock (slots)
        {
            if (!disposed) slots.Free(new ArenaSlot(slot.Offset, slot.Capacity));
        }
    }

    /// <summary>Says whether a run of bytes lies in the arena, at a multiple of the alignment.</summary>
    public bool Holds(long offset, long bytes, int alignment) =>
        offset >= 0 && offset % alignment == 0 && bytes >= 0 && bytes <= CapacityBytes && offset <= CapacityBytes - bytes;

    /// <summary>Frees the bookkeeping; the buffer is the driver's.</summary>
    public void Dispose()
    {
        lock (slots)
        {
            disposed = true;
            slots.Dispose();
        }
    }
}

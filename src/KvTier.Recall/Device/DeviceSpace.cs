namespace KvTier.Recall;

/// <summary>
/// Device memory under a byte budget, for blocks and digests alike. When there is no room, what is wanted less gives way, and what is in
/// use never does. A device that fails is not used again. Thread-safe.
/// </summary>
internal sealed class DeviceSpace
{
    /// <summary>Begun runs after which all heat halves.</summary>
    private const int HalveAfter = 256;

    private readonly IRecallDevice? device;
    private readonly HashSet<DeviceItem> items = [];
    private int begun;
    private bool hasRefused;

    /// <summary>Makes an empty space.</summary>
    /// <param name="device">The device, which is not owned; null for none.</param>
    /// <param name="bytesMax">Bytes of it that may be taken; 0 for none.</param>
    internal DeviceSpace(IRecallDevice? device, long bytesMax)
    {
        this.device = device;
        IsDown = device is null || bytesMax == 0;
        BytesMax = Math.Min(bytesMax, device?.CapacityBytes ?? 0);
    }

    /// <summary>Guards the items and their fields. What they call under it must not wait.</summary>
    internal Lock Gate { get; } = new();

    /// <summary>Bytes that may be taken.</summary>
    internal long BytesMax { get; }

    /// <summary>True when nothing is to be asked of the device any more.</summary>
    internal bool IsDown { get; private set; }

    /// <summary>Bytes taken.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Why the device is not used any more; null while it is.</summary>
    internal KvError? Fault { get; private set; }

    /// <summary>Called once, when the device has failed.</summary>
    internal Action<KvError>? OnFault { get; set; }

    /// <summary>Called at the first request that it refused without having failed.</summary>
    internal Action<KvError>? OnRefusal { get; set; }

    /// <summary>Requests that the device failed or refused, and the host answered.</summary>
    internal long Fallbacks { get; private set; }

    /// <summary>Copies made.</summary>
    internal long Additions { get; private set; }

    /// <summary>Items that gave way to others.</summary>
    internal long Evictions { get; private set; }

    /// <summary>A run begins: older heat counts less as runs go by.</summary>
    internal void Begin()
    {
        if (IsDown) return;
        lock (Gate)
        {
            if (++begun % HalveAfter != 0) return;
            foreach (DeviceItem item in items) item.Heat /= 2;
        }
    }

    /// <summary>Makes room and copies bytes there. Whoever calls adds the item or gives the place back with <see cref="Free"/>.</summary>
    /// <param name="bytes">The bytes; unchanged, and kept after an error.</param>
    /// <param name="heat">Only what was wanted less than this gives way.</param>
    /// <param name="place">Where they are.</param>
    /// <returns>False when there is no room or the device failed.</returns>
    internal bool TryCopy(ReadOnlyMemory<byte> bytes, int heat, out DevicePlace place)
    {
        lock (Gate)
        {
            place = default;
            if (IsDown || !TryAllocate(bytes.Length, heat, out place)) return false;
        }

        // The copy runs outside the lock; nobody knows the place yet.
        if (device!.Copy(bytes, place) is not { } error) return true;
        NoteFailure(error);
        Free(place);
        return false;
    }

    /// <summary>Takes an item in; under the lock.</summary>
    internal void Add(DeviceItem item)
    {
        items.Add(item);
        Bytes += item.Place.Capacity;
        Additions++;
        item.Owner.AddDeviceBytes(item.Place.Capacity);
    }

    /// <summary>Takes an item out, if it is in.</summary>
    internal void Remove(DeviceItem item)
    {
        lock (Gate)
        {
            if (!items.Remove(item)) return;
            Bytes -= item.Place.Capacity;
            item.Owner.AddDeviceBytes(-item.Place.Capacity);
            item.IsOut = true;
            item.Leave();
            if (item.Uses == 0) Free(item.Place);
        }
    }

    /// <summary>Ends a use of an item.</summary>
    internal void EndUse(DeviceItem item)
    {
        lock (Gate)
        {
            if (--item.Uses == 0 && item.IsOut) Free(item.Place);
        }
    }

    /// <summary>Gives a place back that no item has.</summary>
    internal void Free(DevicePlace place) => device!.Free(place);

    /// <summary>Notes that a request failed and the host answers it.</summary>
    internal void NoteFailure(KvError error)
    {
        Action<KvError>? hear;
        lock (Gate)
        {
            Fallbacks++;
            if (IsDown) return;
            IsDown = device!.Fault is not null;
            if (IsDown)
            {
                Fault = error;
                RemoveAll();
            }

            hear = IsDown ? OnFault : hasRefused ? null : OnRefusal;
            hasRefused = true;
        }

        hear?.Invoke(error);
    }

    /// <summary>Takes everything out, for good.</summary>
    internal void Close()
    {
        lock (Gate)
        {
            IsDown = true;
            RemoveAll();
        }
    }

    private bool TryAllocate(int bytes, int heat, out DevicePlace place)
    {
        place = default;
        while (Bytes + bytes > BytesMax || !device!.TryAllocate(bytes, out place))
        {
            DeviceItem? coldest = null;
            foreach (DeviceItem each in items)
            {
                if (each.Uses == 0 && (coldest is null || each.Heat < coldest.Heat)) coldest = each;
            }

            if (coldest is null || coldest.Heat >= heat) return false;
            Remove(coldest);
            Evictions++;
        }

        return true;
    }

    private void RemoveAll()
    {
        foreach (DeviceItem item in items.ToArray()) Remove(item);
    }
}

using System.Buffers;

namespace KvTier.Kernels.Device;

/// <summary>A copy that was started.</summary>
/// <param name="Index">Its place in the table.</param>
/// <param name="Generation">Tells it from earlier copies at the same place; 0 for no copy.</param>
public readonly record struct DeviceCopyTicket(int Index, int Generation);

/// <summary>
/// The copies in flight: what each waits for, and the host memory that it keeps pinned. Thread-safe; allocates nothing a copy.
/// </summary>
internal sealed class CopyTable
{
    private readonly Entry[] entries;
    private readonly Stack<int> free;

    public CopyTable(int copiesMax)
    {
        entries = new Entry[copiesMax];
        free = new Stack<int>(copiesMax);
        for (int i = copiesMax - 1; i >= 0; i--) free.Push(i);
    }

    /// <summary>Copies in flight.</summary>
    public int Count
    {
        get
        {
            lock (free) return entries.Length - free.Count;
        }
    }

    /// <summary>Takes a place.</summary>
    /// <returns>-1 when all are taken.</returns>
    public int TryTake()
    {
        lock (free) return free.TryPop(out int index) ? index : -1;
    }

    /// <summary>Notes what was started at a place that was taken.</summary>
    public DeviceCopyTicket Start(int index, DeviceToken token, MemoryHandle pin, long startedAt)
    {
        lock (free)
        {
            ref Entry entry = ref entries[index];
            entry.Generation = entry.Generation == int.MaxValue ? 1 : entry.Generation + 1;
            entry.Token = token;
            entry.Pin = pin;
            entry.StartedAt = startedAt;
            entry.Seen = new DeviceWait(DeviceWaitStatus.TimedOut);
            entry.Started = true;
            return new DeviceCopyTicket(index, entry.Generation);
        }
    }

    /// <summary>Finds a copy in flight.</summary>
    /// <param name="ticket">The copy.</param>
    /// <param name="token">What the driver knows it by.</param>
    /// <param name="startedAt">When it was started.</param>
    /// <param name="seen">How it ended, if <see cref="Note"/> was told; else timed out.</param>
    public bool TryGet(DeviceCopyTicket ticket, out DeviceToken token, out long startedAt, out DeviceWait seen)
    {
        lock (free)
        {
            bool there = IsInFlight(ticket);
            Entry entry = there ? entries[ticket.Index] : default;
            token = entry.Token;
            startedAt = entry.StartedAt;
            seen = entry.Seen;
            return there;
        }
    }

    /// <summary>Notes how a copy ended; its driver token is gone.</summary>
    public void Note(DeviceCopyTicket ticket, DeviceWait seen)
    {
        lock (free)
        {
            if (IsInFlight(ticket)) entries[ticket.Index].Seen = seen;
        }
    }

    /// <summary>Gives a place back that holds nothing yet.</summary>
    public void GiveBack(int index)
    {
        lock (free) free.Push(index);
    }

    /// <summary>Ends a copy: its memory is no longer pinned.</summary>
    /// <returns>False when it had ended.</returns>
    public bool End(DeviceCopyTicket ticket)
    {
        lock (free)
        {
            if (!IsInFlight(ticket)) return false;
            ref Entry entry = ref entries[ticket.Index];
            entry.Pin.Dispose();
            entry.Pin = default;
            entry.Started = false;
            free.Push(ticket.Index);
            return true;
        }
    }

    /// <summary>The copies in flight, for the end of the device.</summary>
    public List<DeviceCopyTicket> List()
    {
        lock (free)
        {
            var list = new List<DeviceCopyTicket>();
            for (int i = 0; i < entries.Length; i++)
            {
                if (entries[i].Started) list.Add(new DeviceCopyTicket(i, entries[i].Generation));
            }

            return list;
        }
    }

    private bool IsInFlight(DeviceCopyTicket ticket) =>
        (uint)ticket.Index < (uint)entries.Length && entries[ticket.Index].Started
        && entries[ticket.Index].Generation == ticket.Generation;

    private struct Entry
    {
        public DeviceWait Seen;
        public DeviceToken Token;
        public MemoryHandle Pin;
        public long StartedAt;
        public int Generation;
        public bool Started;
    }
}

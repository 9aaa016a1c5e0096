using System.Buffers;
using System.Diagnostics;

namespace KvTier.Kernels.Device;

/// <summary>Slots and copies.</summary>
public sealed partial class RecallDevice
{
    /// <summary>Device memory that was taken, slots and scratch together.</summary>
    public long BudgetBytes => session.Options.BudgetBytes;

    /// <summary>Bytes that slots may take: the budget less scratch, in whole pieces of 256 KiB.</summary>
    public long CapacityBytes => session.Memory.CapacityBytes;

    /// <summary>Bytes in slots now.</summary>
    public long UsedBytes => session.Memory.UsedBytes;

    /// <summary>Copies in flight.</summary>
    public int CopiesInFlight => copies.Count;

    /// <summary>Finds a slot.</summary>
    /// <param name="lengthBytes">1 to 64 MiB.</param>
    /// <param name="slot">The slot; its content is arbitrary.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is outside.</exception>
    public DeviceAllocation TryAllocate(int lengthBytes, out DeviceSlot slot)
    {
        slot = default;
        if (Fault is not null || Volatile.Read(ref closing)) return DeviceAllocation.Unavailable;
        return session.Memory.TryAllocate(lengthBytes, out slot) ? DeviceAllocation.Allocated : DeviceAllocation.DeviceFull;
    }

    /// <summary>Gives a slot back that no copy or request in flight uses. Works on a failed device too.</summary>
    /// <exception cref="ArgumentException">It is not allocated now.</exception>
    public void Free(DeviceSlot slot) => session.Memory.Free(slot);

    /// <summary>Starts a copy into a slot.</summary>
    /// <param name="source">The bytes; unchanged until the copy has ended. They are kept pinned until then.</param>
    /// <param name="slot">The slot.</param>
    /// <param name="at">First byte in the slot. Default 0.</param>
    /// <returns>A ticket for <see cref="Wait"/>; <see cref="ErrorCode.Busy"/> when too many copies are in flight.</returns>
    public Result<DeviceCopyTicket> CopyIn(ReadOnlyMemory<byte> source, DeviceSlot slot, int at = 0) =>
        StartCopy(source, slot, at, toDevice: true);

    /// <summary>Starts a copy out of a slot.</summary>
    /// <param name="slot">The slot; not freed before the copy has ended.</param>
    /// <param name="at">First byte in the slot.</param>
    /// <param name="destination">Where to. Its bytes mean nothing until <see cref="Wait"/> answered without an error,
    /// and a copy that did not end in time may write there as long as the device is open.</param>
    /// <returns>A ticket for <see cref="Wait"/>; <see cref="ErrorCode.Busy"/> when too many copies are in flight.</returns>
    public Result<DeviceCopyTicket> CopyOut(DeviceSlot slot, int at, Memory<byte> destination) =>
        StartCopy(destination, slot, at, toDevice: false);

    /// <summary>Says without waiting whether a copy has ended; one that has must still be waited for. One thread at a time may ask for or
    /// wait for a copy.</summary>
    public bool IsDone(DeviceCopyTicket ticket) => Look(ticket, TimeSpan.Zero).Status != DeviceWaitStatus.TimedOut;

    /// <summary>Waits for a copy and ends its ticket.</summary>
    /// <returns>Null when the bytes are there; else what failed.</returns>
    public KvError? Wait(DeviceCopyTicket ticket)
    {
        if (!copies.TryGet(ticket, out _, out long startedAt, out _))
            return KvError.InvalidArgument("device.copy", $"{ticket.Index}/{ticket.Generation}", "a copy in flight");
        // A failed device is asked once: what was done before it failed is done.
        TimeSpan left = Fault is null ? session.Options.OperationTimeout - Stopwatch.GetElapsedTime(startedAt) : TimeSpan.Zero;
        DeviceWait wait = Look(ticket, left > TimeSpan.Zero ? left : TimeSpan.Zero);
        if (wait.Status == DeviceWaitStatus.TimedOut)
        {
            // Its memory stays pinned: the device may yet read or write it.
            return session.Refusal ?? session.Abandon(DeviceErrors.TimedOut("device copy", session.Options.OperationTimeout));
        }

        copies.End(ticket);
        return wait.Status == DeviceWaitStatus.Done ? null : session.Fail(wait.Error!);
    }

    private DeviceWait Look(DeviceCopyTicket ticket, TimeSpan timeout)
    {
        if (!copies.TryGet(ticket, out DeviceToken token, out _, out DeviceWait seen)) return new DeviceWait(DeviceWaitStatus.Done);
        if (seen.Status != DeviceWaitStatus.TimedOut) return seen;
        DeviceWait wait = session.Driver.Wait(token, timeout);
        if (wait.Status != DeviceWaitStatus.TimedOut) copies.Note(ticket, wait);
        return wait;
    }

    private Result<DeviceCopyTicket> StartCopy(ReadOnlyMemory<byte> host, DeviceSlot slot, int at, bool toDevice)
    {
        if (session.Refusal is { } refused) return refused;
        if (host.Length < 1 || at < 0 || at > slot.Capacity - host.Length)
            return KvError.InvalidArgument("device.copy", $"{host.Length} bytes at {at}", $"1 byte or more inside {slot.Capacity}");
        if (!session.Memory.Holds(slot.Offset, slot.Capacity, 1))
            return KvError.InvalidArgument("device.slot", slot.Offset, $"inside {CapacityBytes} bytes");
        if (!starting.TryEnter(session.Options.OperationTimeout))
            return DeviceErrors.TimedOut("start of a device copy", session.Options.OperationTimeout);
        try
        {
            // After the lock: a device that closes waits for copies that were started before, and for none after.
            if (Volatile.Read(ref closing)) return new KvError(ErrorCode.Unavailable, "device", "closing", "an open device");
            return StartCopyInTurn(host, slot.Offset + at, toDevice);
        }
        finally
        {
            starting.Exit();
        }
    }

    private Result<DeviceCopyTicket> StartCopyInTurn(ReadOnlyMemory<byte> host, long offset, bool toDevice)
    {
        int index = copies.TryTake();
        if (index < 0) return new KvError(ErrorCode.Busy, "device.copiesMax", "all in flight", $"{session.Options.CopiesMax}");
        MemoryHandle pin = host.Pin();
        DeviceCopy copy;
        unsafe
        {
            copy = new DeviceCopy(
                session.Memory.Buffer, offset, (nint)pin.Pointer, host.Length, toDevice, DeviceQueue.Copy, WantsToken: true);
        }

        if (session.Driver.Copy(copy).TryGet(out DeviceToken token, out KvError? error))
            return copies.Start(index, token, pin, Stopwatch.GetTimestamp());
        pin.Dispose();
        copies.GiveBack(index);
        return session.Fail(error);
    }
}

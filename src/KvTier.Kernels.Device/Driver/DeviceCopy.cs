namespace KvTier.Kernels.Device;

/// <summary>A buffer in device memory.</summary>
/// <param name="Handle">The driver's handle or address.</param>
/// <param name="Bytes">Its size.</param>
public readonly record struct DeviceBuffer(nint Handle, long Bytes);

/// <summary>Stands for work that was started. The default value is no token: nothing to wait for.</summary>
/// <param name="Handle">The driver's handle.</param>
public readonly record struct DeviceToken(nint Handle)
{
    /// <summary>True when there is nothing to wait for.</summary>
    public bool IsNone => Handle == 0;
}

/// <summary>How a wait ended.</summary>
public enum DeviceWaitStatus : byte
{
    /// <summary>The work is done.</summary>
    Done,

    /// <summary>The time passed first; the token stays good.</summary>
    TimedOut,

    /// <summary>The work failed.</summary>
    Failed,
}

/// <summary>How a wait ended, and what failed.</summary>
/// <param name="Status">How it ended.</param>
/// <param name="Error">What failed; null unless <see cref="DeviceWaitStatus.Failed"/>.</param>
public readonly record struct DeviceWait(DeviceWaitStatus Status, KvError? Error = null);

/// <summary>The two queues of a device.</summary>
public enum DeviceQueue : byte
{
    /// <summary>Kernels, their inputs and their results.</summary>
    Compute,

    /// <summary>Payload on its way in and out.</summary>
    Copy,
}

/// <summary>A copy between host and device memory.</summary>
/// <param name="Buffer">The buffer on the device.</param>
/// <param name="Offset">First byte in the buffer.</param>
/// <param name="Host">First byte on the host; pinned and alive until the copy has ended.</param>
/// <param name="Bytes">Bytes, at least 1.</param>
/// <param name="ToDevice">True from host to device, false from device to host.</param>
/// <param name="Queue">The queue to run on.</param>
/// <param name="WantsToken">True to get a token.</param>
public readonly record struct DeviceCopy(
    DeviceBuffer Buffer, long Offset, nint Host, long Bytes, bool ToDevice, DeviceQueue Queue, bool WantsToken);

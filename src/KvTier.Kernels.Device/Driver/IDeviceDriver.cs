namespace KvTier.Kernels.Device;

/// <summary>
/// A device as the rest of this project sees it: memory, copies, kernels, waits. Thread-safe. Its calls return errors and never throw
/// for what a device or its driver does.
/// </summary>
/// <remarks>
/// <c>Dispose</c> waits for work in flight, however long that takes: afterwards nothing touches memory of the host any more.
/// Work runs on two queues, each in its order: what is started on <see cref="DeviceQueue.Copy"/> overlaps with
/// <see cref="DeviceQueue.Compute"/>. Nothing orders the two but a wait.
/// </remarks>
public interface IDeviceDriver : IDisposable
{
    /// <summary>What device this is.</summary>
    DeviceInfo Info { get; }

    /// <summary>Objects of the driver's library held now: contexts, queues, programs, buffers, events. 0 after <c>Dispose</c>.</summary>
    int LiveHandles { get; }

    /// <summary>Allocates device memory; its content is arbitrary.</summary>
    /// <param name="bytes">Its size, at least 1.</param>
    Result<DeviceBuffer> Allocate(long bytes);

    /// <summary>Frees a buffer that no work in flight uses.</summary>
    void Free(DeviceBuffer buffer);

    /// <summary>Starts a copy; it goes on after the call.</summary>
    /// <returns>A token for <see cref="Wait"/>, no token if none was asked for, or what failed.</returns>
    Result<DeviceToken> Copy(in DeviceCopy copy);

    /// <summary>Starts a kernel on the compute queue, building its program before its first launch.</summary>
    /// <returns>A token for <see cref="Wait"/>, no token if none was asked for, or what failed.</returns>
    Result<DeviceToken> Launch(in KernelLaunch launch);

    /// <summary>
    /// Waits until what the token stands for has ended, and all before it on its queue. Ends the token unless the time passes.
    /// </summary>
    /// <param name="token">A token; no token has ended.</param>
    /// <param name="timeout">How long; zero only looks.</param>
    DeviceWait Wait(DeviceToken token, TimeSpan timeout);
}

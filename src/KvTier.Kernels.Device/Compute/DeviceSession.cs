namespace KvTier.Kernels.Device;

/// <summary>
/// A driver with its two buffers, and the state that a failure leaves: the first error of the driver is kept, and every later request is
/// refused with it.
/// </summary>
internal sealed class DeviceSession
{
    /// <summary>Requests take turns: scratch and compute queue serve one at a time.</summary>
    private readonly Lock turn = new();
    private KvError? fault;

    public DeviceSession(IDeviceDriver driver, DeviceOptions options, DeviceMemory memory, Scratch scratch)
    {
        Driver = driver;
        Options = options;
        Memory = memory;
        Scratch = scratch;
    }

    /// <summary>The driver.</summary>
    public IDeviceDriver Driver { get; }

    /// <summary>How the device was opened.</summary>
    public DeviceOptions Options { get; }

    /// <summary>The arena.</summary>
    public DeviceMemory Memory { get; }

    /// <summary>The working memory; used between <see cref="Enter"/> and <see cref="Exit"/>.</summary>
    public Scratch Scratch { get; }

    /// <summary>Why the device failed; null while it works.</summary>
    public KvError? Fault => Volatile.Read(ref fault);

    /// <summary>True when work was started whose end was never seen: its memory must outlive the driver.</summary>
    public bool HasAbandonedWork { get; private set; }

    /// <summary>Null while the device works, else the error for callers.</summary>
    public KvError? Refusal => Fault is { } reason ? DeviceErrors.Unavailable(reason) : null;

    /// <summary>Marks the device as failed; the first reason stays.</summary>
    public KvError Fail(KvError reason)
    {
        Interlocked.CompareExchange(ref fault, reason, null);
        return reason;
    }

    /// <summary>Copies the first bytes of scratch to the device, ahead of the kernels that follow.</summary>
    public KvError? Upload(long bytes)
    {
        var copy = new DeviceCopy(Scratch.Buffer, 0, Scratch.Address(0), bytes, ToDevice: true, DeviceQueue.Compute, WantsToken: false);
        return Driver.Copy(copy).Error is { } error ? Abandon(error) : null;
    }

    /// <summary>Starts a kernel; more will follow.</summary>
    public KvError? Start(in KernelLaunch launch) => Driver.Launch(launch).Error is { } error ? Abandon(error) : null;

    /// <summary>Starts the last kernel of a request and waits for all of it.</summary>
    public KvError? Finish(in KernelLaunch launch)
    {
        // The wait comes before the results are fetched: a copy into pageable memory may block inside the driver, without a deadline,
        // until the kernel has ended.
        return Driver.Launch(launch).TryGet(out DeviceToken token, out KvError? error)
            ? Await(token, launch.Kernel)
            : Abandon(error);
    }

    /// <summary>Fetches results into scratch on the host.</summary>
    public KvError? Download(long at, long bytes)
    {
        var copy = new DeviceCopy(Scratch.Buffer, at, Scratch.Address(at), bytes, ToDevice: false, DeviceQueue.Compute, WantsToken: true);
        return Driver.Copy(copy).TryGet(out DeviceToken token, out KvError? error) ? Await(token, null) : Abandon(error);
    }

    /// <summary>Begins a request: takes the turn and lays scratch out anew. Without an error, <see cref="Exit"/> must follow.</summary>
    public KvError? Enter()
    {
        if (!turn.TryEnter(Options.OperationTimeout)) return DeviceErrors.TimedOut("device turn", Options.OperationTimeout);
        // Looked at inside the turn: the request before may have failed the device.
        if (Refusal is { } refused)
        {
            turn.Exit();
            return refused;
        }

        Scratch.Reset();
        return null;
    }

    /// <summary>Waits for the request that runs; those that wait for their turn are refused then, as the device has failed or closed.
    /// </summary>
    /// <returns>False when it does not end.</returns>
    public bool TryDrain()
    {
        if (!turn.TryEnter(Options.OperationTimeout)) return false;
        turn.Exit();
        return true;
    }

    /// <summary>Ends a request.</summary>
    public void Exit() => turn.Exit();

    /// <param name="token">What to wait for.</param>
    /// <param name="kernel">The kernel that it stands for; null for the results.</param>
    private KvError? Await(DeviceToken token, DeviceKernel? kernel)
    {
        DeviceWait wait = Driver.Wait(token, Options.OperationTimeout);
        if (wait.Status == DeviceWaitStatus.Done) return null;
        string what = $"device {kernel?.ToString() ?? "results"}";
        return Abandon(wait.Error ?? DeviceErrors.TimedOut(what, Options.OperationTimeout));
    }

    /// <summary>Marks the device as failed while work may still be in flight.</summary>
    public KvError Abandon(KvError error)
    {
        HasAbandonedWork = true;
        return Fail(error);
    }
}

namespace KvTier.Kernels.Device;

/// <summary>
/// A device that holds blocks and digests and computes on them: slots under a byte budget, copies on a queue of their own, scoring, top-K
/// and partial attention.
/// </summary>
/// <remarks>
/// Thread-safe. Requests take turns on the device; copies run beside them. The first error of the driver, and work that does not end
/// within <see cref="DeviceOptions.OperationTimeout"/>, mark the device as failed for good: <see cref="Fault"/> has the reason, and every
/// later call answers <see cref="ErrorCode.Unavailable"/> at once. Refused input does not.
/// </remarks>
public sealed partial class RecallDevice : IDisposable
{
    private readonly DeviceSession session;
    private readonly CopyTable copies;

    /// <summary>Copies start one at a time, and none after closing has begun.</summary>
    private readonly Lock starting = new();
    private bool closing;

    private RecallDevice(DeviceSession session)
    {
        this.session = session;
        copies = new CopyTable(session.Options.CopiesMax);
    }

    /// <summary>What device this is.</summary>
    public DeviceInfo Info => session.Driver.Info;

    /// <summary>Why the device failed; null while it works.</summary>
    public KvError? Fault => session.Fault;

    /// <summary>Objects of the driver's library held now; 0 after <see cref="Dispose"/>.</summary>
    public int LiveHandles => session.Driver.LiveHandles;

    /// <summary>Opens a device.</summary>
    /// <returns>The device; <see cref="ErrorCode.Unavailable"/> with everything that was tried when there is none;
    /// <see cref="ErrorCode.Unsupported"/> when the options say none; otherwise what is wrong with the options or failed.</returns>
    public static Result<RecallDevice> Open(DeviceOptions options)
    {
        if (options.Validate() is { } invalid) return invalid;
        return DeviceDrivers.Open(options.Driver, options.AllowCpu).TryGet(out IDeviceDriver? driver, out KvError? error)
            ? Open(options, driver)
            : error;
    }

    /// <summary>Opens a device over a driver.</summary>
    /// <param name="options">The options; which driver they name is not looked at.</param>
    /// <param name="driver">The driver; the device owns it from now on, also when it can't be opened.</param>
    public static Result<RecallDevice> Open(DeviceOptions options, IDeviceDriver driver)
    {
        KvError? error = options.Validate() ?? FitsBuffers(options, driver.Info);
        if (error is null && driver.Allocate(options.ScratchBytes).TryGet(out DeviceBuffer scratch, out error)
            && driver.Allocate(options.BudgetBytes - options.ScratchBytes).TryGet(out DeviceBuffer arena, out error))
            return new RecallDevice(new DeviceSession(driver, options, new DeviceMemory(arena), new Scratch(scratch)));
        driver.Dispose();
        return error!;
    }

    /// <summary>Builds the kernels for a dtype now, so that no request pays for it.</summary>
    /// <param name="dtype">The dtype; not raw.</param>
    /// <returns>Null, or what failed.</returns>
    public KvError? Prepare(Dtype dtype)
    {
        float[] one = new float[4];
        int[] index = new int[1];
        if (TryAllocate(64, out DeviceSlot slot) != DeviceAllocation.Allocated)
            return session.Refusal ?? KvError.LimitExceeded("device.budgetBytes", "full", session.Options.BudgetBytes);
        var score = new ScoreBatch { Dtype = dtype, RowLength = 4, Queries = 1, QueryRows = one, Ranges = [new RowRange(slot.Offset, 1)] };
        var attend = new AttendBatch
        {
            Dtype = dtype,
            Dims = 4,
            Scale = 1,
            Queries = one,
            Groups = [new AttendGroup(0, 1, 0, 1)],
            Chunks = [new AttendChunk(slot.Offset, slot.Offset, 1)],
        };
        KvError? error = ScoreTopK(score, ScoreReduction.Max, [new ScoreList(0, 1)], 1, index, []) ?? Attend(attend, one, one.AsSpan(0, 1));
        Free(slot);
        return error;
    }

    /// <summary>Gives everything back. Requests and copies in flight are waited for; the memory of work that never ends is not touched
    /// again and stays with the process.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref closing, true)) return;
        // Whoever is inside has a deadline; what starts later sees that the device is closing.
        bool idle = starting.TryEnter(session.Options.OperationTimeout);
        if (idle) starting.Exit();
        foreach (DeviceCopyTicket copy in copies.List()) _ = Wait(copy);
        session.Fail(new KvError(ErrorCode.ShuttingDown, "device", "closed"));
        idle &= session.TryDrain();
        session.Memory.Dispose();
        if (idle && !session.HasAbandonedWork) session.Driver.Dispose();
        else if (!TryCloseElsewhere()) return;
        foreach (DeviceCopyTicket copy in copies.List()) copies.End(copy);
        session.Scratch.Dispose();
    }

    /// <summary>
    /// Closes the driver on a thread of its own: it waits inside for work in flight, perhaps forever.
    /// </summary>
    /// <returns>False when it takes too long; then the device may still write to scratch and to the destinations of copies.</returns>
    private bool TryCloseElsewhere()
    {
        Task closed = Task.Factory.StartNew(
            session.Driver.Dispose, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return closed.Wait(session.Options.CloseTimeout);
    }

    private static KvError? FitsBuffers(DeviceOptions options, DeviceInfo info) =>
        options.BudgetBytes - options.ScratchBytes <= info.BufferBytesMax
            ? null
            : KvError.LimitExceeded("device.budgetBytes", options.BudgetBytes, info.BufferBytesMax + options.ScratchBytes);
}

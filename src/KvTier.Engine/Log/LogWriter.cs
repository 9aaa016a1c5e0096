namespace KvTier.Engine;

/// <summary>
/// Write-behind: appends every change to the log in its order, in rounds, and commits while the next round is appended. One caller
/// steps it: the loop, or a simulation.
/// </summary>
internal sealed partial class LogWriter
{
    /// <summary>With less than this waiting and nobody waiting for it, the loop lets more changes gather first.</summary>
    private const long GatherBytes = 1 << 20;

    /// <summary>Changes that may queue up before those that later ones made void are looked for.</summary>
    private const int CompactMin = 4096;

    private static readonly TimeSpan gatherTime = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan idleTime = TimeSpan.FromSeconds(1);

    private readonly EngineState state;
    private readonly IBlockLog log;
    private readonly EngineMetrics metrics;
    private readonly Reclaimer reclaimer;
    private readonly LogBatch batch = new();
    private readonly DurabilityWaiters waiters = new();
    private readonly LogFault fault;
    private Task<KvError?>? commit;
    private long commitUpTo;
    private long commitStart;
    private readonly long batchBytes;
    private bool capReached;
    private bool wrote;
    private long compactAt = CompactMin;
    private volatile bool running;
    private bool closed;

    internal LogWriter(EngineState state, IBlockLog log, EngineMetrics metrics)
    {
        this.state = state;
        this.log = log;
        this.metrics = metrics;
        reclaimer = new Reclaimer(state, log);
        batchBytes = reclaimer.BatchBytes;
        fault = new LogFault(state.Time, TimeSpan.FromMilliseconds(state.Options.LogRefusedGraceMs));
    }

    /// <summary>Steps until told to stop.</summary>
    internal async Task RunAsync(CancellationToken stop)
    {
        running = true;
        while (!stop.IsCancellationRequested)
        {
            if (MayGather()) await state.WriterWake.WaitAsync(gatherTime);
            bool worked;
            try
            {
                worked = await StepAsync();
            }
#pragma warning disable CA1031 // Nobody would write any more if this loop ended; those who wait hear of it instead.
            catch (Exception e)
#pragma warning restore CA1031
            {
                lock (state.Gate) Refused(new KvError(ErrorCode.Internal, "ssd", e.Message), state.Ops.Appended + 1);
                worked = false;
            }

            if (!worked) await state.WriterWake.WaitAsync(TimeUntilWork());
        }

        running = false;

        // Nobody appends any more: who still waits, or comes now, hears of it instead of waiting until a deadline.
        EndWaits();
    }

    /// <summary>Makes room, appends one round, and moves the commit on.</summary>
    /// <returns>False when there was nothing to do, or nothing may be tried yet.</returns>
    internal async ValueTask<bool> StepAsync()
    {
        if (commit is { IsCompleted: true }) await FinishCommitAsync();
        bool worked = await MakeRoomAsync();
        lock (state.Gate)
        {
            state.SetLogGivenUp(fault.IsLong);
            CompactChanges();
            batch.Reset();
            if (fault.UntilRetry == TimeSpan.Zero) Pick();
        }

        if (batch.Count > 0) await AppendAsync();
        worked |= batch.Count > 0 || commit is not null;
        if (commit is null) StartCommit();
        else if (batch.Count == 0) await FinishCommitAsync();
        return worked || commit is not null;
    }

    /// <summary>Waits until everything up to a change is durable.</summary>
    internal async ValueTask<KvError?> WaitAsync(long ticket, TimeSpan deadline)
    {
        DurabilityWaiters.Waiter waiter;
        lock (state.Gate)
        {
            ticket = state.Ops.Renumbered(ticket);
            if (ticket <= state.Ops.Durable) return null;
            if (fault.Error is { } error && fault.UntilRetry > TimeSpan.Zero && ticket > state.Ops.Appended) return error;
            if (closed) return new KvError(ErrorCode.ShuttingDown, "engine");
            waiter = waiters.Add(ticket);
        }

        state.WriterWake.Set();
        if (await Waiting.ForAsync(waiter.Task, deadline, state.Time)) return await waiter.Task;
        lock (state.Gate) waiters.Remove(waiter);
        return new KvError(ErrorCode.DeadlineExceeded, "durable write", $"not committed after {deadline.TotalMilliseconds:0} ms");
    }

    /// <summary>Makes everything queued so far durable.</summary>
    internal async ValueTask<KvError?> DrainAsync(TimeSpan deadline)
    {
        long start = state.Time.GetTimestamp();
        long ticket;
        lock (state.Gate) ticket = state.Ops.Last;
        if (running) return await WaitAsync(ticket, deadline);
        while (true)
        {
            lock (state.Gate)
            {
                if (state.Ops.Durable >= ticket) return null;
                if (fault.Error is { } error && fault.UntilRetry > TimeSpan.Zero) return error;
            }

            if (state.Time.GetElapsedTime(start) > deadline) return new KvError(ErrorCode.DeadlineExceeded, "drain");
            await StepAsync();
        }
    }

    /// <summary>Ends the commit under way and tells those who wait that no other comes.</summary>
    internal async ValueTask CloseAsync()
    {
        if (commit is not null) await FinishCommitAsync();
        EndWaits();
        reclaimer.Dispose();
    }

    private void EndWaits()
    {
        lock (state.Gate)
        {
            closed = true;
            waiters.FailAfter(-1, new KvError(ErrorCode.ShuttingDown, "engine"));
        }
    }

    private bool MayGather()
    {
        lock (state.Gate)
        {
            return commit is null && waiters.Count == 0 && state.Ops.Appended < state.Ops.Last
                && state.Ops.WaitingBytes < Math.Min(GatherBytes, state.Options.WriteBatchBytes);
        }
    }

    private TimeSpan TimeUntilWork()
    {
        lock (state.Gate) return fault.Error is null ? idleTime : fault.UntilRetry;
    }

    private void Pick()
    {
        batch.Reset();
        LogOpQueue ops = state.Ops;
        for (long number = ops.Appended + 1; number <= ops.Last; number++)
        {
            if (batch.Count == LogBatch.ChangesMax || batch.Bytes >= batchBytes) return;
            ref LogOp op = ref ops[number];
            if (op.Kind == LogRecordKind.Block) PickBlock(number, op);
            else batch.Add(number, -1, RecordOf(op), []);
        }
    }

    private void PickBlock(long number, in LogOp op)
    {
        if (!IsWanted(op))
        {
            batch.AddNothing(number);
            return;
        }

        ref HostSlot slot = ref state.Host.Slots[op.Slot];
        ref BlockEntry entry = ref state.Index[slot.Entry];
        entry.Flags |= EntryFlags.Traced;
        slot.Holds++;
        state.Host.Refresh(op.Slot);
        LogRecord record = RecordOf(op) with
        {
            Group = state.RecordedGroupOf(slot.Entry),
            Codec = entry.Codec,
            PayloadCrc = entry.Crc,
            ExpiryUnixMs = entry.Expiry,
            Payload = state.Host.Slice(op.Slot, entry.Length),
        };
        batch.Add(number, op.Slot, record, state.Keys.Get(entry.Key, entry.KeyLength));
    }

    // A block that was deleted, replaced or evicted meanwhile needs no record.
    private bool IsWanted(in LogOp op)
    {
        if (!state.Host.Slots.IsCurrent(op.Slot, op.Generation)) return false;
        ref HostSlot slot = ref state.Host.Slots[op.Slot];
        return slot.State == SlotState.Sealed && slot.Has(SlotFlags.Dirty);
    }

    private LogRecord RecordOf(in LogOp op) => new()
    {
        Kind = op.Kind,
        Namespace = state.Namespaces.IdOf(op.Namespace),
        Id = op.Id,
        ExpiryUnixMs = op.Expiry,
    };

    private async ValueTask AppendAsync()
    {
        KvError? error = null;
        int done = 0;
        while (done < batch.Count)
        {
            if (batch[done].HasRecord)
            {
                LogAppendResult result = await TryAppendAsync(batch[done].Record);
                wrote |= result.Status == LogAppendStatus.Appended;
                capReached = result.Status == LogAppendStatus.CapReached;
                error = ErrorOf(result.Status);
                if (result.Status != LogAppendStatus.Appended) break;
                batch[done].Address = result.Address;
            }

            done++;
        }

        lock (state.Gate)
        {
            for (int i = 0; i < batch.Count; i++) NoteAppended(batch[i], isAppended: i < done);
            if (error is not null) Refused(error, state.Ops.Appended + 1);
        }
    }

    private async ValueTask<LogAppendResult> TryAppendAsync(LogRecord record)
    {
        try
        {
            return await log.AppendAsync(record);
        }
#pragma warning disable CA1031 // The slots of the round must come back whatever a device throws.
        catch (Exception)
#pragma warning restore CA1031
        {
            return new LogAppendResult(LogAppendStatus.IoError, default);
        }
    }

    private void NoteAppended(in LogBatch.Change item, bool isAppended)
    {
        if (item.Slot >= 0) state.Unhold(item.Slot);
        if (!isAppended) return;
        ref LogOp op = ref state.Ops[item.Number];
        op.Address = item.Address;
        state.Ops.Appended = item.Number;
        state.Ops.WaitingBytes -= op.Bytes;
    }

    private KvError? ErrorOf(LogAppendStatus status) => status switch
    {
        LogAppendStatus.DiskFull => new KvError(ErrorCode.DiskFull, "ssd", "no room on the disk", "free space for another segment"),
        LogAppendStatus.IoError => new KvError(ErrorCode.IoError, "ssd", log.Status.Fault?.Message ?? "append failed"),
        _ => null,
    };
}

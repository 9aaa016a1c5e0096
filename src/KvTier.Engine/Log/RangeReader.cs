namespace KvTier.Engine;

/// <summary>
/// Reads ranges of blocks from the log, no more at one time than allowed, without a slot. Members need the engine's lock unless they say
/// otherwise.
/// </summary>
internal sealed class RangeReader(EngineState state, IBlockLog log)
{
    /// <summary>Reads that may wait for others; behind a device that hangs, more are answered at once.</summary>
    internal const int QueueMax = 1 << 16;

    /// <summary>Reads at one time, whatever the option says: the log's own queue must never make one of its threads wait.</summary>
    private const int ReadsMax = 1024;

    private const int SpareMax = 4096;

    private readonly Queue<RangeRead> queue = [];
    private readonly Stack<RangeRead> spare = [];
    private readonly int readsMax = Math.Min(state.Options.SsdReadsMax, ReadsMax);
    private TaskCompletionSource? idle;
    private int active;
    private bool closed;

    /// <summary>Called without the lock when the device failed to read, with the number of such failures.</summary>
    internal Action<long>? OnError { get; set; }

    /// <summary>Reads under way and waiting.</summary>
    internal int Count => active + queue.Count;

    /// <summary>Queues a read. <see cref="Launch"/> has to follow, without the lock.</summary>
    /// <param name="batch">The call that waits for it.</param>
    /// <param name="index">Place of the result, which says <see cref="MissReason.Deadline"/> as long as there is none.</param>
    /// <param name="item">What is read.</param>
    /// <param name="number">The block's entry.</param>
    /// <returns>The read, which <see cref="TryExtend"/> takes until the lock is let go; null when too many wait.</returns>
    internal RangeRead? Add(RangeBatch batch, int index, in BlockRanges item, uint number)
    {
        if (closed || queue.Count >= QueueMax)
        {
            state.Ledger.Count(MissReason.Deadline);
            return null;
        }

        if (!spare.TryPop(out RangeRead? read)) read = new RangeRead(OnCompleted);
        read.Begin(batch, index);
        read.Add(item);
        read.Aim(state.Index[number]);
        batch.Left++;
        queue.Enqueue(read);
        return read;
    }

    /// <summary>Lets a read that was just queued read the next item of the call too, when that is of the same block.</summary>
    internal static bool TryExtend(RangeRead? read, int index, in BlockRanges item)
    {
        if (read is null || read.Count == RangeRead.ItemsMax || read.Index + read.Count != index) return false;
        if (read.Id != item.Id || read.Namespace != item.Namespace) return false;
        read.Add(item);
        read.Batch.Left++;
        return true;
    }

    /// <summary>Starts what may be read now. Needs no lock.</summary>
    internal void Launch()
    {
        while (true)
        {
            RangeRead? next;
            lock (state.Gate) next = TakeNext();
            if (next is null) return;
            Run(next);
        }
    }

    /// <summary>The deadline of a call has passed: what it waits for is counted as missed and not begun any more. Needs no lock.</summary>
    internal void GiveUp(RangeBatch batch)
    {
        lock (state.Gate)
        {
            batch.Close();
            for (int i = batch.Left; i > 0; i--) state.Ledger.Count(MissReason.Deadline);
            for (int i = queue.Count; i > 0; i--)
            {
                RangeRead read = queue.Dequeue();
                if (read.Batch == batch) GiveBack(read);
                else queue.Enqueue(read);
            }
        }

        batch.AwaitWriters();
    }

    /// <summary>Refuses further reads and waits for those under way. Needs no lock.</summary>
    internal async ValueTask CloseAsync()
    {
        Task last;
        lock (state.Gate)
        {
            closed = true;
            while (queue.TryDequeue(out RangeRead? read))
            {
                ReportMiss(read, MissReason.ShuttingDown);
                Leave(read);
            }

            if (active == 0) return;
            idle = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            last = idle.Task;
        }

        await last;
    }

    private void OnCompleted(RangeRead read) => Run(End(read, TakeResult(read)));

    private RangeRead? TakeNext()
    {
        if (closed || active >= readsMax || !queue.TryDequeue(out RangeRead? next)) return null;
        active++;
        return next;
    }

    // Reads one after another as long as they end at once.
    private void Run(RangeRead? read)
    {
        while (read is not null)
        {
            if (!TryStart(read, out LogReadResult outcome)) return;
            read = End(read, outcome);
        }
    }

    private bool TryStart(RangeRead read, out LogReadResult outcome)
    {
        outcome = new LogReadResult(LogReadStatus.IoError, 0);
        try
        {
            if (!read.Start(log)) return false;
        }
#pragma warning disable CA1031 // Whatever a device throws, those who wait must hear of it.
        catch (Exception)
#pragma warning restore CA1031
        {
            return true;
        }

        outcome = TakeResult(read);
        return true;
    }

    private static LogReadResult TakeResult(RangeRead read)
    {
        try
        {
            return read.TakeResult();
        }
#pragma warning disable CA1031 // As above.
        catch (Exception)
#pragma warning restore CA1031
        {
            return new LogReadResult(LogReadStatus.IoError, 0);
        }
    }

    /// <summary>A read has ended. Needs no lock.</summary>
    /// <returns>The read to be started in its place; null for none.</returns>
    private RangeRead? End(RangeRead read, LogReadResult outcome)
    {
        read.DeviceBytes += outcome.DeviceBytes;
        RangeLookup again = default;
        RangeRead? next;
        long errors;
        lock (state.Gate)
        {
            state.Counters.RangeDeviceBytes += outcome.DeviceBytes;
            if (Settle(read, outcome.Status, ref again)) Finish(read);
            errors = state.Counters.SsdReadErrors;
            next = TakeNext();
        }

        if (outcome.Status == LogReadStatus.IoError) OnError?.Invoke(errors);
        if (again.Place != RangePlace.Host) return next;
        CopyFromHost(read, again.Lease);
        lock (state.Gate) return next ?? TakeNext();
    }

    /// <summary>Reports what became of a read, unless it has to be tried again elsewhere.</summary>
    /// <returns>True when it was reported.</returns>
    private bool Settle(RangeRead read, LogReadStatus status, ref RangeLookup again)
    {
        switch (status)
        {
            case LogReadStatus.Ok:
                state.Counters.RangeReadsSsd += read.Count;
                state.Namespaces.Traffic(read.Namespace).Hits += read.Count;
                read.Report(new RangeReadResult(MissReason.None, TierSet.Ssd, read.DeviceBytes, read.PayloadCrc));
                return true;
            case LogReadStatus.IoError:
                state.Counters.LogFaults++;
                state.Counters.SsdReadErrors++;
                ReportMiss(read, MissReason.Deadline);
                return true;
            default:
                PutAway(read, status);
                return read.Batch.IsClosed || Retry(read, ref again);
        }
    }

    // The record went with its segment, or is not what it should be. A block that has another record by now is left alone.
    private void PutAway(RangeRead read, LogReadStatus status)
    {
        uint number = state.Closed ? 0 : state.Index.Find(read.Namespace, read.Id);
        if (number == 0 || state.Index[number].Address != read.Address) return;
        bool isCorrupt = status == LogReadStatus.Corrupt;
        if (isCorrupt) state.Counters.CorruptBlocks++;
        state.Remove(number, isCorrupt ? MissReason.Corrupt : MissReason.Evicted, tombstone: isCorrupt);
    }

    // The block may be elsewhere now, or have other content.
    private bool Retry(RangeRead read, ref RangeLookup again)
    {
        long rangesEnd = RangeBounds.Of(read.Ranges).End;
        again = RangeLookup.Find(state, read.Namespace, read.Id, rangesEnd);
        if (again.Place == RangePlace.Log && !closed)
        {
            read.Aim(state.Index[again.Entry]);
            queue.Enqueue(read);
            active--;
            return false;
        }

        if (again.Place == RangePlace.Host) return false;
        if (again.Place == RangePlace.Log) state.Ledger.Count(MissReason.Deadline);
        read.Report(again.ToResult(rangesEnd) with { DeviceBytes = read.DeviceBytes });
        return true;
    }

    private void CopyFromHost(RangeRead read, in BlockLease lease)
    {
        if (lease.Length > 0) read.CopyFrom(state.Arena.Slice(lease.Offset, lease.Length).Span);
        read.Report(new RangeReadResult(MissReason.None, lease.Source, read.DeviceBytes, lease.PayloadCrc));
        lock (state.Gate)
        {
            state.EndLease(lease);
            Finish(read);
        }
    }

    private void ReportMiss(RangeRead read, MissReason reason)
    {
        if (read.Batch.IsClosed) return;
        for (int i = 0; i < read.Count; i++) state.Ledger.Count(reason);
        read.Report(new RangeReadResult(reason, TierSet.None, read.DeviceBytes));
    }

    private void Finish(RangeRead read)
    {
        Leave(read);
        if (--active == 0) idle?.TrySetResult();
    }

    private void Leave(RangeRead read)
    {
        read.Batch.End(read.Count);
        GiveBack(read);
    }

    private void GiveBack(RangeRead read)
    {
        read.Clear();
        if (spare.Count < SpareMax) spare.Push(read);
    }
}

using FASTER.core;
using KvTier.Storage.Device;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>
/// Makes what FasterLog has flushed durable: one thread that syncs the segments, writes the commit record and wakes everybody whose
/// records are covered. What is asked for while a sync runs is served by the next one together (group commit).
/// </summary>
internal sealed class CommitWorker : ILogCommitManager
{
    private readonly SegmentTable segments;
    private readonly LogGeometry geometry;
    private readonly LogFault fault;
    private readonly CommitFile file;
    private readonly IndexKeeper indexes;
    private readonly object gate = new();
    private readonly Queue<CommitOperation> waiters = new();
    private readonly Stack<CommitOperation> pool = new();
    private readonly Thread thread;
    private CommitRecord record;
    private long flushed;
    private long durable;
    private bool stopping;

    public CommitWorker(
        SegmentTable segments, LogGeometry geometry, LogFault fault, CommitFile file, IndexKeeper indexes, in CommitRecord start)
    {
        this.segments = segments;
        this.geometry = geometry;
        this.fault = fault;
        this.file = file;
        this.indexes = indexes;
        record = start;
        durable = flushed = start.DurableAddress;
        thread = new Thread(Work) { IsBackground = true, Name = "kvtier-log-commit" };
        thread.Start();
    }

    public long Durable => Interlocked.Read(ref durable);

    public long BeginAddress { get; set; }

    /// <summary>Waits until an address is durable. Start the flush after this call.</summary>
    public ValueTask<KvError?> WaitAsync(long target, long now)
    {
        lock (gate)
        {
            if (fault.Error is { } error) return new ValueTask<KvError?>(error);
            if (Durable >= target) return new ValueTask<KvError?>((KvError?)null);
            if (!pool.TryPop(out CommitOperation? operation)) operation = new CommitOperation(GiveBack);
            operation.Begin(target, now);
            waiters.Enqueue(operation);
            return new ValueTask<KvError?>(operation, operation.Version);
        }
    }

    /// <summary>When the oldest waiter began to wait; null when nobody waits.</summary>
    public long? OldestWait
    {
        get
        {
            lock (gate) return waiters.TryPeek(out CommitOperation? operation) ? operation.StartedAt : null;
        }
    }

    /// <summary>Fails everybody who waits.</summary>
    public void FailAll(KvError error)
    {
        lock (gate)
        {
            while (waiters.TryDequeue(out CommitOperation? operation)) operation.Complete(error);
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>FasterLog calls this when everything before an address has been written; the sync follows on our own thread.</summary>
    public void Commit(long beginAddress, long untilAddress, byte[] commitMetadata, long commitNum, bool forceWriteMetadata)
    {
        lock (gate)
        {
            flushed = Math.Max(flushed, untilAddress);
            Monitor.PulseAll(gate);
        }
    }

    /// <summary>Stops the thread, when the device lets it.</summary>
    public void Stop()
    {
        lock (gate)
        {
            stopping = true;
            Monitor.PulseAll(gate);
        }

        thread.Join();
    }

    /// <summary>Writes the last indexes and the last record of a log that was closed in order; after <see cref="Stop"/>.</summary>
    public void WriteClean()
    {
        if (fault.Error is not null) return;
        indexes.Write(Durable, all: true);
        WriteRecord(Durable, clean: true);
        file.Sync();
    }

    public byte[] GetCommitMetadata(long commitNum) => [];

    public IEnumerable<long> ListCommits() => [];

    public void RemoveCommit(long commitNum)
    {
    }

    public void RemoveAllCommits()
    {
    }

    public void OnRecovery(long commitNum)
    {
    }

    public void Dispose()
    {
    }

    private void Work()
    {
        while (TryTake(out long until))
        {
            int error = SyncUntil(until);
            if (error != 0)
            {
                fault.Set($"log sync up to address {until}", error);
                return;
            }

            WriteRecord(until, clean: false);
            Interlocked.Exchange(ref durable, until);
            lock (gate)
            {
                while (waiters.TryPeek(out CommitOperation? operation) && operation.Target <= until) waiters.Dequeue().Complete(null);
            }

            indexes.Write(until, all: false);
        }
    }

    private bool TryTake(out long until)
    {
        lock (gate)
        {
            while (flushed <= durable && !stopping && fault.Error is null) Monitor.Wait(gate);
            until = flushed;
            return flushed > durable && fault.Error is null;
        }
    }

    private int SyncUntil(long until)
    {
        for (long number = geometry.SegmentOf(durable); number <= geometry.SegmentOf(until - 1); number++)
        {
            Segment? segment = segments.Acquire(number);
            if (segment is null) continue;
            int error = segment.File.Sync();
            segments.Release(segment);
            if (error != 0) return error;
        }

        return 0;
    }

    private void WriteRecord(long until, bool clean)
    {
        record = record with
        {
            Sequence = record.Sequence + 1,
            BeginAddress = Math.Min(BeginAddress, until),
            DurableAddress = until,
            Clean = clean,
        };
        try
        {
            file.Write(record);
        }
        catch (IOException)
        {
            // Recovery does without it; the records themselves are durable.
        }
    }

    private void GiveBack(CommitOperation operation)
    {
        lock (gate) pool.Push(operation);
    }
}

using System.Buffers;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>Threads that read records: as many reads at the device as there are threads.</summary>
internal sealed class ReaderPool : IDisposable
{
    private readonly SegmentTable segments;
    private readonly LogGeometry geometry;
    private readonly Queue<ReadOperation> queue = new();
    private readonly Stack<ReadOperation> pool = new();
    private readonly object gate = new();
    private readonly Thread[] threads;
    private readonly TimeSpan timeout;
    private readonly int limit;
    private int inFlight;
    private bool stopping;

    public ReaderPool(SegmentTable segments, LogGeometry geometry, LogOptions options)
    {
        this.segments = segments;
        this.geometry = geometry;
        timeout = options.IoTimeout;
        limit = options.ReadQueueMax;
        threads = new Thread[options.ReadDepth];
        for (int i = 0; i < threads.Length; i++)
        {
            threads[i] = new Thread(Work) { IsBackground = true, Name = $"kvtier-log-read-{i}" };
            threads[i].Start();
        }
    }

    public ValueTask<LogReadResult> ReadAsync(in LogRead read, MemoryHandle destination)
    {
        lock (gate)
        {
            while (inFlight >= limit && !stopping)
            {
                if (!Monitor.Wait(gate, timeout)) return Refuse(destination);
            }

            if (stopping) return Refuse(destination);
            inFlight++;
            if (!pool.TryPop(out ReadOperation? operation)) operation = new ReadOperation(this);
            operation.Begin(read, destination);
            queue.Enqueue(operation);
            Monitor.Pulse(gate);
            return new ValueTask<LogReadResult>(operation, operation.Version);
        }
    }

    public void GiveBack(ReadOperation operation)
    {
        lock (gate)
        {
            pool.Push(operation);
            // Readers and refused callers wait at the same gate; only when there are such callers must all be woken.
            if (inFlight-- >= limit) Monitor.PulseAll(gate);
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            stopping = true;
            Monitor.PulseAll(gate);
        }

        foreach (Thread thread in threads) thread.Join();
    }

    private static ValueTask<LogReadResult> Refuse(MemoryHandle destination)
    {
        destination.Dispose();
        return new ValueTask<LogReadResult>(new LogReadResult(LogReadStatus.IoError, 0));
    }

    private void Work()
    {
        using var whole = new RecordReader(segments, geometry);
        using var ranges = new RangeReader(segments, geometry);
        while (TryTake(out ReadOperation? operation))
        {
            operation.Complete(operation.Sink is null ? whole.Read(operation) : ranges.Read(operation));
        }
    }

    private bool TryTake([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ReadOperation? operation)
    {
        lock (gate)
        {
            while (!queue.TryDequeue(out operation))
            {
                if (stopping) return false;
                Monitor.Wait(gate);
            }

            return true;
        }
    }
}

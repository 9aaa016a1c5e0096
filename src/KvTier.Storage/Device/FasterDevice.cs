using FASTER.core;
using KvTier.Storage.Format;
using KvTier.Storage.Log;

namespace KvTier.Storage.Device;

/// <summary>
/// What FasterLog writes its pages through: a few threads that write blocks of the open segments. Reads do not come here,
/// they go straight into arena slots; segments are made and dropped by their table, before and after FasterLog knows them.
/// </summary>
internal sealed class FasterDevice : StorageDeviceBase
{
    private readonly SegmentTable segments;
    private readonly LogGeometry geometry;
    private readonly LogFault fault;
    private readonly FlushSignal flushed;
    private readonly Queue<WriteRequest> queue = new();
    private readonly object gate = new();
    private readonly Thread[] threads;
    private bool stopping;

    public FasterDevice(SegmentTable segments, LogGeometry geometry, LogFault fault, FlushSignal flushed, int depth)
        : base("kvtier-log", LogGeometry.Align, Devices.CAPACITY_UNSPECIFIED)
    {
        this.segments = segments;
        this.geometry = geometry;
        this.fault = fault;
        this.flushed = flushed;
        threads = new Thread[depth];
        for (int i = 0; i < depth; i++)
        {
            threads[i] = new Thread(Work) { IsBackground = true, Name = $"kvtier-log-write-{i}" };
            threads[i].Start();
        }
    }

    public override void WriteAsync(
        IntPtr sourceAddress, int segmentId, ulong destinationAddress, uint numBytesToWrite, DeviceIOCompletionCallback callback,
        object context)
    {
        // The queue can't grow beyond the pages of the buffer, which FasterLog flushes at most twice each before it waits.
        lock (gate)
        {
            queue.Enqueue(new WriteRequest(sourceAddress, segmentId, (long)destinationAddress, (int)numBytesToWrite, callback, context));
            Monitor.Pulse(gate);
        }
    }

    public override void ReadAsync(
        int segmentId, ulong sourceAddress, IntPtr destinationAddress, uint readLength, DeviceIOCompletionCallback callback,
        object context) =>
        callback(Native.Eopnotsupp, 0, context);

    public override void RemoveSegmentAsync(int segment, AsyncCallback callback, IAsyncResult result) => callback(result);

    public override void Dispose()
    {
        lock (gate)
        {
            stopping = true;
            Monitor.PulseAll(gate);
        }

        foreach (Thread thread in threads) thread.Join();
    }

    private void Work()
    {
        while (TryTake(out WriteRequest request))
        {
            int error = fault.Error is null ? Write(request) : Native.Eio;
            if (error != 0) fault.Set($"log write, segment {request.Segment}, offset {request.Offset}, {request.Length} bytes", error);
            request.Callback((uint)error, (uint)request.Length, request.Context);
            flushed.Set();
        }
    }

    private bool TryTake(out WriteRequest request)
    {
        lock (gate)
        {
            while (!queue.TryDequeue(out request))
            {
                if (stopping) return false;
                Monitor.Wait(gate);
            }

            return true;
        }
    }

    private int Write(in WriteRequest request)
    {
        if (request.Offset + request.Length > geometry.SegmentBytes) return Native.Einval;
        Segment? segment = segments.Acquire(request.Segment);
        if (segment is null) return Native.Enoent;
        int error = segment.File.Write(request.Source, request.Length, request.Offset);
        segments.Release(segment);
        return error;
    }

    private readonly record struct WriteRequest(
        nint Source, int Segment, long Offset, int Length, DeviceIOCompletionCallback Callback, object Context);
}

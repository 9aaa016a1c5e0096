using System.Buffers;
using System.Threading.Tasks.Sources;
using KvTier.Storage.Format;

namespace KvTier.Storage.Log;

/// <summary>A read that somebody waits for; pooled. A reader's thread fills the destination, the thread pool checks it.</summary>
internal sealed unsafe class ReadOperation(ReaderPool owner) : IValueTaskSource<LogReadResult>, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<LogReadResult> source;
    private MemoryHandle pin;
    private LogRead read;
    private LogReadResult result;

    public long Address => read.Address.Value;

    public BlockId Id => read.Id;

    public int Length => read.Length;

    /// <summary>Takes the ranges; null for a read of the whole payload.</summary>
    public ILogRangeSink? Sink => read.Sink;

    public ReadOnlySpan<BlockRange> Ranges => read.Ranges.Span;

    public int KeyLength => read.KeyLength;

    /// <summary>Bytes read from the device for it so far.</summary>
    public long DeviceBytes { get; set; }

    public byte* Destination => (byte*)pin.Pointer;

    /// <summary>CRC that the header promises.</summary>
    public uint PayloadCrc { get; set; }

    public short Version => source.Version;

    public void Begin(in LogRead wanted, MemoryHandle destination)
    {
        source.Reset();
        read = wanted;
        pin = destination;
        DeviceBytes = 0;
    }

    /// <summary>True when a header is that of a piece of the record that is read.</summary>
    public bool Owns(in RecordHeader header, in Fragment piece, uint index, in LogGeometry geometry) =>
        header.Kind == (index == 0 ? (byte)LogRecordKind.Block : PieceKind.Continuation)
        && header.Fragment == piece && header.FirstAddress == Address && header.FragmentIndex == index
        && header.Id == Id && header.PayloadLength == Length && header.Geometry == geometry;

    public void Complete(LogReadStatus status)
    {
        result = new LogReadResult(status, DeviceBytes);
        if (Sink is not null && read.ContinuesOnLogThread) source.SetResult(result);
        else ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        bool isChecked = Sink is null && result.Status == LogReadStatus.Ok;
        if (isChecked && Crc32C.Compute(new ReadOnlySpan<byte>(Destination, Length)) != PayloadCrc)
            result = result with { Status = LogReadStatus.Corrupt };
        pin.Dispose();
        source.SetResult(result);
    }

    LogReadResult IValueTaskSource<LogReadResult>.GetResult(short token)
    {
        LogReadResult outcome = source.GetResult(token);
        read = default;
        owner.GiveBack(this);
        return outcome;
    }

    ValueTaskSourceStatus IValueTaskSource<LogReadResult>.GetStatus(short token) => source.GetStatus(token);

    void IValueTaskSource<LogReadResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);
}

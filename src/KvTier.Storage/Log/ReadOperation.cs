using System.Buffers;
using System.Threading.Tasks.Sources;

namespace KvTier.Storage.Log;

/// <summary>A read that somebody waits for; pooled. A reader's thread fills the destination, the thread pool checks it.</summary>
internal sealed unsafe class ReadOperation(ReaderPool owner) : IValueTaskSource<LogReadStatus>, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<LogReadStatus> source;
    private MemoryHandle pin;
    private LogReadStatus status;

    public long Address { get; private set; }

    public BlockId Id { get; private set; }

    public int Length { get; private set; }

    public byte* Destination => (byte*)pin.Pointer;

    /// <summary>CRC that the header promises.</summary>
    public uint PayloadCrc { get; set; }

    public short Version => source.Version;

    public void Begin(long address, BlockId id, int length, MemoryHandle destination)
    {
        source.Reset();
        Address = address;
        Id = id;
        Length = length;
        pin = destination;
    }

    public void Complete(LogReadStatus result)
    {
        status = result;
        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (status == LogReadStatus.Ok && Crc32C.Compute(new ReadOnlySpan<byte>(Destination, Length)) != PayloadCrc)
            status = LogReadStatus.Corrupt;
        pin.Dispose();
        source.SetResult(status);
    }

    LogReadStatus IValueTaskSource<LogReadStatus>.GetResult(short token)
    {
        LogReadStatus result = source.GetResult(token);
        owner.GiveBack(this);
        return result;
    }

    ValueTaskSourceStatus IValueTaskSource<LogReadStatus>.GetStatus(short token) => source.GetStatus(token);

    void IValueTaskSource<LogReadStatus>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        source.OnCompleted(continuation, state, token, flags);
}

using System.Buffers.Binary;

namespace KvTier.Cli;

/// <summary>A log that says it holds a number of blocks, so that an index of any size is built without writing any.</summary>
internal sealed class SyntheticLog(NamespaceId ns, long blocks) : IBlockLog
{
    /// <summary>Bytes of every key.</summary>
    public const int KeyBytes = 16;

    private const int RecordBytes = 4608;

    /// <inheritdoc/>
    public LogStatus Status =>
        new(RecordBytes, (blocks + 1) * RecordBytes, (blocks + 1) * RecordBytes, blocks * RecordBytes, 1L << 50, 1L << 30, null);

    /// <summary>The id of a block: the index stores ids as they are, and they are evenly spread as those of SHA-256.</summary>
    public static BlockId IdOf(long number)
    {
        ulong high = (ulong)number * 0x9E3779B97F4A7C15;
        high = (high ^ (high >> 32)) * 0xD6E8FEB86659FD93;
        ulong low = (high ^ (high >> 29)) * 0xBF58476D1CE4E5B9;
        return new BlockId(high, low ^ (low >> 32));
    }

    /// <inheritdoc/>
    public RecoverySummary Recover(ILogRecordSink sink)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        for (long i = 0; i < blocks; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(key, i);
            sink.OnRecord(
                new RecoveredRecord
                {
                    Kind = LogRecordKind.Block,
                    Address = new LogAddress((i + 1) * RecordBytes),
                    Namespace = ns,
                    Id = IdOf(i),
                    Length = 4096,
                },
                key);
        }

        return new RecoverySummary(Clean: true, blocks, CorruptRecords: 0, BytesCut: 0, BytesScanned: 0, TimeSpan.Zero);
    }

    /// <inheritdoc/>
    public ValueTask<LogAppendResult> AppendAsync(LogRecord record) => new(new LogAppendResult(LogAppendStatus.DiskFull, LogAddress.None));

    /// <inheritdoc/>
    public ValueTask<KvError?> CommitAsync() => new((KvError?)null);

    /// <inheritdoc/>
    public ValueTask<LogReadResult> ReadAsync(LogRead read) => new(new LogReadResult(LogReadStatus.Gone, 0));

    /// <inheritdoc/>
    public long ListOldestSegment(ILogRecordSink sink) => -1;

    /// <inheritdoc/>
    public void DropOldestSegment()
    {
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => default;
}

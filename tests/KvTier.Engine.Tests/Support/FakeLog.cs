namespace KvTier.Engine.Tests;

/// <summary>
/// A log in memory: segments of a size, a cap, and faults at a test's command. What was appended but not committed is lost by
/// <see cref="Crash"/>.
/// </summary>
internal sealed class FakeLog : IBlockLog
{
    private const int HeaderBytes = 512;

    private readonly Lock gate = new();
    private readonly List<Stored> records = [];
    private readonly long segmentBytes;
    private readonly long capBytes;
    private long begin;
    private long tail;
    private long durable;

    internal FakeLog(long segmentBytes = 1 << 20, long capBytes = long.MaxValue)
    {
        this.segmentBytes = segmentBytes;
        this.capBytes = capBytes;
        begin = tail = durable = segmentBytes;
    }

    public LogAppendStatus? RefuseAppends { get; set; }

    public KvError? RefuseCommits { get; set; }

    public Func<LogReadStatus>? OnRead { get; set; }

    /// <summary>While set, reads and commits wait for it.</summary>
    public TaskCompletionSource? HoldReads { get; set; }

    public TaskCompletionSource? HoldCommits { get; set; }

    /// <summary>Called before a segment goes.</summary>
    public Action? OnDrop { get; set; }

    public int Reads { get; private set; }

    public int Commits { get; private set; }

    public int SegmentsDropped { get; private set; }

    public IReadOnlyList<Stored> Records => records;

    public LogStatus Status => new(
        begin, tail, durable, ((tail - 1) / segmentBytes * segmentBytes) + segmentBytes - begin, capBytes, segmentBytes, null);

    public RecoverySummary Recover(ILogRecordSink sink)
    {
        foreach (Stored record in records) Pass(record, sink);
        return new RecoverySummary(true, records.Count, 0, 0, 0, TimeSpan.Zero);
    }

    public ValueTask<LogAppendResult> AppendAsync(LogRecord record)
    {
        lock (gate)
        {
            if (RefuseAppends is { } refusal) return new(new LogAppendResult(refusal, default));
            long size = HeaderBytes + ((record.Payload.Length + 511) / 512 * 512);
            long address = tail / segmentBytes == (tail + size - 1) / segmentBytes ? tail : ((tail / segmentBytes) + 1) * segmentBytes;
            long end = ((address + size - 1) / segmentBytes * segmentBytes) + segmentBytes;
            if (end - begin > capBytes) return new(new LogAppendResult(LogAppendStatus.CapReached, default));
            records.Add(new Stored(record.Kind, address, record.Namespace, record.Id, record.Codec, record.PayloadCrc, record.ExpiryUnixMs,
                record.Key.ToArray(), record.Payload.ToArray()));
            tail = address + size;
            return new(new LogAppendResult(LogAppendStatus.Appended, new LogAddress(address)));
        }
    }

    public async ValueTask<KvError?> CommitAsync()
    {
        long upTo = tail;
        if (HoldCommits is { } hold) await hold.Task;
        Commits++;
        if (RefuseCommits is { } refusal) return refusal;
        durable = Math.Max(durable, upTo);
        return null;
    }

    public async ValueTask<LogReadStatus> ReadAsync(LogAddress address, BlockId id, int length, Memory<byte> destination)
    {
        lock (gate) Reads++;
        if (HoldReads is { } hold) await hold.Task;
        if (OnRead?.Invoke() is { } status && status != LogReadStatus.Ok)
        {
            destination.Span.Fill(0xEE);
            return status;
        }

        lock (gate)
        {
            if (address.Value < begin) return LogReadStatus.Gone;
            Stored? record = records.Find(each => each.Address == address.Value);
            Assert.NotNull(record);
            Assert.True(address.Value < durable, "only committed records are read");
            if (record.Id != id || record.Payload.Length != length) return LogReadStatus.Corrupt;
            record.Payload.CopyTo(destination);
            return LogReadStatus.Ok;
        }
    }

    public long ListOldestSegment(ILogRecordSink sink)
    {
        long end = begin + segmentBytes;
        if (end > tail) return -1;
        List<Stored> oldest = records.FindAll(each => each.Address < end);
        foreach (Stored record in oldest) Pass(record, sink);
        return oldest.Count;
    }

    public void DropOldestSegment()
    {
        OnDrop?.Invoke();
        lock (gate)
        {
            begin += segmentBytes;
            records.RemoveAll(each => each.Address < begin);
            SegmentsDropped++;
        }
    }

    /// <summary>The process dies: what was not committed is gone.</summary>
    public void Crash()
    {
        records.RemoveAll(each => each.Address >= durable);
        tail = durable;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static void Pass(Stored record, ILogRecordSink sink) => sink.OnRecord(
        new RecoveredRecord
        {
            Kind = record.Kind,
            Address = new LogAddress(record.Address),
            Namespace = record.Namespace,
            Id = record.Id,
            Codec = record.Codec,
            Length = record.Payload.Length,
            PayloadCrc = record.Crc,
            ExpiryUnixMs = record.Expiry,
        },
        record.Key);

    internal sealed record Stored(
        LogRecordKind Kind, long Address, NamespaceId Namespace, BlockId Id, byte Codec, uint Crc, long Expiry, byte[] Key, byte[] Payload);
}

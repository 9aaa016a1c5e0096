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

    /// <summary>Address after the damage that the next recovery tells of.</summary>
    public long DamageEnd { get; set; }

    public int Reads { get; private set; }

    public int Commits { get; private set; }

    public int SegmentsDropped { get; private set; }

    public IReadOnlyList<Stored> Records => records;

    public LogStatus Status => new(
        begin, tail, durable, ((tail - 1) / segmentBytes * segmentBytes) + segmentBytes - begin, capBytes, segmentBytes, null);

    public RecoverySummary Recover(ILogRecordSink sink)
    {
        foreach (Stored record in records) Pass(record, sink);
        return new RecoverySummary(true, records.Count, 0, 0, 0, TimeSpan.Zero) { DamageEnd = DamageEnd };
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
                record.Key.ToArray(), record.Payload.ToArray(), record.Group));
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

    public async ValueTask<LogReadResult> ReadAsync(LogRead read)
    {
        lock (gate) Reads++;
        if (HoldReads is { } hold) await hold.Task;
        if (OnRead?.Invoke() is { } status && status != LogReadStatus.Ok)
        {
            read.Destination.Span.Fill(0xEE);
            return new LogReadResult(status, 0);
        }

        lock (gate)
        {
            if (read.Address.Value < begin) return new LogReadResult(LogReadStatus.Gone, 0);
            Stored? record = records.Find(each => each.Address == read.Address.Value);
            Assert.NotNull(record);
            Assert.True(read.Address.Value < durable, "only committed records are read");
            if (record.Id != read.Id || record.Payload.Length != read.Length) return new LogReadResult(LogReadStatus.Corrupt, 0);
            if (read.Sink is null) record.Payload.CopyTo(read.Destination);
            else Assert.Equal(record.Key.Length, read.KeyLength);
            return new LogReadResult(LogReadStatus.Ok, read.Sink is null ? read.Length : PassRanges(read, record.Payload));
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

    /// <summary>Takes a record away, as if its header were damaged.</summary>
    public void Damage(BlockId id)
    {
        int last = records.FindLastIndex(each => each.Id == id);
        DamageEnd = records[last].Address + HeaderBytes;
        records.RemoveAt(last);
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

    // In two pieces, as a record that lies on two pages.
    private static int PassRanges(in LogRead read, byte[] payload)
    {
        int packed = 0;
        foreach (BlockRange range in read.Ranges.Span)
        {
            int half = range.Length / 2;
            read.Sink!.OnBytes(packed, payload.AsSpan(range.Offset, half));
            read.Sink!.OnBytes(packed + half, payload.AsSpan(range.Offset + half, range.Length - half));
            packed += range.Length;
        }

        return packed;
    }

    private static void Pass(Stored record, ILogRecordSink sink) => sink.OnRecord(
        new RecoveredRecord
        {
            Kind = record.Kind,
            Address = new LogAddress(record.Address),
            Namespace = record.Namespace,
            Id = record.Id,
            Group = record.Group,
            Codec = record.Codec,
            Length = record.Payload.Length,
            PayloadCrc = record.Crc,
            ExpiryUnixMs = record.Expiry,
        },
        record.Key);

    internal sealed record Stored(
        LogRecordKind Kind, long Address, NamespaceId Namespace, BlockId Id, byte Codec, uint Crc, long Expiry, byte[] Key, byte[] Payload,
        BlockId Group);
}

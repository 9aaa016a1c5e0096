namespace KvTier.Simulation;

/// <summary>The log of one run of a silo over the media that outlive it: with delays, errors and a disk that fills up.</summary>
internal sealed class SimDisk(SimMedia media, SimProcess process, SimScheduler scheduler) : IBlockLog
{
    /// <inheritdoc/>
    public LogStatus Status => new(
        media.Begin, media.Tail, media.Durable, media.Tail - media.Begin, long.MaxValue, SimMedia.SegmentBytes, Fault: null);

    /// <inheritdoc/>
    public RecoverySummary Recover(ILogRecordSink sink)
    {
        foreach ((long address, StoredRecord stored) in media.Records) Pass(address, stored.Record, sink);
        return new RecoverySummary(false, media.Records.Count, 0, 0, 0, TimeSpan.Zero);
    }

    /// <inheritdoc/>
    public async ValueTask<LogAppendResult> AppendAsync(LogRecord record)
    {
        if (media.Random.Chance(0.05)) await DelayAsync();
        if (media.IsFull) return new LogAppendResult(LogAppendStatus.DiskFull, default);
        if (media.Random.Chance(media.ErrorRate)) return new LogAppendResult(LogAppendStatus.IoError, default);
        long address = media.Tail;
        media.Records.Add(address, new StoredRecord(record with { Key = record.Key.ToArray(), Payload = record.Payload.ToArray() }));
        media.Tail += StoredRecord.SizeOf(record);
        return new LogAppendResult(LogAppendStatus.Appended, new LogAddress(address));
    }

    /// <inheritdoc/>
    public async ValueTask<KvError?> CommitAsync()
    {
        long upTo = media.Tail;
        await DelayAsync();
        if (media.Random.Chance(media.ErrorRate)) return new KvError(ErrorCode.IoError, "ssd", "a commit failed");
        media.Durable = Math.Max(media.Durable, upTo);
        return null;
    }

    /// <inheritdoc/>
    public async ValueTask<LogReadResult> ReadAsync(LogRead read)
    {
        await DelayAsync();
        if (media.Random.Chance(media.ErrorRate)) return new LogReadResult(LogReadStatus.IoError, 0);
        if (!media.Records.TryGetValue(read.Address.Value, out StoredRecord? stored)) return new LogReadResult(LogReadStatus.Gone, 0);
        if (read.Address.Value >= media.Durable) scheduler.Fail("only committed records are read", $"{read.Address.Value}");
        LogRecord record = stored.Record;
        if (record.Id != read.Id || record.Payload.Length != read.Length) return new LogReadResult(LogReadStatus.Corrupt, 0);
        if (read.Sink is { } sink) PassRanges(read, record.Payload.Span, sink);
        else record.Payload.CopyTo(read.Destination);
        return new LogReadResult(LogReadStatus.Ok, read.Length);
    }

    /// <inheritdoc/>
    public long ListOldestSegment(ILogRecordSink sink) => -1;

    /// <inheritdoc/>
    public void DropOldestSegment() => throw new InvalidOperationException("the simulated log has no cap");

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Task DelayAsync()
    {
        scheduler.IsHere($"an access of the disk of {process.Name}");
        return process.DelayAsync(media.Random.NextTicks(20 * Ticks.Us, media.DelayMax));
    }

    private static void PassRanges(in LogRead read, ReadOnlySpan<byte> payload, ILogRangeSink sink)
    {
        int packed = 0;
        foreach (BlockRange range in read.Ranges.Span)
        {
            sink.OnBytes(packed, payload.Slice(range.Offset, range.Length));
            packed += range.Length;
        }
    }

    private static void Pass(long address, in LogRecord record, ILogRecordSink sink) => sink.OnRecord(
        new RecoveredRecord
        {
            Kind = record.Kind,
            Address = new LogAddress(address),
            Namespace = record.Namespace,
            Id = record.Id,
            Group = record.Group,
            Codec = record.Codec,
            Length = record.Payload.Length,
            PayloadCrc = record.PayloadCrc,
            ExpiryUnixMs = record.ExpiryUnixMs,
        },
        record.Key.Span);
}

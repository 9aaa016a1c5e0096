namespace KvTier;

/// <summary>Outcome of an append.</summary>
public enum LogAppendStatus : byte
{
    /// <summary>The record is in the log's buffer; it is durable after the next commit.</summary>
    Appended,

    /// <summary>The byte cap leaves no room: reclaim the oldest segment, then append again. Nothing was written.</summary>
    CapReached,

    /// <summary>The disk has no room for another segment. Nothing was written; a later append may succeed.</summary>
    DiskFull,

    /// <summary>The device failed. Nothing was acknowledged.</summary>
    IoError,
}

/// <summary>Where a record went, or why it did not.</summary>
/// <param name="Status">The outcome.</param>
/// <param name="Address">The record's address when it was appended.</param>
public readonly record struct LogAppendResult(LogAppendStatus Status, LogAddress Address);

/// <summary>Outcome of a read.</summary>
public enum LogReadStatus : byte
{
    /// <summary>The whole payload is in the destination, and identity and CRC agree; or the ranges went to the sink.</summary>
    Ok,

    /// <summary>Identity or CRC disagree; the destination's bytes mean nothing.</summary>
    Corrupt,

    /// <summary>The segment was dropped meanwhile.</summary>
    Gone,

    /// <summary>The device failed.</summary>
    IoError,
}

/// <summary>Figures of the log, for <c>stat</c> and metrics.</summary>
/// <param name="BeginAddress">First address still kept.</param>
/// <param name="TailAddress">Address after the last appended record.</param>
/// <param name="DurableAddress">Address up to which records are committed.</param>
/// <param name="DiskBytes">Bytes that the log's files take on the disk now, never above the cap.</param>
/// <param name="CapBytes">The byte cap.</param>
/// <param name="SegmentBytes">Bytes of one segment.</param>
/// <param name="Fault">The last fault of the device; null while it works.</param>
public sealed record LogStatus(
    long BeginAddress, long TailAddress, long DurableAddress, long DiskBytes, long CapBytes, long SegmentBytes, KvError? Fault);

/// <summary>Takes the records of a log, oldest first.</summary>
public interface ILogRecordSink
{
    /// <summary>Takes one record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="key">Its key; valid during the call only.</param>
    void OnRecord(in RecoveredRecord record, ReadOnlySpan<byte> key);
}

/// <summary>
/// The SSD tier as the engine sees it: an append-only log of blocks, cut into segments that are dropped oldest first.
/// One caller at a time appends, commits, lists and drops; reads come from any thread, beside the appends.
/// </summary>
public interface IBlockLog : IAsyncDisposable
{
    /// <summary>Figures at this moment; callable from any thread.</summary>
    LogStatus Status { get; }

    /// <summary>Passes every record of the log to the sink, oldest first. Called once, before anything else.</summary>
    RecoverySummary Recover(ILogRecordSink sink);

    /// <summary>Copies a record into the log's buffer, waiting for the device when the buffer is full.</summary>
    /// <param name="record">The record; its memory may be reused when the call has completed.</param>
    ValueTask<LogAppendResult> AppendAsync(LogRecord record);

    /// <summary>
    /// Makes every record appended before the call durable. Further appends may go on while it is pending.
    /// </summary>
    /// <returns>Null when they are durable, else what failed.</returns>
    ValueTask<KvError?> CommitAsync();

    /// <summary>
    /// Reads a committed block record. The whole payload goes straight into the destination, identity and CRC are checked. Ranges go to
    /// the sink; of them only the headers are checked that lie between or close to them, so that whoever asks has to check the bytes.
    /// </summary>
    ValueTask<LogReadResult> ReadAsync(LogRead read);

    /// <summary>
    /// Passes every record of the oldest sealed segment to the sink, so that its owner can append again what it wants to keep.
    /// </summary>
    /// <returns>The number of records; -1 when there is no sealed segment.</returns>
    long ListOldestSegment(ILogRecordSink sink);

    /// <summary>Drops the oldest sealed segment; its records are gone and its room is free.</summary>
    void DropOldestSegment();
}

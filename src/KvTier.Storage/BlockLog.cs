using System.Runtime.CompilerServices;
using FASTER.core;
using KvTier.Storage.Device;
using KvTier.Storage.Format;
using KvTier.Storage.Log;

namespace KvTier.Storage;

/// <summary>
/// The SSD tier: an append-only log of blocks on FasterLog, read past it straight into arena slots, recovered by indexes and headers.
/// What it promises is in CONTRACT.md, what is on the disk in docs/reference/disk-format.md.
/// </summary>
public sealed partial class BlockLog : IBlockLog
{
    private static readonly TimeSpan TickPeriod = TimeSpan.FromSeconds(1);

    private readonly LogOptions options;
    private readonly TimeProvider time;
    private readonly ISegmentStore store;
    private readonly LogGeometry geometry;
    private readonly SegmentTable segments;
    private readonly IndexKeeper indexes;
    private readonly CommitFile commitFile;
    private readonly LogFault fault = new();
    private readonly FlushSignal flushed = new();
    private readonly ReaderPool readers;
    private readonly PendingAppend appender;
    private FasterDevice? device;
    private CommitWorker? committer;
    private FasterLog? log;
    private ITimer? ticker;
    private long begin;
    private long tail;
    private uint epoch;

    private BlockLog(LogOptions options, TimeProvider time, ISegmentStore store, LogGeometry geometry, SegmentTable segments)
    {
        this.options = options;
        this.time = time;
        this.store = store;
        this.geometry = geometry;
        this.segments = segments;
        indexes = new IndexKeeper(store, segments, geometry);
        commitFile = new CommitFile(store.PathOf(CommitFile.Name));
        readers = new ReaderPool(segments, geometry, options);
        appender = new PendingAppend(this);
        fault.OnSet = OnFault;
    }

    /// <inheritdoc/>
    public LogStatus Status => new(
        Interlocked.Read(ref begin), Interlocked.Read(ref tail), committer?.Durable ?? 0, segments.DiskBytes, options.CapBytes,
        geometry.SegmentBytes, fault.Error);

    /// <summary>Opens the log of a folder, or makes a new one.</summary>
    /// <param name="options">Where and how.</param>
    /// <param name="time">The clock; only for durations.</param>
    /// <returns>The log, to be recovered first; or what is wrong with the options or the files.</returns>
    public static Result<BlockLog> Open(LogOptions options, TimeProvider time)
    {
        if (options.Validate() is { } error) return error;
        try
        {
            Directory.CreateDirectory(options.Directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return KvError.InvalidArgument("log.directory", options.Directory, $"a folder that can be written ({exception.Message})");
        }

        return Open(options, time, new DirectorySegmentStore(options.Directory, options.DirectIo));
    }

    internal static Result<BlockLog> Open(LogOptions options, TimeProvider time, ISegmentStore store)
    {
        if (!LayoutFile.LoadOrCreate(store, options).TryGet(out LogGeometry geometry, out KvError? error)) return error;
        if (CheckCap(options, geometry) is { } tooSmall) return tooSmall;
        LayoutFile.DeleteLeftovers(options.Directory);
        var table = new SegmentTable(store, geometry, options.CapBytes);
        int errno = table.OpenExisting();
        if (errno == 0) return new BlockLog(options, time, store, geometry, table);
        table.Dispose();
        return new KvError(ErrorCode.IoError, "log.directory", options.Directory, $"files that can be opened ({Native.Describe(errno)})");
    }

    /// <inheritdoc/>
    public RecoverySummary Recover(ILogRecordSink sink)
    {
        if (log is not null) throw new InvalidOperationException("The log was recovered already.");
        CommitRecord? commit = commitFile.Read();
        RecoveredLog found = new LogRecovery(store, segments, geometry, indexes, commit, sink).Run(time);
        begin = found.Begin;
        tail = found.Tail;
        indexes.Epoch = epoch = found.Epoch;
        var start = new CommitRecord((commit?.Sequence ?? 0) + 1, epoch, begin, tail, Clean: false);

        // Without a commit record of its own this opening changes nothing that the next one does not do again.
        if (found.Errno != 0) fault.Set("log recovery", found.Errno);
        else commitFile.Write(start);
        committer = new CommitWorker(segments, geometry, fault, commitFile, indexes, start) { BeginAddress = begin };
        device = new FasterDevice(segments, geometry, fault, flushed, options.WriteDepth);
        log = new FasterLog(new FasterLogSettings
        {
            LogDevice = device,
            LogCommitManager = committer,
            PageSize = geometry.PageBytes,
            MemorySize = Math.Max(options.BufferBytes, 2L * geometry.PageBytes),
            SegmentSize = geometry.SegmentBytes,
            TryRecoverLatest = false,
        });
        log.Initialize(begin, tail);
        if (fault.Error is null) indexes.Write(tail, all: false);
        ticker = time.CreateTimer(static state => ((BlockLog)state!).Tick(), this, TickPeriod, TickPeriod);
        return found.Summary;
    }

    /// <inheritdoc/>
    public ValueTask<LogAppendResult> AppendAsync(LogRecord record)
    {
        CheckRecord(record);
        if (fault.Error is not null) return new ValueTask<LogAppendResult>(new LogAppendResult(LogAppendStatus.IoError, default));
        int headerBytes = LogGeometry.HeaderBytes(record.Key.Length);
        int filler = geometry.FillerBytes(tail, headerBytes, record.Payload.Length);
        long address = tail + filler;
        long end = geometry.EndOf(address, headerBytes, record.Payload.Length);
        int indexBytes = SegmentIndexFile.EntryBytes(record.Key.Length);
        LogAppendStatus status = segments.Reserve(geometry.SegmentOf(tail), geometry.SegmentOf(end - 1), indexBytes, out _);
        if (status != LogAppendStatus.Appended) return new ValueTask<LogAppendResult>(new LogAppendResult(status, default));
        appender.Begin(record, address, end, filler, headerBytes);
        return appender.TryRun() ? new ValueTask<LogAppendResult>(Finish()) : FinishLater();
    }

    /// <inheritdoc/>
    public ValueTask<KvError?> CommitAsync()
    {
        ValueTask<KvError?> done = Recovered(committer).WaitAsync(tail, time.GetTimestamp());
        if (!done.IsCompleted) StartFlush();
        return done;
    }

    /// <inheritdoc/>
    public unsafe ValueTask<LogReadResult> ReadAsync(LogRead read)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(read.Length, nameof(read));
        if (read.Address.Value < LogGeometry.FirstAddress || read.Address.Value % LogGeometry.Align != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(read), read.Address.Value, "An address is a multiple of 512 that an append returned.");
        }

        if (read.Sink is null && read.Destination.Length < LogGeometry.RoundUp(read.Length))
            throw new ArgumentException(
                $"The destination has {read.Destination.Length} bytes; {LogGeometry.RoundUp(read.Length)} are needed.", nameof(read));
        if (read.Sink is not null) CheckRanges(read);
        if (read.Address.Value < Interlocked.Read(ref begin)) return new ValueTask<LogReadResult>(new LogReadResult(LogReadStatus.Gone, 0));
        if (read.Address.Value >= Recovered(committer).Durable)
            throw new InvalidOperationException("A record can be read once it is committed.");
        if (read.Sink is not null) return readers.ReadAsync(read, default);
        System.Buffers.MemoryHandle pin = read.Destination.Pin();
        if ((nint)pin.Pointer % LogGeometry.Align == 0) return readers.ReadAsync(read, pin);
        pin.Dispose();
        throw new ArgumentException("The destination must begin at a multiple of 512 in memory.", nameof(read));
    }

    /// <inheritdoc/>
    public long ListOldestSegment(ILogRecordSink sink)
    {
        if (OldestSealed() is not { } number) return -1;
        long count = indexes.List(number, sink);
        if (count >= 0) return count;
        using SegmentIndexFile.LoadedIndex? index = SegmentIndexFile.Load(store.PathOf(SegmentIndexFile.NameOf(number)));
        if (index is not null && index.Header.Segment == number) return IndexKeeper.Pass(index.Entries, index.Header.Version, sink);
        using var scanner = new SegmentScanner(segments, geometry, committer!.Durable);
        long found = 0;
        scanner.Scan(Math.Max(LogGeometry.FirstAddress, geometry.SegmentStart(number)), verifyAll: false,
            (in RecoveredRecord record, ReadOnlySpan<byte> key, long _) =>
        {
            found++;
            sink.OnRecord(record, key);
        });
        return found;
    }

    /// <inheritdoc/>
    public void DropOldestSegment()
    {
        if (OldestSealed() is not { } number) return;
        long next = geometry.SegmentStart(number + 1);
        indexes.Forget(number);
        segments.Drop(number);
        Interlocked.Exchange(ref begin, next);
        committer!.BeginAddress = next;
        log!.UnsafeShiftBeginAddress(next);
    }

    /// <summary>Gives a piece to FasterLog.</summary>
    /// <returns>False when its buffer is full; true when it was taken or never will be.</returns>
    internal bool TryEnqueue(in FragmentEntry entry, long expected)
    {
        try
        {
            if (!log!.TryEnqueue(entry, out long address)) return fault.Error is not null;
            if (address != expected) fault.Set(new KvError(ErrorCode.Internal, "log address", $"{address}", $"{expected}"));
        }
        catch (Exception exception) when (exception is FasterException or CommitFailureException)
        {
            fault.Set(new KvError(ErrorCode.IoError, "log append", exception.Message, "a device that works"));
        }

        return true;
    }

    internal RecordHeader HeaderOf(in LogRecord record, in Fragment piece, long firstAddress, uint index) => new()
    {
        Kind = index == 0 ? (byte)record.Kind : PieceKind.Continuation,
        Codec = record.Codec,
        KeyLength = index == 0 ? record.Key.Length : 0,
        HeaderBytes = piece.HeaderBytes,
        Address = piece.Address,
        FirstAddress = firstAddress,
        Epoch = epoch,
        FragmentIndex = index,
        Namespace = record.Namespace,
        Id = record.Id,
        Group = record.Group,
        PayloadLength = record.Payload.Length,
        FragmentOffset = piece.PayloadOffset,
        FragmentLength = piece.PayloadBytes,
        PayloadCrc = record.PayloadCrc,
        ExpiryUnixMs = record.ExpiryUnixMs,
        Geometry = geometry,
    };

    internal LogGeometry Geometry => geometry;

    private static KvError? CheckCap(LogOptions options, LogGeometry geometry)
    {
        long largest = geometry.EndOf(LogGeometry.FirstAddress, 2 * LogGeometry.Align, options.BlockBytesMax);
        long spanned = ((largest + geometry.SegmentBytes - 1) / geometry.SegmentBytes) + 2;
        long needed = SegmentTable.FixedBytes + (spanned * (geometry.SegmentBytes + SegmentTable.SegmentOverheadBytes));
        return options.CapBytes >= needed
            ? null
            : KvError.InvalidArgument("log.capBytes", options.CapBytes, $"at least {needed} for blocks of {options.BlockBytesMax} bytes");
    }

    private static T Recovered<T>(T? part)
        where T : class => part ?? throw new InvalidOperationException("The log must be recovered first.");

    private void CheckRecord(in LogRecord record)
    {
        Recovered(log);
        if (record.Key.Length > RecordHeader.KeyBytesMax)
            throw new ArgumentException(
                $"The key has {record.Key.Length} bytes; at most {RecordHeader.KeyBytesMax} are allowed.", nameof(record));
        if (record.Payload.Length > options.BlockBytesMax)
            throw new ArgumentException(
                $"The payload has {record.Payload.Length} bytes; at most {options.BlockBytesMax} are allowed.", nameof(record));
    }

    private static void CheckRanges(in LogRead read)
    {
        if (read.KeyLength is < 0 or > RecordHeader.KeyBytesMax)
            throw new ArgumentOutOfRangeException(nameof(read), read.KeyLength, $"A key has 0 to {RecordHeader.KeyBytesMax} bytes.");
        foreach (BlockRange range in read.Ranges.Span)
        {
            if (range.Offset < 0 || range.Length < 0 || range.End > read.Length)
                throw new ArgumentOutOfRangeException(nameof(read), range, $"Ranges lie within the {read.Length} bytes of the payload.");
        }
    }

    private LogAppendResult Finish()
    {
        if (fault.Error is not null) return new LogAppendResult(LogAppendStatus.IoError, default);
        RecoveredRecord record = appender.ToRecord();
        Interlocked.Exchange(ref tail, appender.End);
        // The index of a finished segment is written once its records are durable, so it asks for that.
        if (indexes.Add(record, appender.Key, appender.End)) StartFlush();
        appender.Clear();
        return new LogAppendResult(LogAppendStatus.Appended, record.Address);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<LogAppendResult> FinishLater()
    {
        long startedAt = time.GetTimestamp();
        while (true)
        {
            long seen = flushed.Version;
            if (appender.TryRun()) return Finish();
            if (time.GetElapsedTime(startedAt) > options.IoTimeout)
                fault.Set(new KvError(ErrorCode.IoError, "log append", "waited for the device", $"{options.IoTimeout}"));
            else await flushed.WaitAsync(seen).ConfigureAwait(false);
        }
    }

    private void StartFlush()
    {
        try
        {
            log!.Commit();
        }
        catch (Exception exception) when (exception is FasterException or CommitFailureException)
        {
            fault.Set(new KvError(ErrorCode.IoError, "log commit", exception.Message, "a device that works"));
        }
    }

    private long? OldestSealed()
    {
        long durable = Recovered(committer).Durable;
        return segments.Oldest is { } number && geometry.SegmentStart(number + 1) <= durable
            && number < geometry.SegmentOf(tail) ? number : null;
    }

    private void OnFault()
    {
        committer?.FailAll(fault.Error!);
        flushed.Set();
    }

    /// <summary>Nothing waits longer than the timeout, whatever the device does.</summary>
    private void Tick()
    {
        flushed.Set();
        if (committer?.OldestWait is { } since && time.GetElapsedTime(since) > options.IoTimeout)
            fault.Set(new KvError(ErrorCode.IoError, "log commit", "waited for the device", $"{options.IoTimeout}"));
    }
}

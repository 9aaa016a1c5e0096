using KvTier.Storage.Device;

namespace KvTier.Storage.Tests;

/// <summary>A record that a test put into the log, and what must come back.</summary>
internal sealed record Stored(LogRecord Record, LogAddress Address);

/// <summary>Takes records with copies of their keys.</summary>
internal sealed class ListSink : ILogRecordSink
{
    public List<(RecoveredRecord Record, byte[] Key)> Records { get; } = [];

    public void OnRecord(in RecoveredRecord record, ReadOnlySpan<byte> key) => Records.Add((record, key.ToArray()));
}

/// <summary>Packs the ranges of a read.</summary>
internal sealed class PackingSink(int length) : ILogRangeSink
{
    public byte[] Bytes { get; } = new byte[length];

    public void OnBytes(int offset, ReadOnlySpan<byte> bytes) => bytes.CopyTo(Bytes.AsSpan(offset));
}

/// <summary>A log in a folder of its own under the temporary folder.</summary>
internal sealed class LogFixture : IAsyncDisposable
{
    private readonly bool ownsDirectory;

    private LogFixture(string directory, bool ownsDirectory, BlockLog log, RecoverySummary summary, ListSink recovered)
    {
        Directory = directory;
        this.ownsDirectory = ownsDirectory;
        Log = log;
        Summary = summary;
        Recovered = recovered.Records;
    }

    public string Directory { get; }

    public BlockLog Log { get; }

    public RecoverySummary Summary { get; }

    public List<(RecoveredRecord Record, byte[] Key)> Recovered { get; }

    public static string NewDirectory() => System.IO.Directory.CreateTempSubdirectory("kvtier-log-").FullName;

    public static LogOptions SmallOptions(string directory, long capBytes = 8 << 20, int blockBytesMax = 1 << 20) => new()
    {
        Directory = directory,
        CapBytes = capBytes,
        PageBytes = 64 << 10,
        BufferBytes = 256 << 10,
        BlockBytesMax = blockBytesMax,
        ReadDepth = 2,

        // Nothing here depends on how long a busy disk takes, unless a test's own clock says so.
        IoTimeout = TimeSpan.FromMinutes(2),
        CloseTimeout = TimeSpan.FromMinutes(1),
    };

    public static LogFixture Open(LogOptions? options = null, ISegmentStore? store = null)
    {
        bool owns = options is null;
        options ??= SmallOptions(NewDirectory());
        BlockLog log = (store is null
            ? BlockLog.Open(options, TimeProvider.System) : BlockLog.Open(options, TimeProvider.System, store)).Value;
        var sink = new ListSink();
        RecoverySummary summary = log.Recover(sink);
        return new LogFixture(options.Directory, owns, log, summary, sink);
    }

    public static LogRecord Block(int seed, int length, int keyLength = 16, long expiry = 0)
    {
        var random = new Random(seed);
        var payload = new byte[length];
        var key = new byte[keyLength];
        random.NextBytes(payload);
        random.NextBytes(key);
        var ns = new NamespaceId(1, (ulong)(seed % 3));
        return new LogRecord
        {
            Kind = LogRecordKind.Block,
            Namespace = ns,
            Id = new BlockId((ulong)seed, (ulong)length),
            Codec = (byte)(seed % 5),
            PayloadCrc = Crc32C.Compute(payload),
            ExpiryUnixMs = expiry,
            Key = key,
            Payload = payload,
        };
    }

    public async Task<Stored> AppendAsync(LogRecord record)
    {
        LogAppendResult result = await Log.AppendAsync(record);
        Assert.Equal(LogAppendStatus.Appended, result.Status);
        return new Stored(record, result.Address);
    }

    public async Task<LogReadStatus> ReadStatusAsync(Stored stored)
    {
        var buffer = new AlignedBuffer(stored.Record.Payload.Length);
        try
        {
            (LogReadStatus status, _) = await Log.ReadAsync(new LogRead
            {
                Address = stored.Address,
                Id = stored.Record.Id,
                Length = stored.Record.Payload.Length,
                Destination = buffer.Memory,
            });
            if (status == LogReadStatus.Ok)
                Assert.True(buffer.GetSpan()[..stored.Record.Payload.Length].SequenceEqual(stored.Record.Payload.Span));
            return status;
        }
        finally
        {
            buffer.Free();
        }
    }

    public async Task AssertReadsAsync(IEnumerable<Stored> all)
    {
        foreach (Stored stored in all) Assert.Equal(LogReadStatus.Ok, await ReadStatusAsync(stored));
    }

    public static LogRead RangesOf(Stored stored, BlockRange[] ranges, ILogRangeSink sink) => new()
    {
        Address = stored.Address,
        Id = stored.Record.Id,
        Length = stored.Record.Payload.Length,
        KeyLength = stored.Record.Key.Length,
        Ranges = ranges,
        Sink = sink,
    };

    public static void AssertSame(IReadOnlyList<Stored> expected, IReadOnlyList<(RecoveredRecord Record, byte[] Key)> actual)
    {
        Assert.Equal(expected.Select(stored => stored.Address), actual.Select(found => found.Record.Address));
        foreach ((Stored stored, (RecoveredRecord record, byte[] key)) in expected.Zip(actual))
        {
            Assert.Equal(stored.Record.Kind, record.Kind);
            Assert.Equal(stored.Record.Namespace, record.Namespace);
            Assert.Equal(stored.Record.Id, record.Id);
            Assert.Equal(stored.Record.Codec, record.Codec);
            Assert.Equal(stored.Record.Payload.Length, record.Length);
            Assert.Equal(stored.Record.PayloadCrc, record.PayloadCrc);
            Assert.Equal(stored.Record.ExpiryUnixMs, record.ExpiryUnixMs);
            Assert.True(stored.Record.Key.Span.SequenceEqual(key));
        }
    }

    /// <summary>A copy of the files as they are now: what a kill -9 would leave.</summary>
    public string CopyFiles()
    {
        string copy = NewDirectory();

        // Segments last: what an index or the commit record says is durable is then in their copy too, as it would be after a kill.
        foreach (string path in System.IO.Directory.EnumerateFiles(Directory).OrderBy(
            path => path.EndsWith(".seg", StringComparison.Ordinal)))
        {
            // Indexes are replaced in the background; one that is being written or moved is as good as one not written yet.
            try
            {
                File.Copy(path, Path.Combine(copy, Path.GetFileName(path)));
            }
            catch (IOException) when (path.Contains(".idx", StringComparison.Ordinal))
            {
                continue;
            }
        }

        return copy;
    }

    public async ValueTask DisposeAsync()
    {
        await Log.DisposeAsync();
        if (ownsDirectory) System.IO.Directory.Delete(Directory, recursive: true);
    }
}

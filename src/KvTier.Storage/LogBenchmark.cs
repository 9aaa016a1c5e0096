using System.Runtime.InteropServices;

namespace KvTier.Storage;

/// <summary>What the log does on a device: bytes per second of payload, and seconds of recovery.</summary>
/// <param name="WriteBytesPerSecond">Appends and commits, the last commit included.</param>
/// <param name="ReadBytesPerSecond">Reads into memory, each checked.</param>
public sealed record LogFigures(double WriteBytesPerSecond, double ReadBytesPerSecond);

/// <summary>What a restart takes.</summary>
/// <param name="Clean">After an orderly close.</param>
/// <param name="Killed">From the files as they are while the log is open, as after kill -9.</param>
public sealed record RecoveryFigures(RecoverySummary Clean, RecoverySummary Killed);

/// <summary>Measures the log in a folder of its own; used by <c>kvtier bench</c>.</summary>
public static class LogBenchmark
{
    /// <summary>Appends blocks, then reads them in an order that no read-ahead foresees.</summary>
    /// <param name="options">The log; its folder is empty, its cap holds <paramref name="totalBytes"/> and an eighth more.</param>
    /// <param name="totalBytes">Bytes of payload, a multiple of <paramref name="blockBytes"/>.</param>
    /// <param name="blockBytes">Bytes of one block.</param>
    /// <param name="depth">Reads at the same time.</param>
    /// <param name="commitBytes">Bytes after which a commit is started; it is not waited for before the appends go on.</param>
    /// <param name="time">The clock.</param>
    /// <returns>The figures, or what failed.</returns>
    public static async Task<Result<LogFigures>> MeasureAsync(
        LogOptions options, long totalBytes, int blockBytes, int depth, long commitBytes, TimeProvider time)
    {
        if (!BlockLog.Open(options with { ReadDepth = depth }, time).TryGet(out BlockLog? log, out KvError? error)) return error;
        await using (log.ConfigureAwait(false))
        {
            log.Recover(new CountingSink());
            using var blocks = new NativeBlocks(blockBytes, depth);
            var addresses = new LogAddress[totalBytes / blockBytes];
            long startedAt = time.GetTimestamp();
            error = await AppendAllAsync(log, blocks, addresses, commitBytes).ConfigureAwait(false);
            if (error is not null) return error;
            double write = totalBytes / time.GetElapsedTime(startedAt).TotalSeconds;
            startedAt = time.GetTimestamp();
            long next = 0;
            var readers = new Task<KvError?>[depth];
            for (int i = 0; i < depth; i++)
            {
                Memory<byte> slot = blocks.Slots[i];
                readers[i] = Task.Run(() => ReadAllAsync(log, addresses, slot, blockBytes, () => Interlocked.Increment(ref next) - 1));
            }

            foreach (Task<KvError?> reader in readers) error ??= await reader.ConfigureAwait(false);
            return error is null ? new LogFigures(write, totalBytes / time.GetElapsedTime(startedAt).TotalSeconds) : error;
        }
    }

    /// <summary>Fills a log with small blocks and opens it twice: as it was left by a kill, and after an orderly close.</summary>
    /// <param name="options">The log; its folder is empty.</param>
    /// <param name="blocks">Number of blocks.</param>
    /// <param name="blockBytes">Bytes of one block.</param>
    /// <param name="time">The clock.</param>
    /// <returns>The two recoveries, or what failed.</returns>
    public static async Task<Result<RecoveryFigures>> MeasureRecoveryAsync(
        LogOptions options, int blocks, int blockBytes, TimeProvider time)
    {
        if (!BlockLog.Open(options, time).TryGet(out BlockLog? log, out KvError? error)) return error;
        log.Recover(new CountingSink());
        using (var memory = new NativeBlocks(blockBytes, 1))
        {
            error = await AppendAllAsync(log, memory, new LogAddress[blocks], 64 << 20).ConfigureAwait(false);
        }

        if (error is not null) return error;
        await log.AbandonAsync().ConfigureAwait(false);
        if (!Recover(options, time, out BlockLog? second, out error).TryGet(out RecoverySummary? killed, out _)) return error!;
        await second!.DisposeAsync().ConfigureAwait(false);
        if (!Recover(options, time, out BlockLog? third, out error).TryGet(out RecoverySummary? clean, out _)) return error!;
        await third!.DisposeAsync().ConfigureAwait(false);
        return new RecoveryFigures(clean, killed);
    }

    private static Result<RecoverySummary> Recover(LogOptions options, TimeProvider time, out BlockLog? log, out KvError? error)
    {
        if (!BlockLog.Open(options, time).TryGet(out log, out error)) return error;
        return log.Recover(new CountingSink());
    }

    private static async Task<KvError?> AppendAllAsync(BlockLog log, NativeBlocks blocks, LogAddress[] addresses, long commitBytes)
    {
        Memory<byte> payload = blocks.Slots[0][..blocks.BlockBytes];
        uint crc = Crc32C.Compute(payload.Span);
        var key = new byte[16];
        long sinceCommit = 0;
        ValueTask<KvError?> commit = default;
        bool committing = false;
        for (int i = 0; i < addresses.Length; i++)
        {
            BitConverter.TryWriteBytes(key, i);
            LogAppendResult result = await log.AppendAsync(new LogRecord
            {
                Kind = LogRecordKind.Block,
                Namespace = new NamespaceId(1, 2),
                Id = new BlockId(7, (ulong)i),
                PayloadCrc = crc,
                Key = key,
                Payload = payload,
            }).ConfigureAwait(false);
            if (result.Status != LogAppendStatus.Appended) return new KvError(ErrorCode.IoError, "append", $"{result.Status}", "Appended");
            addresses[i] = result.Address;
            sinceCommit += payload.Length;
            if (sinceCommit < commitBytes) continue;
            sinceCommit = 0;
            if (committing && await commit.ConfigureAwait(false) is { } failed) return failed;
            commit = log.CommitAsync();
            committing = true;
        }

        if (committing && await commit.ConfigureAwait(false) is { } error) return error;
        return await log.CommitAsync().ConfigureAwait(false);
    }

    private static async Task<KvError?> ReadAllAsync(BlockLog log, LogAddress[] addresses, Memory<byte> slot, int length, Func<long> next)
    {
        for (long i = next(); i < addresses.Length; i = next())
        {
            long at = RawDevice.Scatter(i, addresses.Length);
            var read = new LogRead { Address = addresses[at], Id = new BlockId(7, (ulong)at), Length = length, Destination = slot };
            LogReadStatus status = (await log.ReadAsync(read).ConfigureAwait(false)).Status;
            if (status != LogReadStatus.Ok) return new KvError(ErrorCode.Corrupt, "read", $"{status}", "Ok");
        }

        return null;
    }

    private sealed class CountingSink : ILogRecordSink
    {
        public long Count { get; private set; }

        public void OnRecord(in RecoveredRecord record, ReadOnlySpan<byte> key) => Count++;
    }

    /// <summary>Aligned memory, as arena slots are.</summary>
    private sealed unsafe class NativeBlocks : IDisposable
    {
        private readonly NativeBlock[] blocks;

        public NativeBlocks(int blockBytes, int count)
        {
            BlockBytes = blockBytes;
            blocks = new NativeBlock[count];
            for (int i = 0; i < count; i++) blocks[i] = new NativeBlock((blockBytes + 4095) & ~4095);
            Slots = [.. blocks.Select(block => block.Memory)];
            new Random(1).NextBytes(Slots[0].Span);
        }

        public int BlockBytes { get; }

        public Memory<byte>[] Slots { get; }

        public void Dispose()
        {
            foreach (NativeBlock block in blocks) ((IDisposable)block).Dispose();
        }
    }

    private sealed unsafe class NativeBlock(int bytes) : System.Buffers.MemoryManager<byte>
    {
        private byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 4096);

        public override Span<byte> GetSpan() => new(memory, bytes);

        public override System.Buffers.MemoryHandle Pin(int elementIndex = 0) => new(memory + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
            NativeMemory.AlignedFree(memory);
            memory = null;
        }
    }
}

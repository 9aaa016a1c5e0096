namespace KvTier.Storage;

/// <summary>How a block log is opened. Immutable; checked by <see cref="Validate"/> when the log is opened.</summary>
public sealed record LogOptions
{
    /// <summary>Smallest byte cap: 1 MiB.</summary>
    public const long CapBytesMin = 1 << 20;

    /// <summary>Folder of the log's files; it is made when missing.</summary>
    public required string Directory { get; init; }

    /// <summary>Most bytes that the log's files may take on the disk at any moment. At least <see cref="CapBytesMin"/>, and room for
    /// the largest block twice over; how much that is depends on <see cref="BlockBytesMax"/> and the error says it.</summary>
    public required long CapBytes { get; init; }

    /// <summary>Bytes of one buffer page, a power of two from 16 KiB to 64 MiB. Default 4 MiB; a log with a small cap takes a smaller one.
    /// Fixed when the log is made: an existing log keeps the size it has.</summary>
    public int PageBytes { get; init; } = 4 << 20;

    /// <summary>
    /// Bytes of memory that hold appended records until the device has them, a power of two from two pages to 1 GiB. Default 32 MiB.
    /// </summary>
    public int BufferBytes { get; init; } = 32 << 20;

    /// <summary>Largest block in bytes, 0 to 64 MiB. Default 64 MiB.</summary>
    public int BlockBytesMax { get; init; } = 64 << 20;

    /// <summary>Reads that the device is given at the same time, 1 to 64; each takes a thread. Default 8.</summary>
    public int ReadDepth { get; init; } = 8;

    /// <summary>Reads that may be waiting or running, 1 to 65,536; a caller above it waits. Default 4,096.</summary>
    public int ReadQueueMax { get; init; } = 4096;

    /// <summary>Writes that the device is given at the same time, 1 to 8; each takes a thread. Default 2.</summary>
    public int WriteDepth { get; init; } = 2;

    /// <summary>True to go past the page cache (O_DIRECT) where the file system lets us. Default true.</summary>
    public bool DirectIo { get; init; } = true;

    /// <summary>Longest that an append or commit waits for the device before it is reported as failed. Default 30 s, 1 s to 1 h.</summary>
    public TimeSpan IoTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Longest that closing the log waits for the device, the last commit included; then it gives up and leaves files and memory as they
    /// are. Default 10 s, 100 ms to 1 h.
    /// </summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Checks every field but the room for the largest block, which depends on the files that are there.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (string.IsNullOrEmpty(Directory)) return KvError.InvalidArgument("log.directory", Directory, "a path");
        if (CapBytes < CapBytesMin) return KvError.InvalidArgument("log.capBytes", CapBytes, $"at least {CapBytesMin}");
        if (!IsPowerOfTwo(PageBytes, 16 << 10, 64 << 20))
            return KvError.InvalidArgument("log.pageBytes", PageBytes, "a power of two, 16384 to 67108864");
        if (!IsPowerOfTwo(BufferBytes, 32 << 10, 1 << 30))
            return KvError.InvalidArgument("log.bufferBytes", BufferBytes, "a power of two, 32768 to 1073741824");
        if (BufferBytes < 2L * PageBytes)
            return KvError.InvalidArgument("log.bufferBytes", BufferBytes, $"at least two pages of {PageBytes}");
        if (BlockBytesMax is < 0 or > 64 << 20) return KvError.InvalidArgument("log.blockBytesMax", BlockBytesMax, "0 to 67108864");
        if (ReadDepth is < 1 or > 64) return KvError.InvalidArgument("log.readDepth", ReadDepth, "1 to 64");
        if (ReadQueueMax is < 1 or > 65_536) return KvError.InvalidArgument("log.readQueueMax", ReadQueueMax, "1 to 65536");
        if (WriteDepth is < 1 or > 8) return KvError.InvalidArgument("log.writeDepth", WriteDepth, "1 to 8");
        if (IoTimeout < TimeSpan.FromSeconds(1) || IoTimeout > TimeSpan.FromHours(1))
            return KvError.InvalidArgument("log.ioTimeout", IoTimeout, "1 s to 1 h");
        return CloseTimeout < TimeSpan.FromMilliseconds(100) || CloseTimeout > TimeSpan.FromHours(1)
            ? KvError.InvalidArgument("log.closeTimeout", CloseTimeout, "100 ms to 1 h")
            : null;
    }

    private static bool IsPowerOfTwo(int value, int min, int max) => value >= min && value <= max && int.IsPow2(value);
}

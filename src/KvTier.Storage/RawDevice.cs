using System.Runtime.InteropServices;
using KvTier.Storage.Device;

namespace KvTier.Storage;

/// <summary>
/// What the raw device does with a preallocated file, in the same folder, with the same size and depth as the log: its baseline.
/// </summary>
/// <param name="WriteBytesPerSecond">Sequential writes, made durable with fdatasync.</param>
/// <param name="ReadBytesPerSecond">Random reads of what was written.</param>
/// <param name="Direct">True when the page cache was passed by (O_DIRECT).</param>
public sealed record RawDeviceFigures(double WriteBytesPerSecond, double ReadBytesPerSecond, bool Direct);

/// <summary>Measures a device by itself, with the calls that the log makes and nothing else.</summary>
public static unsafe class RawDevice
{
    private const string FileName = "raw-device-probe.tmp";

    /// <summary>Writes and reads a file of a folder; the file is removed at the end.</summary>
    /// <param name="directory">The folder; it exists.</param>
    /// <param name="totalBytes">Bytes to write and to read, a multiple of <paramref name="blockBytes"/>.</param>
    /// <param name="blockBytes">Bytes of one read or write, a multiple of 4096.</param>
    /// <param name="depth">Reads or writes at the same time, 1 to 64.</param>
    /// <param name="syncBytes">Bytes after which one fdatasync is made, as the log makes one per commit.</param>
    /// <param name="time">The clock.</param>
    /// <returns>The figures, or the error of the device.</returns>
    public static Result<RawDeviceFigures> Measure(
        string directory, long totalBytes, int blockBytes, int depth, long syncBytes, TimeProvider time)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(blockBytes % 4096, 0, nameof(blockBytes));
        ArgumentOutOfRangeException.ThrowIfNotEqual(totalBytes % blockBytes, 0, nameof(totalBytes));
        ArgumentOutOfRangeException.ThrowIfNotEqual(depth is >= 1 and <= 64, true, nameof(depth));
        string path = Path.Combine(directory, FileName);
        int error = DirectSegmentFile.Open(path, create: true, direct: true, out DirectSegmentFile? opened);
        if (error != 0) return Failed(path, error);
        using DirectSegmentFile file = opened!;
        try
        {
            error = file.Preallocate(totalBytes);
            double write = error == 0 ? Write(file, totalBytes, blockBytes, depth, syncBytes, time, out error) : 0;
            double read = error == 0 ? Read(file, totalBytes, blockBytes, depth, time, out error) : 0;
            return error == 0 ? new RawDeviceFigures(write, read, file.IsDirect) : Failed(path, error);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static KvError Failed(string path, int error) => new(ErrorCode.IoError, path, Native.Describe(error), "a device that works");

    private static double Write(DirectSegmentFile file, long total, int block, int depth, long syncBytes, TimeProvider time, out int error)
    {
        int failed = 0;
        long next = 0;
        long written = 0;
        long startedAt = time.GetTimestamp();
        RunThreads(depth, block, memory =>
        {
            for (long at = Take(ref next, block); at < total && failed == 0; at = Take(ref next, block))
            {
                int result = file.Write((nint)memory, block, at);
                long before = Interlocked.Add(ref written, block) - block;
                if (result == 0 && before / syncBytes != (before + block) / syncBytes) result = file.Sync();
                if (result != 0) failed = result;
            }
        });
        if (failed == 0) failed = file.Sync();
        error = failed;
        return total / time.GetElapsedTime(startedAt).TotalSeconds;
    }

    private static double Read(DirectSegmentFile file, long total, int block, int depth, TimeProvider time, out int error)
    {
        int failed = 0;
        long next = 0;
        long blocks = total / block;
        long startedAt = time.GetTimestamp();
        RunThreads(depth, block, memory =>
        {
            Span<IoVector> vector = stackalloc IoVector[1];
            for (long i = Take(ref next, 1); i < blocks && failed == 0; i = Take(ref next, 1))
            {
                vector[0] = new IoVector((nint)memory, block);
                int result = file.Read(vector, Scatter(i, blocks) * block, out long read);
                if (result == 0 && read != block) result = Native.Eio;
                if (result != 0) failed = result;
            }
        });
        error = failed;
        return total / time.GetElapsedTime(startedAt).TotalSeconds;
    }

    /// <summary>Each index once, in an order that no read-ahead foresees.</summary>
    internal static long Scatter(long index, long count)
    {
        long stride = (count * 5 / 8) | 1;
        while (Gcd(stride, count) != 1) stride += 2;
        return index * stride % count;
    }

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);

    private static long Take(ref long next, long step) => Interlocked.Add(ref next, step) - step;

    private static void RunThreads(int count, int block, Action<long> work)
    {
        var threads = new Thread[count];
        for (int i = 0; i < count; i++)
        {
            threads[i] = new Thread(() =>
            {
                void* memory = NativeMemory.AlignedAlloc((nuint)block, 4096);
                new Span<byte>(memory, block).Fill(0x5A);
                work((long)memory);
                NativeMemory.AlignedFree(memory);
            });
            threads[i].Start();
        }

        foreach (Thread thread in threads) thread.Join();
    }
}

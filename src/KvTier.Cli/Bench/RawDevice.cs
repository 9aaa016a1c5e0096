using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvTier.Cli;

/// <summary>The raw device under a folder: a file opened with O_DIRECT, read and written from several threads.</summary>
internal sealed unsafe class RawDevice : IDisposable
{
    private const int ReadWriteCreate = 0x42;
    private static readonly int direct = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;
    private readonly SafeFileHandle file;
    private readonly string path;
    private readonly int blockBytes;
    private readonly int blocks;

    /// <summary>Opens a file for blocks of a size.</summary>
    /// <exception cref="IOException">The file system does not take O_DIRECT.</exception>
    public RawDevice(string path, int blockBytes, int blocks)
    {
        this.path = path;
        this.blockBytes = blockBytes;
        this.blocks = blocks;
        int descriptor = Open(path, ReadWriteCreate | direct, 0x180);
        if (descriptor < 0) throw new IOException($"cannot open {path} with O_DIRECT: errno {Marshal.GetLastPInvokeError()}");
        file = new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Writes every block once into an empty file from so many threads, then syncs.</summary>
    /// <returns>Bytes a second.</returns>
    public double Write(int threads)
    {
        // New blocks of the file system each time, as a log that grows needs them.
        RandomAccess.SetLength(file, 0);
        RandomAccess.SetLength(file, (long)blocks * blockBytes);
        return Overwrite(threads);
    }

    /// <summary>Writes every block over what is there, which spares the file system its work, then syncs.</summary>
    /// <returns>Bytes a second.</returns>
    public double Overwrite(int threads) =>
        Run(threads, (buffer, block) => RandomAccess.Write(file, buffer, (long)block * blockBytes), sync: true);

    /// <summary>Reads every block once from so many threads.</summary>
    /// <returns>Bytes a second.</returns>
    public double Read(int threads) =>
        Run(threads, (buffer, block) => RandomAccess.Read(file, buffer, (long)block * blockBytes), sync: false);

    /// <inheritdoc/>
    public void Dispose()
    {
        file.Dispose();
        File.Delete(path);
    }

    private delegate void Access(Span<byte> buffer, int block);

    private double Run(int threads, Access access, bool sync)
    {
        int next = -1;
        long start = Stopwatch.GetTimestamp();
        Task[] workers = [.. Enumerable.Range(0, threads).Select(_ =>
            Task.Factory.StartNew(Work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        Task.WaitAll(workers);
        if (sync) RandomAccess.FlushToDisk(file);
        return (double)blocks * blockBytes / Stopwatch.GetElapsedTime(start).TotalSeconds;

        void Work()
        {
            void* memory = NativeMemory.AlignedAlloc((nuint)blockBytes, 4096);
            try
            {
                var buffer = new Span<byte>(memory, blockBytes);
                BlockContent.Fill(buffer, (ulong)Environment.CurrentManagedThreadId);
                for (int block; (block = Interlocked.Increment(ref next)) < blocks;) access(buffer, block);
            }
            finally
            {
                NativeMemory.AlignedFree(memory);
            }
        }
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.System32)]
    private static extern int Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, int mode);
}

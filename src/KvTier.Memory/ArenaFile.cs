using System.Globalization;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace KvTier.Memory;

/// <summary>
/// The file behind a shared arena. Its owner holds a shared lock on it for as long as it lives, and the system drops the lock
/// however the owner ends; so a file that can be locked exclusively is nobody's, whatever its process id says in another container.
/// (The lock is shared because .NET takes one like it on every file that it opens, in clients too.)
/// </summary>
internal sealed class ArenaFile : IDisposable
{
    /// <summary>How every file that may be reaped is named.</summary>
    public const string NamePrefix = "kvtier-";

    /// <summary>Room is taken from the file system in steps of this size, as the arena fills.</summary>
    private const long ReserveStepBytes = 4L << 20;
    private static int lastNumber;

    /// <summary>Kept whole: nothing but <see cref="Dispose"/> may close it.</summary>
    private readonly FileStream stream;
    private long reservedBytes;

    private ArenaFile(string path, FileStream stream, long sizeBytes, ulong nonce)
    {
        this.stream = stream;
        Info = new SharedArenaInfo(path, sizeBytes, nonce);
    }

    /// <summary>What a client needs to map it.</summary>
    public SharedArenaInfo Info { get; }

    /// <summary>The file.</summary>
    public SafeFileHandle Handle => stream.SafeFileHandle;

    /// <summary>Makes the file, with room checked and its header's room reserved.</summary>
    /// <param name="options">Where.</param>
    /// <param name="sizeBytes">Bytes of the file.</param>
    /// <returns>The file, or why there is none.</returns>
    public static Result<ArenaFile> Create(ArenaOptions options, long sizeBytes)
    {
        string folder = options.SharedDirectory;
        if (!OperatingSystem.IsLinux()) return new KvError(ErrorCode.Unsupported, "arena.shared", "this system", "Linux");
        if (!Directory.Exists(folder)) return KvError.InvalidArgument("arena.sharedDirectory", folder, "a folder that exists");
        try
        {
            long room = new DriveInfo(folder).AvailableFreeSpace;
            if (room < sizeBytes)
                return new KvError(ErrorCode.LimitExceeded, $"arena.size in {folder}", $"{sizeBytes} bytes", $"{room} bytes free");
            string path = Path.Combine(folder, options.SharedName ?? NextName());
            FileStream opened = Open(path, FileMode.CreateNew);
            var file = new ArenaFile(path, opened, sizeBytes, BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)));
            bool kept = false;
            try
            {
                _ = NativeMethods.Lock(file.Handle, NativeMethods.LockShared | NativeMethods.LockNonBlocking);
                RandomAccess.SetLength(file.Handle, sizeBytes);
                kept = file.TryReserve(options.Prefault ? sizeBytes : ArenaHeader.AreaBytes);
                return kept ? file : new KvError(
                    ErrorCode.LimitExceeded, $"arena.size in {folder}", $"{sizeBytes} bytes", "what is free there");
            }
            finally
            {
                if (!kept) file.Dispose();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new KvError(ErrorCode.IoError, $"arena in {folder}", e.Message);
        }
    }

    /// <summary>End of the room that can be reserved. For tests, which can't fill the machine's shared memory.</summary>
    internal long ReservableBytes { get; set; } = long.MaxValue;

    /// <summary>
    /// Makes sure that pages up to an end have room, so that writing them can't fail: a full tmpfs answers a write with SIGBUS.
    /// </summary>
    /// <returns>False when the file system has no room.</returns>
    public bool TryReserve(long endBytes)
    {
        if (endBytes <= reservedBytes) return true;
        long end = Math.Min(Info.SizeBytes, (endBytes + ReserveStepBytes - 1) / ReserveStepBytes * ReserveStepBytes);
        if (!TryAllocate(end))
        {
            end = endBytes;
            if (!TryAllocate(end)) return false;
        }

        reservedBytes = end;
        return true;
    }

    /// <summary>Removes the file and drops the lock.</summary>
    public void Dispose()
    {
        if (!stream.CanWrite) return;
        TryDelete(Info.Path);
        stream.Dispose();
    }

    /// <summary>Removes the files of a folder whose owners are gone.</summary>
    /// <returns>How many were removed.</returns>
    public static int ReapStale(string folder)
    {
        if (!Directory.Exists(folder)) return 0;
        int reaped = 0;
        foreach (string path in Directory.EnumerateFiles(folder, NamePrefix + "*"))
        {
            if (TryReap(path)) reaped++;
        }

        return reaped;
    }

    private static bool TryReap(string path)
    {
        try
        {
            using FileStream file = Open(path, FileMode.Open);
            Span<byte> bytes = stackalloc byte[ArenaHeader.Bytes];
            int read = RandomAccess.Read(file.SafeFileHandle, bytes, 0);
            bool whole = ArenaHeader.Read(bytes[..read]).IsOk;
            // Without a whole header the file may be one that is being made this moment; then its name says whose it is. Such a file is not
            // even locked: its maker locks it just after it is there, and would have to do without it.
            if (!whole && !IsOfDeadProcess(path)) return false;
            return NativeMethods.Lock(file.SafeFileHandle, NativeMethods.LockExclusive | NativeMethods.LockNonBlocking) == 0
                && TryDelete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another user's file, or one that went away meanwhile: not ours to reap.
            return false;
        }
    }

    private static bool IsOfDeadProcess(string path)
    {
        string[] parts = Path.GetFileName(path).Split('-');
        return parts.Length >= 2
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            && !Directory.Exists($"/proc/{process}");
    }

    private static bool TryDelete(string path)
    {
        try
        {
            File.Delete(path);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static FileStream Open(string path, FileMode mode)
    {
        var options = new FileStreamOptions
        {
            Mode = mode,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
        };
        if (mode == FileMode.CreateNew && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }

    private static string NextName() => $"{NamePrefix}{Environment.ProcessId}-{Interlocked.Increment(ref lastNumber)}";

    private bool TryAllocate(long endBytes)
    {
        if (endBytes > ReservableBytes) return false;
        int error;
        do error = NativeMethods.Allocate(Handle, reservedBytes, endBytes - reservedBytes);
        while (error == NativeMethods.ErrorInterrupted);
        return error == 0;
    }
}

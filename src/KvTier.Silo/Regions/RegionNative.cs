using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvTier.Silo.Regions;

/// <summary>What the system says of an open file or of a path.</summary>
/// <param name="Inode">Number of the file on its device.</param>
/// <param name="Device">The device.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Uid">Whose it is.</param>
/// <param name="Links">Names that it has; 0 once it was removed.</param>
/// <param name="IsRegular">True for a plain file.</param>
/// <param name="ChangedUnixSeconds">When it was last changed or written by a call.</param>
internal readonly record struct FileFacts(
    ulong Inode, ulong Device, long Size, uint Uid, uint Links, bool IsRegular, long ChangedUnixSeconds)
{
    /// <summary>True when both are about one file.</summary>
    public bool IsSameFile(in FileFacts other) => Inode == other.Inode && Device == other.Device;
}

/// <summary>The calls of the system that regions need. Numbers are those of Linux; where they differ, of x64 and arm64.</summary>
internal static unsafe partial class RegionNative
{
    public const int Eagain = 11;
    public const int Eintr = 4;

    private const int OpenReadWrite = 2;
    private const int OpenNonBlocking = 0x800;
    private const int OpenCloseOnExec = 0x80000;
    private const int EmptyPath = 0x1000;
    private const int NoFollow = 0x100;
    private const int CurrentFolder = -100;
    private const uint BasicFacts = 0x7FF;
    private const int TypeMask = 0xF000;
    private const int TypeRegular = 0x8000;
    private const int SetOpenFileLock = 37;
    private const int SetLease = 1024;
    private const short WriteLock = 1;
    private const short NoLock = 2;

    private static readonly int openNoFollow = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x8000 : 0x20000;

    /// <summary>Opens a file for reading and writing, unless its last part is a symbolic link.</summary>
    /// <returns>The number of the error; 0 when it is open.</returns>
    public static int Open(string path, out SafeFileHandle handle)
    {
        int descriptor = OpenCore(path, OpenReadWrite | OpenNonBlocking | OpenCloseOnExec | openNoFollow);
        int error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        handle = new SafeFileHandle(descriptor, ownsHandle: true);
        return error;
    }

    /// <summary>What an open file is.</summary>
    public static int Look(SafeHandle handle, out FileFacts facts)
    {
        byte* buffer = stackalloc byte[256];
        int result = StatHandle(handle, "", EmptyPath, BasicFacts, buffer);
        facts = result == 0 ? Read(buffer) : default;
        return result == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>What a path names; symbolic links are not followed.</summary>
    public static int Look(string path, out FileFacts facts)
    {
        byte* buffer = stackalloc byte[256];
        int result = StatPath(CurrentFolder, path, NoFollow, BasicFacts, buffer);
        facts = result == 0 ? Read(buffer) : default;
        return result == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>Reads at an offset, once.</summary>
    /// <returns>Bytes read, or the negative number of the error.</returns>
    public static long ReadAt(SafeHandle handle, Span<byte> destination, long offset)
    {
        fixed (byte* start = destination)
        {
            nint read = PositionedRead(handle, start, (nuint)destination.Length, offset);
            return read < 0 ? -Marshal.GetLastPInvokeError() : read;
        }
    }

    /// <summary>Writes at an offset, once.</summary>
    /// <returns>Bytes written, or the negative number of the error.</returns>
    public static long WriteAt(SafeHandle handle, ReadOnlySpan<byte> source, long offset)
    {
        fixed (byte* start = source)
        {
            nint written = PositionedWrite(handle, start, (nuint)source.Length, offset);
            return written < 0 ? -Marshal.GetLastPInvokeError() : written;
        }
    }

    /// <summary>Locks one byte of a file for this opening of it, against locks of others; it does not wait.</summary>
    /// <returns>The number of the error; 0 when it is locked.</returns>
    public static int LockByte(SafeHandle handle, long offset) => Control(handle, WriteLock, offset);

    /// <summary>Ends such a lock.</summary>
    public static void UnlockByte(SafeHandle handle, long offset) => _ = Control(handle, NoLock, offset);

    /// <summary>Asks for the file's lease, which the system grants only when nobody else has the file open or mapped.</summary>
    /// <returns>The number of the error; 0 when granted.</returns>
    public static int TakeLease(SafeHandle handle) =>
        SetFileLease(handle, SetLease, WriteLock) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Gives the lease back.</summary>
    public static void EndLease(SafeHandle handle) => _ = SetFileLease(handle, SetLease, NoLock);

    private static int Control(SafeHandle handle, short type, long offset)
    {
        var range = new FileLock { Type = type, Start = offset, Length = 1 };
        return SetFileLock(handle, SetOpenFileLock, &range) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    // struct statx of Linux, the same on every architecture.
    private static FileFacts Read(byte* facts) => new(
        *(ulong*)(facts + 32), ((ulong)*(uint*)(facts + 136) << 32) | *(uint*)(facts + 140), *(long*)(facts + 40), *(uint*)(facts + 20),
        *(uint*)(facts + 16), (*(ushort*)(facts + 28) & TypeMask) == TypeRegular, Math.Max(*(long*)(facts + 96), *(long*)(facts + 112)));

    /// <summary>struct flock of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int Process;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenCore(string path, int flags);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatHandle(SafeHandle handle, string path, int flags, uint mask, byte* facts);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatPath(int folder, string path, int flags, uint mask, byte* facts);

    [LibraryImport("libc", EntryPoint = "pread64", SetLastError = true)]
    private static partial nint PositionedRead(SafeHandle handle, byte* destination, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite64", SetLastError = true)]
    private static partial nint PositionedWrite(SafeHandle handle, byte* source, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int SetFileLock(SafeHandle handle, int command, FileLock* range);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int SetFileLease(SafeHandle handle, int command, int type);
}

using System.Runtime.InteropServices;

namespace KvTier.Storage.Device;

/// <summary>One piece of memory of a vectored read, as the kernel takes it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoVector(nint address, nint length)
{
    public nint Address = address;
    public nint Length = length;
}

/// <summary>The few Linux calls that the BCL has no counterpart for. All return errno instead of throwing.</summary>
internal static unsafe partial class Native
{
    public const int Enoent = 2;
    public const int Eintr = 4;
    public const int Eio = 5;
    public const int Eexist = 17;
    public const int Einval = 22;
    public const int Enospc = 28;
    public const int Eopnotsupp = 95;
    public const int Edquot = 122;

    private const int ReadWrite = 2;
    private const int Create = 0x40;
    private const int Truncate = 0x200;
    private const int CloseOnExec = 0x80000;
    private const int FallocateZeroRange = 0x10;
    private const int FallocateKeepSize = 0x01;

    // O_DIRECT has another value on ARM.
    private static readonly int Direct = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 0x10000 : 0x4000;

    /// <summary>Opens a file for reading and writing; what is made is empty, even if there was one.</summary>
    public static int Open(string path, bool create, bool direct, out int descriptor)
    {
        int flags = ReadWrite | CloseOnExec | (create ? Create | Truncate : 0) | (direct ? Direct : 0);
        descriptor = OpenCore(path, flags, 0x1A4);
        return descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    public static void Close(int descriptor) => _ = CloseCore(descriptor);

    public static int Write(int descriptor, nint source, long length, long offset, out long written)
    {
        written = WriteCore(descriptor, source, (nuint)length, offset);
        return written < 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    public static int Read(int descriptor, IoVector* vectors, int count, long offset, out long read)
    {
        read = ReadVectorsCore(descriptor, vectors, count, offset);
        return read < 0 ? Marshal.GetLastPInvokeError() : 0;
    }

    public static int Sync(int descriptor) => SyncCore(descriptor) == 0 ? 0 : Marshal.GetLastPInvokeError();

    public static int Allocate(int descriptor, long offset, long length) =>
        FallocateCore(descriptor, 0, offset, length) == 0 ? 0 : Marshal.GetLastPInvokeError();

    public static int ZeroRange(int descriptor, long offset, long length) =>
        FallocateCore(descriptor, FallocateZeroRange | FallocateKeepSize, offset, length) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Makes the names in a folder durable.</summary>
    public static int SyncDirectory(string path)
    {
        int descriptor = OpenCore(path, CloseOnExec, 0);
        if (descriptor < 0) return Marshal.GetLastPInvokeError();
        int result = FsyncCore(descriptor) == 0 ? 0 : Marshal.GetLastPInvokeError();
        Close(descriptor);
        return result;
    }

    /// <summary>What an errno means, for messages.</summary>
    public static string Describe(int errno) => $"errno {errno} ({Marshal.GetPInvokeErrorMessage(errno)})";

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenCore(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseCore(int descriptor);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static partial nint WriteCore(int descriptor, nint source, nuint length, long offset);

    [LibraryImport("libc", EntryPoint = "preadv", SetLastError = true)]
    private static partial nint ReadVectorsCore(int descriptor, IoVector* vectors, int count, long offset);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int SyncCore(int descriptor);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FsyncCore(int descriptor);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int FallocateCore(int descriptor, int mode, long offset, long length);
}

using System.Runtime.InteropServices;

namespace KvTier.Memory;

/// <summary>The calls of the C library that .NET has no door to. Constants are those of Linux, the same on x64 and arm64.</summary>
internal static partial class NativeMethods
{
    internal const int ProtRead = 1;
    internal const int ProtWrite = 2;
    internal const int MapShared = 0x01;
    internal const int MapPrivate = 0x02;
    internal const int MapAnonymous = 0x20;

    /// <summary>No swap is reserved: large arrays are touched as they fill.</summary>
    internal const int MapNoReserve = 0x4000;
    internal const int RemapMayMove = 1;
    internal const int AdviseDontNeed = 4;
    internal const int AdviseHugePage = 14;

    /// <summary>MADV_POPULATE_WRITE, from Linux 5.14 on; older kernels answer EINVAL.</summary>
    internal const int AdvisePopulateWrite = 23;
    internal const int LockShared = 1;
    internal const int LockExclusive = 2;
    internal const int LockNonBlocking = 4;
    internal const int ErrorInterrupted = 4;

    internal static readonly nint MapFailed = -1;

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    internal static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    internal static partial nint MapFile(nint address, nuint length, int protection, int flags, SafeHandle file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    internal static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "mremap", SetLastError = true)]
    internal static partial nint Remap(nint address, nuint oldLength, nuint newLength, int flags);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    internal static partial int Advise(nint address, nuint length, int advice);

    /// <summary>Reserves room in a file; the answer is the error number itself, 0 for none.</summary>
    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    internal static partial int Allocate(SafeHandle file, long offset, long length);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    internal static partial int Lock(SafeHandle file, int operation);
}

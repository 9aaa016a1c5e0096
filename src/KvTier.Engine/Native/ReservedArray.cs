using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvTier.Memory;

namespace KvTier.Engine;

/// <summary>
/// An array in native memory that grows without being copied: the addresses for its largest length are reserved at the start, and the
/// kernel gives pages as they are first written. Elements begin as zeros.
/// </summary>
/// <typeparam name="T">Type of an element.</typeparam>
internal sealed unsafe class ReservedArray<T> : IDisposable
    where T : unmanaged
{
    private readonly nuint reservedBytes;
    private nint address;

    /// <summary>Reserves addresses.</summary>
    /// <param name="lengthMax">Most elements there can ever be.</param>
    /// <exception cref="KvException">The kernel refused the reservation.</exception>
    internal ReservedArray(long lengthMax)
    {
        LengthMax = lengthMax;
        reservedBytes = checked((nuint)(((lengthMax * sizeof(T)) + HugePageBytes - 1) / HugePageBytes * HugePageBytes));
        const int Flags = NativeMethods.MapPrivate | NativeMethods.MapAnonymous | NativeMethods.MapNoReserve;
        address = NativeMethods.Map(0, reservedBytes, NativeMethods.ProtectionReadWrite, Flags, -1, 0);
        if (address == NativeMethods.MapFailed)
        {
            throw new KvException(new KvError(
                ErrorCode.Internal, "address space", $"{reservedBytes} bytes",
                $"what the kernel grants (errno {Marshal.GetLastPInvokeError()})"));
        }

        NativeMemoryTracker.Add((long)reservedBytes);

        // A refused hint costs speed only.
        _ = NativeMethods.Advise(address, reservedBytes, NativeMethods.AdviseHugePage);
    }

    /// <summary>Size of a huge page.</summary>
    private const long HugePageBytes = 2L << 20;

    /// <summary>Most elements.</summary>
    internal long LengthMax { get; }

    /// <summary>The first element; null after <see cref="Dispose"/>.</summary>
    internal T* Pointer => (T*)address;

    /// <summary>An element; the caller keeps the index below what it has handed out.</summary>
    internal ref T this[long index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref ((T*)address)[index];
    }

    /// <summary>Gives the addresses back.</summary>
    public void Dispose()
    {
        if (address == 0) return;
        _ = NativeMethods.Unmap(address, reservedBytes);
        NativeMemoryTracker.Remove((long)reservedBytes);
        address = 0;
    }
}

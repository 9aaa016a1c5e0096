using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvTier.Memory;

/// <summary>One mapping, owned: unmapped exactly once and counted by <see cref="NativeMemoryTracker"/> while it lives.</summary>
/// <remarks>
/// It has no finalizer on purpose. Spans made from it do not keep it alive, so a collector that unmapped it could turn a
/// forgotten <c>Dispose</c> into wrong bytes; a leak is the lesser evil, and the leak gates find it.
/// </remarks>
internal sealed unsafe class NativeRegion : IDisposable
{
    /// <summary>Bytes populated by one call, so that a signal does not have to wait for the whole region.</summary>
    private const long PopulateStepBytes = 64L << 20;
    private nint address;

    private NativeRegion(nint address, long bytes)
    {
        this.address = address;
        Bytes = bytes;
        NativeMemoryTracker.Add(bytes);
    }

    /// <summary>Bytes of the mapping.</summary>
    public long Bytes { get; private set; }

    /// <summary>First byte; null after <see cref="Dispose"/>.</summary>
    public byte* Pointer => (byte*)address;

    /// <summary>Maps zeroed memory of this process alone.</summary>
    /// <param name="bytes">Its size.</param>
    /// <param name="hugePages">True to ask for huge pages.</param>
    /// <returns>Null when the system has no room.</returns>
    public static NativeRegion? TryMapAnonymous(long bytes, bool hugePages)
    {
        nint mapped = NativeMethods.Map(
            0,
            (nuint)bytes,
            NativeMethods.ProtRead | NativeMethods.ProtWrite,
            NativeMethods.MapPrivate | NativeMethods.MapAnonymous | NativeMethods.MapNoReserve,
            -1,
            0);
        if (mapped == NativeMethods.MapFailed) return null;
        // A hint: a kernel without huge pages refuses it and all goes on with small ones.
        if (hugePages) _ = NativeMethods.Advise(mapped, (nuint)bytes, NativeMethods.AdviseHugePage);
        return new NativeRegion(mapped, bytes);
    }

    /// <summary>Maps the start of a file, shared with every process that maps it.</summary>
    /// <returns>Null when the system refuses.</returns>
    public static NativeRegion? TryMapFile(SafeFileHandle file, long bytes)
    {
        nint mapped = NativeMethods.MapFile(
            0, (nuint)bytes, NativeMethods.ProtRead | NativeMethods.ProtWrite, NativeMethods.MapShared, file, 0);
        if (mapped == NativeMethods.MapFailed) return null;
        // Helps where the administrator set shmem_enabled to advise; refused elsewhere without harm.
        _ = NativeMethods.Advise(mapped, (nuint)bytes, NativeMethods.AdviseHugePage);
        return new NativeRegion(mapped, bytes);
    }

    /// <summary>Gives an anonymous mapping another size; it may move. New bytes are zero.</summary>
    /// <returns>False when the system has no room; nothing changed then.</returns>
    public bool TryResize(long bytes)
    {
        nint moved = NativeMethods.Remap(address, (nuint)Bytes, (nuint)bytes, NativeMethods.RemapMayMove);
        if (moved == NativeMethods.MapFailed) return false;
        NativeMemoryTracker.Resize(Bytes, bytes);
        address = moved;
        Bytes = bytes;
        return true;
    }

    /// <summary>Touches every page now, so that no write faults later.</summary>
    public void Populate()
    {
        for (long start = 0; start < Bytes; start += PopulateStepBytes)
        {
            long length = Math.Min(PopulateStepBytes, Bytes - start);
            while (NativeMethods.Advise(address + (nint)start, (nuint)length, NativeMethods.AdvisePopulateWrite) != 0)
            {
                if (Marshal.GetLastPInvokeError() == NativeMethods.ErrorInterrupted) continue;
                // A kernel older than 5.14: write one byte of every page; what is mapped so early is still zero.
                for (long page = start; page < start + length; page += Environment.SystemPageSize) Pointer[page] = Pointer[page];
                break;
            }
        }
    }

    /// <summary>Makes an anonymous mapping zero again and gives its pages back.</summary>
    public void Reset()
    {
        if (NativeMethods.Advise(address, (nuint)Bytes, NativeMethods.AdviseDontNeed) != 0) NativeMemory.Clear(Pointer, (nuint)Bytes);
    }

    /// <summary>Unmaps the memory.</summary>
    public void Dispose()
    {
        nint mapped = Interlocked.Exchange(ref address, 0);
        if (mapped == 0) return;
        _ = NativeMethods.Unmap(mapped, (nuint)Bytes);
        NativeMemoryTracker.Remove(Bytes);
    }
}

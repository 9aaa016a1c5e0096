using System.Runtime.Intrinsics.X86;

namespace KvTier.Kernels;

/// <summary>What the kernels know of the cache.</summary>
internal static class CacheLine
{
    internal const int Bytes = 64;

    /// <summary>Asks for a line. It may lie past the end of what is readable: a prefetch does not fault.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static unsafe void Prefetch(ref byte address)
    {
        if (Sse.IsSupported) Sse.Prefetch0(Unsafe.AsPointer(ref address));
    }
}

using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvTier;

/// <summary>CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, initial and final value 0xFFFFFFFF), as in RFC 3720.</summary>
public static class Crc32C
{
    /// <summary>The CRC of a span; of an empty one it is 0.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>The CRC of what had <paramref name="crc"/> followed by <paramref name="data"/>.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        ref byte source = ref MemoryMarshal.GetReference(data);
        nint i = 0;
        for (; i + 8 <= data.Length; i += 8) crc = BitOperations.Crc32C(crc, Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref source, i)));
        for (; i < data.Length; i++) crc = BitOperations.Crc32C(crc, Unsafe.Add(ref source, i));
        return ~crc;
    }
}

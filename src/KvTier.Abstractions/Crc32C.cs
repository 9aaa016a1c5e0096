using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace KvTier;

/// <summary>CRC-32C (Castagnoli, reflected polynomial 0x82F63B78, initial and final value 0xFFFFFFFF), as in RFC 3720.</summary>
/// <remarks>
/// Wide carry-less multiplication where the processor has it (x64 with VPCLMULQDQ and AVX-512), else three interleaved streams of the CRC
/// instruction (x64 with SSE 4.2, arm64 with CRC32), else tables. All give the same value.
/// </remarks>
public static class Crc32C
{
    /// <summary>Copies are made in pieces of this size, so that the second pass over a piece finds it in the first-level cache.</summary>
    private const int CopyPieceBytes = 16 << 10;

    /// <summary>The CRC of a span; of an empty one it is 0.</summary>
    public static uint Compute(ReadOnlySpan<byte> data) => Append(0, data);

    /// <summary>The CRC of what had <paramref name="crc"/> followed by <paramref name="data"/>.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        if (Crc32CFolding.IsSupported && data.Length >= Crc32CFolding.BytesMin) return ~Crc32CFolding.Update(~crc, data);
        if (Crc32CStreams.IsSupported && data.Length >= Crc32CStreams.BytesMin) return ~Crc32CStreams.Update(~crc, data);
        return ~Update(~crc, data);
    }

    /// <summary>Copies bytes and computes the CRC of what arrived, in one pass over memory.</summary>
    /// <param name="source">The bytes.</param>
    /// <param name="destination">At least as long; its CRC is taken, so that a source that changes meanwhile can't lead to a check that
    /// does not fit the copy. Must not overlap the source.</param>
    /// <param name="crc">CRC of the bytes before these. Default 0, for none.</param>
    /// <returns>The CRC of the bytes before and these.</returns>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public static uint CopyAndCompute(ReadOnlySpan<byte> source, Span<byte> destination, uint crc = 0)
    {
        if (destination.Length < source.Length)
            throw new ArgumentException($"destination has {destination.Length} of {source.Length} bytes", nameof(destination));
        while (source.Length > 0)
        {
            int length = Math.Min(source.Length, CopyPieceBytes);
            source[..length].CopyTo(destination);
            crc = Append(crc, destination[..length]);
            source = source[length..];
            destination = destination[length..];
        }

        return crc;
    }

    /// <summary>The CRC of two byte strings joined, from their CRCs alone.</summary>
    /// <param name="first">CRC of the first.</param>
    /// <param name="second">CRC of the second.</param>
    /// <param name="secondLength">Bytes of the second, 0 or more.</param>
    public static uint Combine(uint first, uint second, long secondLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(secondLength);
        return Crc32CMath.Multiply(first, Crc32CMath.PowerOfX(8 * (UInt128)(ulong)secondLength)) ^ second;
    }

    /// <summary>One stream of the CRC instruction, or tables where there is none.</summary>
    /// <param name="state">The inverted CRC so far.</param>
    /// <param name="data">The bytes.</param>
    /// <returns>The inverted CRC.</returns>
    internal static uint Update(uint state, ReadOnlySpan<byte> data)
    {
        ref byte source = ref MemoryMarshal.GetReference(data);
        nint i = 0;
        for (; i + 8 <= data.Length; i += 8)
            state = BitOperations.Crc32C(state, Crc32CMath.ReadLittleEndian(ref Unsafe.Add(ref source, i)));
        for (; i < data.Length; i++) state = BitOperations.Crc32C(state, Unsafe.Add(ref source, i));
        return state;
    }
}

using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Testing;

/// <summary>
/// Payloads that follow from a block's id alone, so that a reader can tell right bytes from wrong ones, and from right bytes of another
/// block or another place, without keeping what was written.
/// </summary>
/// <remarks>The byte at a position is byte <c>p % 8</c> of <c>mix(seed + 0x9E3779B97F4A7C15 * (p / 8))</c>, where seed is
/// <c>High ^ rotl(Low, 32)</c> and mix is <c>x ^= x &lt;&lt; 13; x ^= x &gt;&gt; 7; x ^= x &lt;&lt; 17</c>: a bijection, so no two words
/// of a block are alike.</remarks>
public static class BlockBytes
{
    private const ulong Step = 0x9E3779B97F4A7C15;
    private const int VectorBytes = 64;

    /// <summary>Fills a span with the bytes of a block.</summary>
    /// <param name="id">The block.</param>
    /// <param name="destination">Takes the bytes.</param>
    /// <param name="offset">Position in the block of the first byte.</param>
    public static void Fill(BlockId id, Span<byte> destination, long offset = 0)
    {
        int head = (int)Math.Min((8 - (offset & 7)) & 7, destination.Length);
        for (int i = 0; i < head; i++) destination[i] = At(id, offset + i);
        Span<byte> body = destination[head..];
        ulong counter = Seed(id) + (Step * (ulong)((offset + head) >> 3));
        Vector512<ulong> counters = Lanes(counter);
        int done = 0;
        for (; done + VectorBytes <= body.Length; done += VectorBytes)
        {
            Unsafe.WriteUnaligned(ref body[done], Mix(counters));
            counters += Vector512.Create(unchecked(Step * 8));
        }

        for (int i = done; i < body.Length; i++) body[i] = At(id, offset + head + i);
    }

    /// <summary>Compares a span with the bytes of a block.</summary>
    /// <param name="id">The block.</param>
    /// <param name="source">The bytes to judge.</param>
    /// <param name="offset">Position in the block of the first byte.</param>
    /// <returns>True when every byte is right.</returns>
    public static bool Verify(BlockId id, ReadOnlySpan<byte> source, long offset = 0) => FirstWrong(id, source, offset) < 0;

    /// <summary>Finds the first wrong byte.</summary>
    /// <returns>Its index in the span; -1 when all are right.</returns>
    public static int FirstWrong(BlockId id, ReadOnlySpan<byte> source, long offset = 0)
    {
        int head = (int)Math.Min((8 - (offset & 7)) & 7, source.Length);
        for (int i = 0; i < head; i++)
        {
            if (source[i] != At(id, offset + i)) return i;
        }

        ReadOnlySpan<byte> body = source[head..];
        Vector512<ulong> counters = Lanes(Seed(id) + (Step * (ulong)((offset + head) >> 3)));
        int done = 0;
        for (; done + VectorBytes <= body.Length; done += VectorBytes)
        {
            if (Unsafe.ReadUnaligned<Vector512<ulong>>(ref MemoryMarshal.GetReference(body[done..])) != Mix(counters)) break;
            counters += Vector512.Create(unchecked(Step * 8));
        }

        for (int i = done; i < body.Length; i++)
        {
            if (body[i] != At(id, offset + head + i)) return head + i;
        }

        return -1;
    }

    /// <summary>One byte of a block.</summary>
    public static byte At(BlockId id, long position)
    {
        ulong word = Mix(Vector512.Create(Seed(id) + (Step * (ulong)(position >> 3))))[0];
        if (!BitConverter.IsLittleEndian) word = BinaryPrimitives.ReverseEndianness(word);
        return (byte)(word >> (int)((position & 7) * 8));
    }

    private static ulong Seed(BlockId id) => id.High ^ ((id.Low << 32) | (id.Low >> 32));

    private static Vector512<ulong> Lanes(ulong counter)
    {
        Span<ulong> lanes = stackalloc ulong[8];
        for (int i = 0; i < 8; i++) lanes[i] = counter + (Step * (ulong)i);
        return Vector512.Create<ulong>(lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<ulong> Mix(Vector512<ulong> x)
    {
        x ^= x << 13;
        x ^= x >>> 7;
        x ^= x << 17;
        return x;
    }
}

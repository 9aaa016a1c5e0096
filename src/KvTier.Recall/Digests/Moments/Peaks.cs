using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>
/// The tokens of a chunk that lie farthest from its mean. They are kept as they are, so that a needle is found, and the moments of the
/// rest are not spoilt by them.
/// </summary>
internal static class Peaks
{
    /// <summary>Tokens that stay in the rest at least.</summary>
    private const int RestMin = 2;

    /// <summary>Peaks of a chunk of some tokens.</summary>
    internal static int Of(DigestSpec spec, int tokens) => Math.Min(spec.Peaks, Math.Max(0, tokens - RestMin));

    /// <summary>Exchanges the token farthest from the mean, the lowest of equals, with the last one.</summary>
    internal static void MoveFarthestToEnd(ChunkScratch scratch, int tokens)
    {
        int dim = scratch.Mean.Length;
        Span<float> mean = scratch.Mean;
        Span<float> off = scratch.Row[..dim];
        KeyStatistics.Mean(scratch.Keys, tokens, mean);
        int farthest = 0;
        float largest = -1;
        for (int t = 0; t < tokens; t++)
        {
            scratch.Keys.Slice(t * dim, dim).CopyTo(off);
            RowMath.Subtract(off, mean);
            float distance = RowMath.Dot(off, off);
            if (distance <= largest) continue;
            (farthest, largest) = (t, distance);
        }

        Exchange(scratch.Keys, farthest, tokens - 1, off);
        Exchange(scratch.Values, farthest, tokens - 1, off);
    }

    /// <summary>Adds a peak's mass to a chunk's.</summary>
    /// <param name="masses">ln of the mass so far; becomes that of both.</param>
    /// <param name="peaks">ln of the peak's mass; becomes its share.</param>
    /// <param name="rest">Share of the rest so far; shrinks.</param>
    internal static void Mix(Span<float> masses, Span<float> peaks, Span<float> rest)
    {
        ref float mass = ref MemoryMarshal.GetReference(masses);
        ref float peak = ref MemoryMarshal.GetReference(peaks);
        ref float share = ref MemoryMarshal.GetReference(rest);
        int u = 0;
        for (; u <= masses.Length - Vector256<float>.Count; u += Vector256<float>.Count)
        {
            Vector256<float> a = Vector256.LoadUnsafe(ref mass, (nuint)u);
            Vector256<float> b = Vector256.LoadUnsafe(ref peak, (nuint)u);
            Vector256<float> top = Vector256.Max(a, b);
            a = Vector256.Exp(a - top);
            b = Vector256.Exp(b - top);
            Vector256<float> sum = a + b;
            (top + Vector256.Log(sum)).StoreUnsafe(ref mass, (nuint)u);
            (b / sum).StoreUnsafe(ref peak, (nuint)u);
            (Vector256.LoadUnsafe(ref share, (nuint)u) * (a / sum)).StoreUnsafe(ref share, (nuint)u);
        }

        for (; u < masses.Length; u++)
        {
            float top = MathF.Max(masses[u], peaks[u]);
            float a = MathF.Exp(masses[u] - top);
            float b = MathF.Exp(peaks[u] - top);
            masses[u] = top + MathF.Log(a + b);
            peaks[u] = b / (a + b);
            rest[u] *= a / (a + b);
        }
    }

    private static void Exchange(Span<float> rows, int a, int b, Span<float> room)
    {
        Span<float> first = rows.Slice(a * room.Length, room.Length);
        Span<float> second = rows.Slice(b * room.Length, room.Length);
        first.CopyTo(room);
        second.CopyTo(first);
        room.CopyTo(second);
    }
}

using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>
/// The scores of a chunk's keys along their main direction, taken to have two values, A with share p and B with the rest, so that mean 0,
/// variance 1 and the skew k fit: A, B = (k ± √(k² + 4)) / 2, p = 1 / (1 + A²). Exact for a chunk with one odd key (a needle) or two
/// clusters.
/// </summary>
internal ref struct TwoPointLaw
{
    /// <summary>Lines of room for each chunk.</summary>
    internal const int Lines = 4;
    private static readonly int Width = Vector256<float>.Count;
    private readonly Span<float> high;
    private readonly Span<float> low;
    private readonly Span<float> highShare;
    private readonly Span<float> lowShare;

    /// <summary>Fits the laws of some chunks.</summary>
    /// <param name="skews">Their skews.</param>
    /// <param name="room">Room for <see cref="Lines"/> numbers a chunk.</param>
    internal TwoPointLaw(ReadOnlySpan<float> skews, Span<float> room)
    {
        int count = skews.Length;
        high = room[..count];
        low = room.Slice(count, count);
        highShare = room.Slice(2 * count, count);
        lowShare = room.Slice(3 * count, count);
        for (int c = 0; c < count; c++)
        {
            float root = MathF.Sqrt((skews[c] * skews[c]) + 4);
            high[c] = (skews[c] + root) / 2;
            low[c] = (skews[c] - root) / 2;
            float square = high[c] * high[c];
            highShare[c] = -MathF.Log(1 + square);
            lowShare[c] = MathF.Log(square) + highShare[c];
        }
    }

    /// <summary>Adds the law's log-mean-exp to scores, and turns deviations into the mean position of the mass.</summary>
    /// <param name="logits"><c>+= h(t) = ln(p e^(tA) + (1 - p) e^(tB))</c>.</param>
    /// <param name="alongs">Deviations t of the scores; become dh/dt.</param>
    internal readonly void Apply(Span<float> logits, Span<float> alongs)
    {
        ref float line = ref MemoryMarshal.GetReference(logits);
        ref float along = ref MemoryMarshal.GetReference(alongs);
        int u = 0;
        for (; u <= logits.Length - Width; u += Width)
        {
            Vector256<float> t = Vector256.LoadUnsafe(ref along, (nuint)u);
            Vector256<float> a = (t * At(high, u)) + At(highShare, u);
            Vector256<float> b = (t * At(low, u)) + At(lowShare, u);
            Vector256<float> top = Vector256.Max(a, b);
            a = Vector256.Exp(a - top);
            b = Vector256.Exp(b - top);
            Vector256<float> sum = a + b;
            (Vector256.LoadUnsafe(ref line, (nuint)u) + top + Vector256.Log(sum)).StoreUnsafe(ref line, (nuint)u);
            (((At(high, u) * a) + (At(low, u) * b)) / sum).StoreUnsafe(ref along, (nuint)u);
        }

        for (; u < logits.Length; u++)
        {
            float a = (alongs[u] * high[u]) + highShare[u];
            float b = (alongs[u] * low[u]) + lowShare[u];
            float top = MathF.Max(a, b);
            a = MathF.Exp(a - top);
            b = MathF.Exp(b - top);
            logits[u] += top + MathF.Log(a + b);
            alongs[u] = ((high[u] * a) + (low[u] * b)) / (a + b);
        }
    }

    private static Vector256<float> At(Span<float> numbers, int at) =>
        Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(numbers), (nuint)at);
}

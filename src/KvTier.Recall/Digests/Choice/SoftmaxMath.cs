using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>The softmax of a line of scores, weighted by tokens.</summary>
internal static class SoftmaxMath
{
    /// <summary>Scores are held within this, so that differences of them stay finite.</summary>
    private const float Largest = 1e30f;
    private static readonly int Width = Vector256<float>.Count;

    /// <summary>Makes every score a number (NaN becomes the lowest), and finds the largest of those with tokens.</summary>
    /// <returns>The largest; the lowest possible score when no unit has tokens.</returns>
    internal static float Max(Span<float> logits, ReadOnlySpan<float> counts)
    {
        ref float line = ref MemoryMarshal.GetReference(logits);
        ref float tokens = ref MemoryMarshal.GetReference(counts);
        Vector256<float> low = Vector256.Create(-Largest);
        Vector256<float> high = Vector256.Create(Largest);
        Vector256<float> largest = low;
        int u = 0;
        for (; u <= logits.Length - Width; u += Width)
        {
            Vector256<float> values = Vector256.LoadUnsafe(ref line, (nuint)u);
            values = Vector256.ConditionalSelect(Vector256.Equals(values, values), values, low);
            values = Vector256.Min(Vector256.Max(values, low), high);
            values.StoreUnsafe(ref line, (nuint)u);
            Vector256<float> counted = Vector256.GreaterThan(Vector256.LoadUnsafe(ref tokens, (nuint)u), Vector256<float>.Zero);
            largest = Vector256.Max(largest, Vector256.ConditionalSelect(counted, values, low));
        }

        float result = -Largest;
        for (int i = 0; i < Width; i++) result = MathF.Max(result, largest[i]);
        for (; u < logits.Length; u++)
        {
            logits[u] = float.IsNaN(logits[u]) ? -Largest : Math.Clamp(logits[u], -Largest, Largest);
            if (counts[u] > 0) result = MathF.Max(result, logits[u]);
        }

        return result;
    }

    /// <summary><c>masses[u] = counts[u] · e^(logits[u] - max)</c>.</summary>
    /// <returns>Their sum.</returns>
    internal static float Masses(ReadOnlySpan<float> logits, ReadOnlySpan<float> counts, float max, Span<float> masses)
    {
        ref float line = ref MemoryMarshal.GetReference(logits);
        ref float tokens = ref MemoryMarshal.GetReference(counts);
        ref float result = ref MemoryMarshal.GetReference(masses);
        Vector256<float> top = Vector256.Create(max);
        Vector256<float> sums = Vector256<float>.Zero;
        int u = 0;
        for (; u <= logits.Length - Width; u += Width)
        {
            // Not above the maximum: a unit without tokens may score higher, and infinity times 0 is no number.
            Vector256<float> below = Vector256.Min(Vector256.LoadUnsafe(ref line, (nuint)u) - top, Vector256<float>.Zero);
            Vector256<float> mass = Vector256.Exp(below) * Vector256.LoadUnsafe(ref tokens, (nuint)u);
            mass.StoreUnsafe(ref result, (nuint)u);
            sums += mass;
        }

        float sum = Vector256.Sum(sums);
        for (; u < logits.Length; u++)
        {
            masses[u] = counts[u] * MathF.Exp(MathF.Min(0, logits[u] - max));
            sum += masses[u];
        }

        return sum;
    }
}

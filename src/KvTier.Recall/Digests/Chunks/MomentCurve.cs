using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>
/// From the variance of n scores to their log-mean-exp. For normal scores it is half the variance, but n samples have no tail beyond
/// √(2 ln n) deviations: f(x, n) = x / (1 + √(1 + 2x / (3 ln n))) is x / 2 for small x, grows like √(1.5 ln n · x) for large x, and is
/// never above x / 2.
/// </summary>
internal static class MomentCurve
{
    private const float Largest = 1e30f;
    private static readonly int Width = Vector256<float>.Count;

    /// <summary><c>logits += f(variances + alongs², n)</c>.</summary>
    /// <param name="logits">The mean scores.</param>
    /// <param name="variances">Variance of the scores that the channels explain.</param>
    /// <param name="alongs">Deviation of the scores along the main direction; empty when there is none.</param>
    /// <param name="tokens">Tokens of a chunk (n).</param>
    internal static void Apply(Span<float> logits, ReadOnlySpan<float> variances, ReadOnlySpan<float> alongs, int tokens)
    {
        if (tokens < 2) return;
        float slope = 2 / (3 * MathF.Log(tokens));
        ref float line = ref MemoryMarshal.GetReference(logits);
        ref float variance = ref MemoryMarshal.GetReference(variances);
        ref float along = ref MemoryMarshal.GetReference(alongs);
        int u = 0;
        for (; u <= logits.Length - Width; u += Width)
        {
            Vector256<float> x = Vector256.LoadUnsafe(ref variance, (nuint)u);
            if (!alongs.IsEmpty)
            {
                Vector256<float> t = Vector256.LoadUnsafe(ref along, (nuint)u);
                x += t * t;
            }

            x = Vector256.Min(x, Vector256.Create(Largest));
            Vector256<float> root = Vector256.Sqrt(Vector256<float>.One + (x * slope));
            (Vector256.LoadUnsafe(ref line, (nuint)u) + (x / (Vector256<float>.One + root))).StoreUnsafe(ref line, (nuint)u);
        }

        for (; u < logits.Length; u++)
            logits[u] += OfOne(variances[u] + (alongs.IsEmpty ? 0 : alongs[u] * alongs[u]), slope);
    }

    private static float OfOne(float variance, float slope)
    {
        float x = MathF.Min(variance, Largest);
        return x / (1 + MathF.Sqrt(1 + (x * slope)));
    }
}

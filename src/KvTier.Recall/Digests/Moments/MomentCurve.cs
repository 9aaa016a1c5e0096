using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>
/// From the variance x of n scores to their log-mean-exp. For normal scores it is half the variance, but n samples have no tail beyond
/// √(2 ln n) deviations: f(x, n) = x / (1 + √(1 + 2x / (3 ln n))) is x / 2 for small x, grows like √(1.5 ln n · x) for large x, and is
/// never above x / 2.
/// </summary>
internal static class MomentCurve
{
    /// <summary>Variance from which on the mean of a chunk's mass no longer follows the deviation in proportion.</summary>
    private const float Damping = 8;
    private const float Largest = 1e30f;
    private static readonly int Width = Vector256<float>.Count;

    /// <summary><c>rises = f(variances, n)</c>; variances become the damping 1 / (1 + x / 8) of the estimate of values.</summary>
    /// <param name="rises">Receives what the spread adds to the mean scores.</param>
    /// <param name="variances">Variances of the scores (x).</param>
    /// <param name="tokens">Tokens of a chunk (n).</param>
    internal static void Apply(Span<float> rises, Span<float> variances, int tokens)
    {
        float slope = tokens < 2 ? 0 : 2 / (3 * MathF.Log(tokens));
        float whole = tokens < 2 ? 0 : 1;
        ref float rise = ref MemoryMarshal.GetReference(rises);
        ref float variance = ref MemoryMarshal.GetReference(variances);
        int u = 0;
        for (; u <= rises.Length - Width; u += Width)
        {
            Vector256<float> x = Vector256.Min(Vector256.LoadUnsafe(ref variance, (nuint)u), Vector256.Create(Largest));
            Vector256<float> root = Vector256.Sqrt(Vector256<float>.One + (x * slope));
            (x * whole / (Vector256<float>.One + root)).StoreUnsafe(ref rise, (nuint)u);
            (Vector256<float>.One / (Vector256<float>.One + (x * (1 / Damping)))).StoreUnsafe(ref variance, (nuint)u);
        }

        for (; u < rises.Length; u++)
        {
            float x = MathF.Min(variances[u], Largest);
            rises[u] = whole * x / (1 + MathF.Sqrt(1 + (x * slope)));
            variances[u] = 1 / (1 + (x / Damping));
        }
    }
}

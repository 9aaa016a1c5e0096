using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace KvTier.Recall;

/// <summary>
/// Holds a chunk's score below its min/max bound without rows of bounds. Its <b>reach</b> is the smallest, over the channels, of how far
/// keys lie on either side of the mean, in deviations as stored: with it, mean score + reach · Σ |q_j| σ_j is at most the bound
/// Σ max(q_j max_j, q_j min_j) of the same keys, for every query. n numbers have at least one deviation / √(n - 1) on either side; real
/// chunks reach about one deviation, so that the score is hardly ever cut.
/// </summary>
internal static class MomentBound
{
    private static readonly int Width = Vector256<float>.Count;

    /// <summary>The reach of a chunk.</summary>
    /// <param name="bounds">Bounds <c>[max | min]</c> of the keys without their mean.</param>
    /// <param name="deviations">Deviations of the channels, as stored.</param>
    internal static float Reach(ReadOnlySpan<float> bounds, ReadOnlySpan<float> deviations)
    {
        float reach = float.MaxValue;
        for (int j = 0; j < deviations.Length; j++)
        {
            if (!(deviations[j] > 0)) continue;
            float side = MathF.Max(0, MathF.Min(bounds[j], -bounds[deviations.Length + j]));
            reach = MathF.Min(reach, side / deviations[j]);
        }

        return reach;
    }

    /// <summary>False when no rise can be above reach · Σ |q_j| σ_j, as none is above reach · √(Σ q_j² σ_j²), which is less.</summary>
    /// <param name="rises">What the spread adds to the mean scores.</param>
    /// <param name="variances">Σ q_j² σ_j² of each chunk.</param>
    /// <param name="reaches">Reaches of the chunks.</param>
    internal static bool MayCut(ReadOnlySpan<float> rises, ReadOnlySpan<float> variances, ReadOnlySpan<float> reaches)
    {
        ref float rise = ref MemoryMarshal.GetReference(rises);
        ref float variance = ref MemoryMarshal.GetReference(variances);
        ref float reach = ref MemoryMarshal.GetReference(reaches);
        int u = 0;
        for (; u <= rises.Length - Width; u += Width)
        {
            Vector256<float> spread = Vector256.Sqrt(Vector256.LoadUnsafe(ref variance, (nuint)u));
            Vector256<float> most = Vector256.LoadUnsafe(ref reach, (nuint)u) * spread;
            if (!Vector256.LessThanOrEqualAll(Vector256.LoadUnsafe(ref rise, (nuint)u), most)) return true;
        }

        for (; u < rises.Length; u++)
            if (!(rises[u] <= reaches[u] * MathF.Sqrt(variances[u]))) return true;
        return false;
    }
}

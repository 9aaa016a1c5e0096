namespace KvTier.Kernels;

/// <summary>Merges the attention of disjoint sets of tokens exactly: w = e^(lse - max), o = Σ w·o / Σ w.</summary>
public static class AttentionMerge
{
    /// <summary>Merges a part into another one.</summary>
    /// <param name="output">o of the first part, fp32 <c>[heads, D]</c>; receives the merged o.</param>
    /// <param name="lse">lse of the first part <c>[heads]</c>; receives the merged lse. Plus infinity and NaN count as empty, as some
    /// kernels
    /// write them for an empty part.</param>
    /// <param name="otherOutput">o of the second part.</param>
    /// <param name="otherLse">lse of the second part.</param>
    public static void Into(Span<float> output, Span<float> lse, ReadOnlySpan<float> otherOutput, ReadOnlySpan<float> otherLse)
    {
        int dim = lse.Length == 0 ? 0 : output.Length / lse.Length;
        for (int h = 0; h < lse.Length; h++)
        {
            float a = Clean(lse[h]);
            float b = Clean(otherLse[h]);
            float max = MathF.Max(a, b);
            float wa = float.IsNegativeInfinity(a) ? 0 : MathF.Exp(a - max);
            float wb = float.IsNegativeInfinity(b) ? 0 : MathF.Exp(b - max);
            float sum = wa + wb;
            lse[h] = sum > 0 ? max + MathF.Log(sum) : float.NegativeInfinity;
            for (int j = h * dim; j < (h + 1) * dim; j++)
            {
                float mine = wa > 0 ? wa * output[j] : 0;
                float theirs = wb > 0 ? wb * otherOutput[j] : 0;
                output[j] = sum > 0 ? (mine + theirs) / sum : 0;
            }
        }
    }

    private static float Clean(float lse) => float.IsFinite(lse) ? lse : float.NegativeInfinity;
}

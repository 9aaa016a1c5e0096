namespace KvTier.Kernels;

/// <summary>Merges the attention of disjoint sets of tokens exactly: w = e^(lse - max), o = Σ w·o / Σ w.</summary>
public static class AttentionMerge
{
    /// <summary>Merges a part into another one. Two empty parts give zeros and minus infinity. What stands in the o of an empty part does
    /// not matter, NaN included.</summary>
    /// <param name="output">o of the first part, fp32 <c>[heads, D]</c>; receives the merged o.</param>
    /// <param name="lse">lse of the first part <c>[heads]</c>; receives the merged lse. Plus infinity and NaN count as empty, as some
    /// kernels write them for an empty part (vLLM's merge does the same for plus infinity).</param>
    /// <param name="otherOutput">o of the second part, <c>[heads, D]</c>.</param>
    /// <param name="otherLse">lse of the second part, <c>[heads]</c>.</param>
    /// <exception cref="ArgumentException">The second part is shorter than the first, or o is not a whole number of rows.</exception>
    public static void Into(Span<float> output, Span<float> lse, ReadOnlySpan<float> otherOutput, ReadOnlySpan<float> otherLse)
    {
        if (lse.Length == 0) return;
        int dim = output.Length / lse.Length;
        if (dim * lse.Length != output.Length) throw new ArgumentException("o is not a whole number of rows", nameof(output));
        Shapes.Require(otherOutput.Length, output.Length, nameof(otherOutput));
        Shapes.Require(otherLse.Length, lse.Length, nameof(otherLse));
        for (int h = 0; h < lse.Length; h++)
        {
            float a = Clean(lse[h]);
            float b = Clean(otherLse[h]);
            Span<float> mine = output.Slice(h * dim, dim);
            ReadOnlySpan<float> theirs = otherOutput.Slice(h * dim, dim);
            if (float.IsNegativeInfinity(b))
            {
                lse[h] = a;
                if (float.IsNegativeInfinity(a)) mine.Clear();
                continue;
            }

            if (float.IsNegativeInfinity(a))
            {
                lse[h] = b;
                theirs.CopyTo(mine);
                continue;
            }

            double max = Math.Max(a, b);
            double wa = Math.Exp(a - max), wb = Math.Exp(b - max), sum = wa + wb;
            lse[h] = (float)(max + Math.Log(sum));
            Blend(mine, theirs, (float)(wa / sum), (float)(wb / sum));
        }
    }

    private static float Clean(float lse) => float.IsFinite(lse) ? lse : float.NegativeInfinity;

    private static void Blend(Span<float> mine, ReadOnlySpan<float> theirs, float a, float b)
    {
        int i = 0;
        if (Lanes512.IsSupported) i = Blend<Lanes512, Vector512<float>>(mine, theirs, a, b);
        else if (Lanes256.IsSupported) i = Blend<Lanes256, Vector256<float>>(mine, theirs, a, b);
        else if (Lanes128.IsSupported) i = Blend<Lanes128, Vector128<float>>(mine, theirs, a, b);
        for (; i < mine.Length; i++) mine[i] = (a * mine[i]) + (b * theirs[i]);
    }

    private static int Blend<TLanes, TVector>(Span<float> mine, ReadOnlySpan<float> theirs, float a, float b)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        ref float m = ref MemoryMarshal.GetReference(mine);
        ref float t = ref MemoryMarshal.GetReference(theirs);
        int i = 0;
        for (; i <= mine.Length - TLanes.Count; i += TLanes.Count)
        {
            TVector share = TLanes.Multiply(TLanes.Load(ref Unsafe.Add(ref t, i)), TLanes.Create(b));
            TLanes.Store(
                TLanes.MultiplyAdd(TLanes.Load(ref Unsafe.Add(ref m, i)), TLanes.Create(a), share), ref Unsafe.Add(ref m, i));
        }

        return i;
    }
}

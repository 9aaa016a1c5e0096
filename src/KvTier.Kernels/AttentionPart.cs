namespace KvTier.Kernels;

/// <summary>
/// Attention over some of the tokens, to be merged with other parts: for each of G query heads o <c>[G, D]</c> and lse <c>[G]</c>, fp32
/// (FlashAttention's running softmax; merge as in Infinite-LLM and vLLM).
/// </summary>
public sealed class AttentionPart
{
    private readonly float[] sums;
    private readonly float[] maxima;
    private readonly float[] weights;

    /// <summary>Makes an empty part.</summary>
    /// <param name="queryCount">Query heads (G).</param>
    /// <param name="headDim">Elements of a row (D).</param>
    public AttentionPart(int queryCount, int headDim)
    {
        QueryCount = queryCount;
        HeadDim = headDim;
        sums = new float[queryCount * headDim];
        maxima = new float[queryCount];
        weights = new float[queryCount];
        Clear();
    }

    /// <summary>Query heads (G).</summary>
    public int QueryCount { get; }

    /// <summary>Elements of a row (D).</summary>
    public int HeadDim { get; }

    /// <summary>Forgets everything: o is zero, lse is minus infinity.</summary>
    public void Clear()
    {
        sums.AsSpan().Clear();
        weights.AsSpan().Clear();
        maxima.AsSpan().Fill(float.NegativeInfinity);
    }

    /// <summary>Adds tokens.</summary>
    /// <param name="dtype">Element type of keys and values.</param>
    /// <param name="keys">Rows <c>[tokens, D]</c>.</param>
    /// <param name="values">Rows <c>[tokens, D]</c>.</param>
    /// <param name="tokens">How many.</param>
    /// <param name="queries">fp32 <c>[G, D]</c>.</param>
    /// <param name="scale">Factor of q·k: 1 / (√D · temperature).</param>
    public void Add(
        Dtype dtype, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int tokens, ReadOnlySpan<float> queries, float scale)
    {
        int rowBytes = HeadDim * dtype.SizeBytes();
        float[] row = new float[HeadDim];
        float[] scores = new float[QueryCount];
        for (int t = 0; t < tokens; t++)
        {
            RowDot.Dot(dtype, keys.Slice(t * rowBytes, rowBytes), 1, HeadDim, queries, QueryCount, [], scores, 1);
            RowConvert.ToSingle(dtype, values.Slice(t * rowBytes, rowBytes), row);
            for (int g = 0; g < QueryCount; g++) AddRow(g, scores[g] * scale, 1, row);
        }
    }

    /// <summary>Adds a weighted row to one query head: weight · e^logit to the denominator, weight · e^logit · value to the numerator.
    /// An estimate for a chunk of n tokens is its estimated log-mean-exp, weight n and mean value.</summary>
    public void AddRow(int query, float logit, float weight, ReadOnlySpan<float> value)
    {
        if (weight == 0 || float.IsNegativeInfinity(logit)) return;
        Span<float> sum = sums.AsSpan(query * HeadDim, HeadDim);
        float before = maxima[query];
        float max = MathF.Max(before, logit);
        float old = float.IsNegativeInfinity(before) ? 0 : MathF.Exp(before - max);
        float add = weight * MathF.Exp(logit - max);
        maxima[query] = max;
        weights[query] = (weights[query] * old) + add;
        for (int j = 0; j < HeadDim; j++) sum[j] = (sum[j] * old) + (add * value[j]);
    }

    /// <summary>Writes the result: o normalised, zero where nothing was added; lse minus infinity there.</summary>
    /// <param name="output">Receives <c>[G, D]</c>.</param>
    /// <param name="lse">Receives <c>[G]</c>: ln Σ e^(scale · q·k).</param>
    public void Finish(Span<float> output, Span<float> lse)
    {
        for (int g = 0; g < QueryCount; g++)
        {
            float weight = weights[g];
            lse[g] = weight > 0 ? maxima[g] + MathF.Log(weight) : float.NegativeInfinity;
            for (int j = 0; j < HeadDim; j++) output[(g * HeadDim) + j] = weight > 0 ? sums[(g * HeadDim) + j] / weight : 0;
        }
    }
}

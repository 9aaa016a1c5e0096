namespace KvTier.Kernels;

/// <summary>
/// Attention over some of the tokens, to be merged with other parts: for each of G query heads o <c>[G, D]</c> and lse <c>[G]</c>, fp32
/// (FlashAttention's running softmax; merge as in Infinite-LLM and vLLM). Tokens are taken in blocks: one maximum and one rescaling for
/// each block and query. Sums of values are fp32, compensated from block to block; sums of weights are double. Adding allocates nothing.
/// A NaN in a key, value or query makes the result of the queries it meets NaN.
/// </summary>
public sealed class AttentionPart
{
    /// <summary>Tokens of a block: its logits and the piece of its values that is at work stay in the first-level cache.</summary>
    internal const int BlockTokens = 64;

    private readonly float[] sums;
    private readonly float[] lost;
    private readonly float[] blockSums;
    private readonly float[] maxima;
    private readonly double[] weights;
    private readonly float[] decay;
    private readonly float[] logits;

    /// <summary>Makes an empty part.</summary>
    /// <param name="queryCount">Query heads (G).</param>
    /// <param name="headDim">Elements of a row (D).</param>
    public AttentionPart(int queryCount, int headDim)
    {
        QueryCount = queryCount;
        HeadDim = headDim;
        sums = new float[queryCount * headDim];
        lost = new float[queryCount * headDim];
        blockSums = new float[queryCount * headDim];
        maxima = new float[queryCount];
        weights = new double[queryCount];
        decay = new float[queryCount];
        logits = new float[queryCount * BlockTokens];
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
        lost.AsSpan().Clear();
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
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    /// <exception cref="ArgumentException">A span is shorter than its shape.</exception>
    public void Add(
        Dtype dtype, ReadOnlySpan<byte> keys, ReadOnlySpan<byte> values, int tokens, ReadOnlySpan<float> queries, float scale) =>
        Add(dtype, keys, [], values, [], tokens, queries, scale);

    /// <summary>Adds tokens whose rows have scales of their own, as int8 and FP8 rows do.</summary>
    /// <param name="dtype">Element type of keys and values.</param>
    /// <param name="keys">Rows <c>[tokens, D]</c>.</param>
    /// <param name="keyScales">A factor for each key, <c>[tokens]</c>; empty for 1.</param>
    /// <param name="values">Rows <c>[tokens, D]</c>.</param>
    /// <param name="valueScales">A factor for each value, <c>[tokens]</c>; empty for 1.</param>
    /// <param name="tokens">How many.</param>
    /// <param name="queries">fp32 <c>[G, D]</c>.</param>
    /// <param name="scale">Factor of q·k: 1 / (√D · temperature).</param>
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    /// <exception cref="ArgumentException">A span is shorter than its shape.</exception>
    public void Add(
        Dtype dtype,
        ReadOnlySpan<byte> keys,
        ReadOnlySpan<float> keyScales,
        ReadOnlySpan<byte> values,
        ReadOnlySpan<float> valueScales,
        int tokens,
        ReadOnlySpan<float> queries,
        float scale)
    {
        int rowBytes = HeadDim * dtype.SizeBytes();
        Shapes.Require(keys.Length, (long)tokens * rowBytes, nameof(keys));
        Shapes.Require(values.Length, (long)tokens * rowBytes, nameof(values));
        Shapes.Require(queries.Length, (long)QueryCount * HeadDim, nameof(queries));
        if (!keyScales.IsEmpty) Shapes.Require(keyScales.Length, tokens, nameof(keyScales));
        if (!valueScales.IsEmpty) Shapes.Require(valueScales.Length, tokens, nameof(valueScales));
        for (int t = 0; t < tokens; t += BlockTokens)
        {
            int count = Math.Min(BlockTokens, tokens - t);
            ReadOnlySpan<float> blockKeyScales = keyScales.IsEmpty ? default : keyScales.Slice(t, count);
            ReadOnlySpan<byte> blockKeys = keys.Slice(t * rowBytes, count * rowBytes);
            RowDot.Dot(dtype, blockKeys, count, HeadDim, queries, QueryCount, blockKeyScales, logits, BlockTokens);
            AddBlock(dtype, values.Slice(t * rowBytes, count * rowBytes), Part(valueScales, t, count), [], count, scale);
        }
    }

    /// <summary>Adds rows whose logits are known: weight · e^logit to the denominator, weight · e^logit · row to the numerator. The
    /// estimate for a chunk of n tokens is its estimated log-mean-exp, weight n and its mean value.</summary>
    /// <param name="dtype">Element type of the rows.</param>
    /// <param name="rows">Values or mean values <c>[rowCount, D]</c>.</param>
    /// <param name="rowScales">A factor for each row; empty for 1.</param>
    /// <param name="rowCount">Rows.</param>
    /// <param name="rowLogits"><c>[G, logitStride]</c>, the first rowCount of each line; minus infinity leaves a row out.</param>
    /// <param name="logitStride">Floats from one query's logits to the next one's.</param>
    /// <param name="rowWeights">Weight of each row, 0 or more; empty for 1.</param>
    /// <exception cref="NotSupportedException">The dtype is raw.</exception>
    /// <exception cref="ArgumentException">A span is shorter than its shape.</exception>
    public void AddWeighted(
        Dtype dtype,
        ReadOnlySpan<byte> rows,
        ReadOnlySpan<float> rowScales,
        int rowCount,
        ReadOnlySpan<float> rowLogits,
        int logitStride,
        ReadOnlySpan<float> rowWeights)
    {
        if (rowCount == 0 || QueryCount == 0) return;
        int rowBytes = HeadDim * dtype.SizeBytes();
        Shapes.Require(rows.Length, (long)rowCount * rowBytes, nameof(rows));
        Shapes.Require(rowLogits.Length, ((long)(QueryCount - 1) * logitStride) + rowCount, nameof(rowLogits));
        if (!rowScales.IsEmpty) Shapes.Require(rowScales.Length, rowCount, nameof(rowScales));
        if (!rowWeights.IsEmpty) Shapes.Require(rowWeights.Length, rowCount, nameof(rowWeights));
        for (int r = 0; r < rowCount; r += BlockTokens)
        {
            int count = Math.Min(BlockTokens, rowCount - r);
            ReadOnlySpan<float> blockWeights = Part(rowWeights, r, count);
            for (int g = 0; g < QueryCount; g++)
            {
                Span<float> line = logits.AsSpan(g * BlockTokens, count);
                rowLogits.Slice((g * logitStride) + r, count).CopyTo(line);

                // A row that stands for nothing must not set the maximum either.
                for (int t = 0; t < blockWeights.Length; t++)
                {
                    if (blockWeights[t] == 0) line[t] = float.NegativeInfinity;
                }
            }

            AddBlock(dtype, rows.Slice(r * rowBytes, count * rowBytes), Part(rowScales, r, count), blockWeights, count, 1);
        }
    }

    /// <summary>Adds a weighted row to one query head, as <see cref="AddWeighted"/> does to all.</summary>
    /// <param name="query">Index of the query head.</param>
    /// <param name="logit">Logit of the row.</param>
    /// <param name="weight">Tokens that it stands for.</param>
    /// <param name="value">fp32 <c>[D]</c>.</param>
    public void AddRow(int query, float logit, float weight, ReadOnlySpan<float> value)
    {
        if (weight == 0 || float.IsNegativeInfinity(logit)) return;
        Shapes.Require(value.Length, HeadDim, nameof(value));
        float add = weight * Raise(query, logit, logit);
        weights[query] = (weights[query] * decay[query]) + add;
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(value);
        ValueSum.Accumulate(Dtype.Float32, bytes, [add], Of(blockSums, query), new ValueShape(1, HeadDim, 1, 1));
        ValueSum.AddTo(Of(sums, query), Of(lost, query), Of(blockSums, query), decay[query]);
    }

    /// <summary>Writes the result: o normalised, zero where nothing was added; lse minus infinity there.</summary>
    /// <param name="output">Receives <c>[G, D]</c>.</param>
    /// <param name="lse">Receives <c>[G]</c>: ln Σ e^(scale · q·k).</param>
    public void Finish(Span<float> output, Span<float> lse)
    {
        Shapes.Require(output.Length, sums.Length, nameof(output));
        Shapes.Require(lse.Length, QueryCount, nameof(lse));
        for (int g = 0; g < QueryCount; g++)
        {
            bool empty = weights[g] == 0;
            lse[g] = empty ? float.NegativeInfinity : (float)(maxima[g] + Math.Log(weights[g]));
            float share = empty ? 0 : (float)(1 / weights[g]);
            for (int j = g * HeadDim; j < (g + 1) * HeadDim; j++) output[j] = share * sums[j];
        }
    }

    private static ReadOnlySpan<float> Part(ReadOnlySpan<float> factors, int first, int count) =>
        factors.IsEmpty ? default : factors.Slice(first, count);

    private Span<float> Of(float[] rows, int query) => rows.AsSpan(query * HeadDim, HeadDim);

    /// <summary>Adds a block whose dot products lie in <see cref="logits"/>.</summary>
    private void AddBlock(
        Dtype dtype,
        ReadOnlySpan<byte> values,
        ReadOnlySpan<float> valueScales,
        ReadOnlySpan<float> rowWeights,
        int count,
        float scale)
    {
        bool anything = false;
        for (int g = 0; g < QueryCount; g++)
        {
            Span<float> line = logits.AsSpan(g * BlockTokens, count);
            float max = SoftmaxKernel.Scale(line, scale);
            if (float.IsNegativeInfinity(max))
            {
                line.Clear();
                decay[g] = 1;
                continue;
            }

            anything = true;
            Raise(g, max, max);
            weights[g] = (weights[g] * decay[g]) + SoftmaxKernel.Weights(line, rowWeights, maxima[g]);
            if (!valueScales.IsEmpty) SoftmaxKernel.Multiply(line, valueScales);
        }

        if (!anything) return;
        ValueSum.Accumulate(dtype, values, logits, blockSums, new ValueShape(count, HeadDim, QueryCount, BlockTokens));
        for (int g = 0; g < QueryCount; g++) ValueSum.AddTo(Of(sums, g), Of(lost, g), Of(blockSums, g), decay[g]);
    }

    /// <summary>Takes a new largest logit into account: sets what the sums so far have to be multiplied with.</summary>
    /// <returns>e^(logit - maximum).</returns>
    private float Raise(int query, float largest, float logit)
    {
        float before = maxima[query];
        float max = MathF.Max(before, largest);
        maxima[query] = max;
        decay[query] = float.IsNegativeInfinity(before) ? 0 : MathF.Exp(before - max);
        return MathF.Exp(logit - max);
    }
}

namespace KvTier.Kernels;

/// <summary>The steps of partial attention, written to be read: what the vector kernels are tested against, and what runs without vectors.
/// </summary>
internal static class ScalarAttention
{
    /// <summary>Multiplies dot products by the scale, in place.</summary>
    /// <returns>The largest; NaN when there is one.</returns>
    internal static float Scale(Span<float> logits, float scale)
    {
        float max = float.NegativeInfinity;
        foreach (ref float logit in logits) max = MathF.Max(max, logit *= scale);
        return max;
    }

    /// <summary>Weights of one query's rows from their logits: weight = rowWeight · e^(logit - max).</summary>
    /// <returns>Σ weight.</returns>
    internal static double Weights(Span<float> logits, ReadOnlySpan<float> rowWeights, float max)
    {
        double sum = 0;
        for (int t = 0; t < logits.Length; t++)
        {
            float weight = MathF.Exp(logits[t] - max);
            if (!rowWeights.IsEmpty) weight *= rowWeights[t];
            logits[t] = weight;
            sum += weight;
        }

        return sum;
    }

    /// <summary>sums[g] = Σ_t weights[g, t] · values[t].</summary>
    internal static void Accumulate(
        Dtype dtype, ReadOnlySpan<byte> values, ReadOnlySpan<float> weights, Span<float> sums, ValueShape shape)
    {
        for (int g = 0; g < shape.QueryCount; g++)
        {
            for (int j = 0; j < shape.RowLength; j++)
            {
                float sum = 0;
                for (int t = 0; t < shape.RowCount; t++)
                    sum += weights[(g * shape.WeightStride) + t] * ScalarConvert.Read(dtype, values, ((long)t * shape.RowLength) + j);
                sums[(g * shape.RowLength) + j] = sum;
            }
        }
    }
}

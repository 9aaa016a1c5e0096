namespace KvTier.Recall;

/// <summary>
/// The direction in which a chunk's keys differ most: the top eigenvector of their covariance, found on the tokens' side, where the matrix
/// is n × n and not D × D.
/// </summary>
internal static class MainDirection
{
    private const int IterationsMax = 16;
    private const float ChangeMin = 1e-4f;

    /// <summary>Weights u of the tokens, |u| = 1, by power iteration on the dot products of the centred keys; the direction is Σ u_i y_i.
    /// Zero when all keys are equal.</summary>
    /// <param name="centred">Keys without their mean <c>[n, D]</c>.</param>
    /// <param name="count">Keys (n).</param>
    /// <param name="scratch">Receives the weights.</param>
    internal static void Find(ReadOnlySpan<float> centred, int count, ChunkScratch scratch)
    {
        int dim = scratch.Mean.Length;
        Span<float> gram = scratch.Gram.AsSpan(0, count * count);
        int largest = 0;
        for (int a = 0; a < count; a++)
        {
            for (int b = 0; b <= a; b++)
            {
                float dot = RowMath.Dot(centred.Slice(a * dim, dim), centred.Slice(b * dim, dim));
                gram[(a * count) + b] = dot;
                gram[(b * count) + a] = dot;
            }

            if (gram[(a * count) + a] > gram[(largest * count) + largest]) largest = a;
        }

        Span<float> weights = scratch.Weights.AsSpan(0, count);
        gram.Slice(largest * count, count).CopyTo(weights);
        if (!Normalise(weights))
        {
            weights.Clear();
            return;
        }

        Iterate(gram, weights, scratch.NextWeights.AsSpan(0, count));
    }

    /// <summary>Adds the rows by the weights: <c>sum = Σ u_i row_i / √n</c>.</summary>
    internal static void Project(ReadOnlySpan<float> rows, ReadOnlySpan<float> weights, Span<float> sum)
    {
        sum.Clear();
        for (int t = 0; t < weights.Length; t++) RowMath.AddScaled(sum, rows.Slice(t * sum.Length, sum.Length), weights[t]);
        RowMath.Scale(sum, 1 / MathF.Sqrt(weights.Length));
    }

    private static void Iterate(ReadOnlySpan<float> gram, Span<float> weights, Span<float> next)
    {
        int count = weights.Length;
        for (int i = 0; i < IterationsMax; i++)
        {
            for (int t = 0; t < count; t++) next[t] = RowMath.Dot(gram.Slice(t * count, count), weights);
            if (!Normalise(next)) return;
            float change = 0;
            for (int t = 0; t < count; t++) change += (next[t] - weights[t]) * (next[t] - weights[t]);
            next.CopyTo(weights);
            if (MathF.Sqrt(change) < ChangeMin) return;
        }
    }

    private static bool Normalise(Span<float> weights)
    {
        float largest = RowMath.MaxAbs(weights);
        if (!(largest > 0) || !float.IsNormal(1 / largest)) return false;
        // By the largest first, so that squares neither overflow nor vanish.
        RowMath.Scale(weights, 1 / largest);
        RowMath.Scale(weights, 1 / MathF.Sqrt(RowMath.Dot(weights, weights)));
        return true;
    }
}

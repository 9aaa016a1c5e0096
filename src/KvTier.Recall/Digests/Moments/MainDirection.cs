namespace KvTier.Recall;

/// <summary>
/// The directions in which a chunk's keys differ most: the top eigenvectors of their covariance, found one after the other on the tokens'
/// side, where the matrix is n × n and not D × D.
/// </summary>
internal static class MainDirection
{
    private const int IterationsMax = 32;
    private const float ChangeMin = 1e-3f;

    /// <summary>Works out the dot products of a chunk's keys with each other.</summary>
    /// <param name="centred">Keys without their mean <c>[n, D]</c>.</param>
    /// <param name="count">Keys (n).</param>
    /// <param name="scratch">Receives them.</param>
    internal static void Begin(ReadOnlySpan<float> centred, int count, ChunkScratch scratch)
    {
        int dim = scratch.Mean.Length;
        Span<float> gram = scratch.Gram.AsSpan(0, count * count);
        for (int a = 0; a < count; a++)
        {
            for (int b = 0; b <= a; b++)
            {
                float dot = RowMath.Dot(centred.Slice(a * dim, dim), centred.Slice(b * dim, dim));
                gram[(a * count) + b] = dot;
                gram[(b * count) + a] = dot;
            }
        }
    }

    /// <summary>Finds the next direction by power iteration, and takes it out of the dot products.</summary>
    /// <returns>Weights u of the tokens, |u| = 1; the direction is Σ u_i y_i / √n. Zero when the keys do not differ any more.</returns>
    internal static ReadOnlySpan<float> Next(int count, ChunkScratch scratch)
    {
        Span<float> gram = scratch.Gram.AsSpan(0, count * count);
        Span<float> weights = scratch.Weights.AsSpan(0, count);
        Span<float> next = scratch.NextWeights.AsSpan(0, count);
        int largest = 0;
        for (int t = 1; t < count; t++)
            if (gram[(t * count) + t] > gram[(largest * count) + largest]) largest = t;
        gram.Slice(largest * count, count).CopyTo(weights);
        if (gram[(largest * count) + largest] <= 0 || Normalise(weights) == 0)
        {
            weights.Clear();
            return weights;
        }

        float length = 0;
        for (int i = 0; i < IterationsMax; i++)
        {
            for (int t = 0; t < count; t++) next[t] = RowMath.Dot(gram.Slice(t * count, count), weights);
            length = Normalise(next);
            if (length == 0) break;
            float change = 0;
            for (int t = 0; t < count; t++) change += (next[t] - weights[t]) * (next[t] - weights[t]);
            next.CopyTo(weights);
            if (change < ChangeMin * ChangeMin) break;
        }

        for (int t = 0; t < count; t++) RowMath.AddScaled(gram.Slice(t * count, count), weights, -length * weights[t]);
        return weights;
    }

    /// <summary>Adds the rows by the weights: <c>sum = Σ u_i row_i / √n</c>.</summary>
    internal static void Project(ReadOnlySpan<float> rows, ReadOnlySpan<float> weights, Span<float> sum)
    {
        sum.Clear();
        for (int t = 0; t < weights.Length; t++) RowMath.AddScaled(sum, rows.Slice(t * sum.Length, sum.Length), weights[t]);
        RowMath.Scale(sum, 1 / MathF.Sqrt(weights.Length));
    }

    // Returns the length that the weights had.
    private static float Normalise(Span<float> weights)
    {
        float largest = RowMath.MaxAbs(weights);
        if (!(largest > 0) || !float.IsNormal(1 / largest)) return 0;
        // By the largest first, so that squares neither overflow nor vanish.
        RowMath.Scale(weights, 1 / largest);
        float length = MathF.Sqrt(RowMath.Dot(weights, weights));
        RowMath.Scale(weights, 1 / length);
        return length * largest;
    }
}

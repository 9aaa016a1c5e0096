using System.Buffers;

namespace KvTier.Kernels;

/// <summary>The assignment step: for each row the centroid of the largest x·c + bias. Ties go to the lower centroid.</summary>
internal static class Assignment
{
    private const int BlockRows = 64;

    /// <summary>Assigns rows <c>[n, D]</c> to centroids <c>[k, D]</c> with biases <c>[k]</c>: -|c|²/2 makes the largest the nearest in the
    /// Euclidean sense; empty for none.</summary>
    internal static void Run(
        ReadOnlySpan<float> rows, int dim, ReadOnlySpan<float> centroids, ReadOnlySpan<float> biases, Span<int> assignments)
    {
        int clusters = centroids.Length / dim;
        float[] pool = ArrayPool<float>.Shared.Rent(BlockRows * clusters);
        for (int r = 0; r < assignments.Length; r += BlockRows)
        {
            // The block's rows play the queries, so that every centroid is loaded once for all of them.
            int count = Math.Min(BlockRows, assignments.Length - r);
            ReadOnlySpan<float> block = rows.Slice(r * dim, count * dim);
            RowDot.Dot(Dtype.Float32, MemoryMarshal.AsBytes(centroids), clusters, dim, block, count, [], pool, clusters);
            for (int i = 0; i < count; i++) assignments[r + i] = Largest(pool.AsSpan(i * clusters, clusters), biases);
        }

        ArrayPool<float>.Shared.Return(pool);
    }

    private static int Largest(ReadOnlySpan<float> scores, ReadOnlySpan<float> biases)
    {
        int best = 0;
        float most = float.NegativeInfinity;
        for (int c = 0; c < scores.Length; c++)
        {
            float score = biases.IsEmpty ? scores[c] : scores[c] + biases[c];
            if (score > most) (best, most) = (c, score);
        }

        return best;
    }
}

namespace KvTier.Kernels;

/// <summary>First centroids.</summary>
internal static class KMeansStart
{
    /// <summary>k-means++: squared distances to the nearest centroid so far are kept, and the next one is drawn by them.</summary>
    internal static float[] PlusPlus(ReadOnlySpan<float> rows, int dim, int clusters, Random random)
    {
        int count = rows.Length / dim;
        float[] centroids = new float[clusters * dim];
        float[] products = new float[count];
        double[] norms = new double[count], distances = new double[count];
        for (int r = 0; r < count; r++) norms[r] = KMeans.SquaredNorm(rows.Slice(r * dim, dim));
        distances.AsSpan().Fill(double.PositiveInfinity);
        int chosen = random.Next(count);
        for (int c = 0; c < clusters; c++)
        {
            if (c > 0) chosen = Draw(distances, random);
            ReadOnlySpan<float> centroid = rows.Slice(chosen * dim, dim);
            centroid.CopyTo(centroids.AsSpan(c * dim));
            RowDot.Dot(Dtype.Float32, MemoryMarshal.AsBytes(rows), count, dim, centroid, 1, [], products, count);
            for (int r = 0; r < count; r++)
                distances[r] = Math.Min(distances[r], Math.Max(0, norms[r] + norms[chosen] - (2.0 * products[r])));
            distances[chosen] = 0;
        }

        return centroids;
    }

    /// <summary>An index with a chance in proportion to its distance; evenly when all distances are 0.</summary>
    private static int Draw(double[] distances, Random random)
    {
        double left = random.NextDouble() * distances.Sum();
        if (left == 0) return random.Next(distances.Length);
        for (int r = 0; r < distances.Length; r++)
        {
            left -= distances[r];
            if (left < 0) return r;
        }

        return Array.FindLastIndex(distances, d => d > 0);
    }
}

namespace KvTier.Kernels;

/// <summary>k-means, the same from run to run: the start is evenly spaced, or drawn from a generator that the caller seeds.</summary>
public static class KMeans
{
    /// <summary>Spherical k-means as in RetroInfer: the rows' mean is taken off, rows go to the centroid of the largest inner product, and
    /// centroids are normalised after every step but the last. It starts from evenly spaced rows.</summary>
    /// <param name="rows">fp32 <c>[n, D]</c>, finite.</param>
    /// <param name="dim">D.</param>
    /// <param name="clusters">k, from 1 to n.</param>
    /// <param name="iterations">Steps, at least 1.</param>
    /// <returns>Centroids with the mean put back: the plain means of their rows.</returns>
    /// <exception cref="ArgumentException">The shape does not fit.</exception>
    public static Clusters Spherical(ReadOnlySpan<float> rows, int dim, int clusters, int iterations = 10)
    {
        int count = Check(rows, dim, clusters, iterations);
        float[] mean = MeanOfAll(rows, dim);
        float[] centred = rows.ToArray();
        for (int i = 0; i < centred.Length; i++) centred[i] -= mean[i % dim];
        float[] centroids = new float[clusters * dim];
        for (int c = 0; c < clusters; c++)
            centred.AsSpan((int)((long)c * count / clusters) * dim, dim).CopyTo(centroids.AsSpan(c * dim));
        Normalise(centroids, dim);
        int[] assignments = new int[count], sizes = new int[clusters];
        for (int step = 1; step <= iterations; step++)
        {
            Assignment.Run(centred, dim, centroids, [], assignments);
            Update(centred, dim, assignments, centroids, sizes);
            if (step < iterations) Normalise(centroids, dim);
        }

        for (int i = 0; i < centroids.Length; i++) centroids[i] += mean[i % dim];
        return new Clusters(centroids, sizes, assignments);
    }

    /// <summary>Euclidean k-means that starts by k-means++: each first centroid is drawn with a chance that grows with its squared distance
    /// from those drawn before.</summary>
    /// <param name="rows">fp32 <c>[n, D]</c>, finite.</param>
    /// <param name="dim">D.</param>
    /// <param name="clusters">k, from 1 to n.</param>
    /// <param name="iterations">Steps, at least 1; fewer when nothing moves any more.</param>
    /// <param name="random">Seeded by the caller.</param>
    /// <exception cref="ArgumentException">The shape does not fit.</exception>
    public static Clusters Euclidean(ReadOnlySpan<float> rows, int dim, int clusters, int iterations, Random random)
    {
        int count = Check(rows, dim, clusters, iterations);
        float[] centroids = KMeansStart.PlusPlus(rows, dim, clusters, random);
        int[] assignments = new int[count], before = new int[count], sizes = new int[clusters];
        float[] biases = new float[clusters];
        for (int step = 0; step < iterations; step++)
        {
            for (int c = 0; c < clusters; c++) biases[c] = (float)(-0.5 * SquaredNorm(centroids.AsSpan(c * dim, dim)));
            Assignment.Run(rows, dim, centroids, biases, assignments);
            if (step > 0 && assignments.AsSpan().SequenceEqual(before)) break;
            assignments.CopyTo(before, 0);
            Update(rows, dim, assignments, centroids, sizes);
        }

        return new Clusters(centroids, sizes, assignments);
    }

    /// <summary>Σ x².</summary>
    internal static double SquaredNorm(ReadOnlySpan<float> row)
    {
        double sum = 0;
        foreach (float x in row) sum += (double)x * x;
        return sum;
    }

    private static int Check(ReadOnlySpan<float> rows, int dim, int clusters, int iterations)
    {
        if (dim < 1 || rows.Length % dim != 0) throw new ArgumentException($"{rows.Length} elements are not rows of {dim}", nameof(rows));
        int count = rows.Length / dim;
        if (clusters < 1 || clusters > count) throw new ArgumentException($"{clusters} clusters of {count} rows", nameof(clusters));
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, 1);
        return count;
    }

    private static float[] MeanOfAll(ReadOnlySpan<float> rows, int dim)
    {
        double[] sums = new double[dim];
        for (int i = 0; i < rows.Length; i++) sums[i % dim] += rows[i];
        int count = rows.Length / dim;
        return [.. sums.Select(sum => (float)(sum / count))];
    }

    /// <summary>Each centroid becomes the mean of its rows, summed in double; one without rows stays.</summary>
    private static void Update(ReadOnlySpan<float> rows, int dim, int[] assignments, float[] centroids, int[] sizes)
    {
        double[] sums = new double[centroids.Length];
        Array.Clear(sizes);
        for (int r = 0; r < assignments.Length; r++)
        {
            sizes[assignments[r]]++;
            ReadOnlySpan<float> row = rows.Slice(r * dim, dim);
            Span<double> sum = sums.AsSpan(assignments[r] * dim, dim);
            for (int j = 0; j < dim; j++) sum[j] += row[j];
        }

        for (int i = 0; i < centroids.Length; i++)
        {
            if (sizes[i / dim] > 0) centroids[i] = (float)(sums[i] / sizes[i / dim]);
        }
    }

    private static void Normalise(float[] centroids, int dim)
    {
        for (int c = 0; c < centroids.Length; c += dim)
        {
            Span<float> centroid = centroids.AsSpan(c, dim);
            double norm = Math.Sqrt(SquaredNorm(centroid));
            if (norm == 0) continue;
            foreach (ref float x in centroid) x = (float)(x / norm);
        }
    }
}

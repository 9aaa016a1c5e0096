namespace KvTier.Kernels;

/// <summary>
/// A codebook for keys under the queries' metric (A²ATS): with H + εI = L Lᵀ, keys are clustered as k·L, where plain distance is the error
/// that queries see. A query's products with all codes make a table in which the score of a key is looked up by its code.
/// </summary>
public sealed class VqCodebook
{
    private readonly float[] codes;
    private readonly float[] biases;
    private readonly float[] lower;
    private readonly float[] decoded;

    private VqCodebook(int dim, float[] codes, double[] factor)
    {
        Dim = dim;
        this.codes = codes;
        Count = codes.Length / dim;
        biases = new float[Count];
        decoded = new float[codes.Length];
        double[] row = new double[dim];
        for (int c = 0; c < Count; c++)
        {
            biases[c] = (float)(-0.5 * KMeans.SquaredNorm(codes.AsSpan(c * dim, dim)));
            for (int j = 0; j < dim; j++) row[j] = codes[(c * dim) + j];
            Cholesky.SolveRow(factor, dim, row);
            for (int j = 0; j < dim; j++) decoded[(c * dim) + j] = (float)row[j];
        }

        // Kept with its columns as rows, so that k·L is a set of dot products with k.
        lower = new float[dim * dim];
        for (int i = 0; i < dim; i++)
        {
            for (int j = 0; j <= i; j++) lower[(j * dim) + i] = (float)factor[(i * dim) + j];
        }
    }

    /// <summary>Elements of a key (D).</summary>
    public int Dim { get; }

    /// <summary>Codes.</summary>
    public int Count { get; }

    /// <summary>The codes as keys, fp32 <c>[Count, D]</c>: what a code stands for, and what queries are scored against.</summary>
    public ReadOnlySpan<float> Decoded => decoded;

    /// <summary>Trains a codebook; the same from run to run for the same seed.</summary>
    /// <param name="keys">fp32 <c>[n, D]</c>, finite.</param>
    /// <param name="metric">The queries' metric; one that has seen none makes this plain vector quantisation.</param>
    /// <param name="count">Codes, from 1 to 65,536 and to n.</param>
    /// <param name="iterations">Steps of k-means, at least 1.</param>
    /// <param name="random">Seeded by the caller.</param>
    /// <exception cref="ArgumentException">The shape does not fit.</exception>
    public static VqCodebook Train(ReadOnlySpan<float> keys, QueryMetric metric, int count, int iterations, Random random)
    {
        if (count > 65_536) throw new ArgumentException($"{count} codes do not fit in 16 bits", nameof(count));
        int dim = metric.Dim;
        if (keys.Length % dim != 0) throw new ArgumentException($"{keys.Length} elements are not rows of {dim}", nameof(keys));
        double[] factor = Cholesky.Factor(metric.Normalised(), dim);
        VqCodebook transform = new(dim, [], factor);
        float[] transformed = new float[keys.Length];
        transform.Transform(keys, transformed);
        return new VqCodebook(dim, KMeans.Euclidean(transformed, dim, count, iterations, random).Centroids, factor);
    }

    /// <summary>Finds the nearest code of every key.</summary>
    /// <param name="keys">fp32 <c>[n, D]</c>.</param>
    /// <param name="result">Receives <c>[n]</c>.</param>
    /// <exception cref="ArgumentException">The keys are not whole rows of D, or there is not enough room.</exception>
    public void Encode(ReadOnlySpan<float> keys, Span<ushort> result)
    {
        if (keys.Length % Dim != 0) throw new ArgumentException($"{keys.Length} elements are not rows of {Dim}", nameof(keys));
        int count = keys.Length / Dim;
        Shapes.Require(result.Length, count, nameof(result));
        float[] transformed = new float[keys.Length];
        Transform(keys, transformed);
        int[] assignments = new int[count];
        Assignment.Run(transformed, Dim, codes, biases, assignments);
        for (int i = 0; i < count; i++) result[i] = (ushort)assignments[i];
    }

    /// <summary>k·L for rows of keys.</summary>
    private void Transform(ReadOnlySpan<float> keys, Span<float> result)
    {
        const int block = 64;
        for (int at = 0; at < keys.Length; at += block * Dim)
        {
            int count = Math.Min(block, (keys.Length - at) / Dim);
            ReadOnlySpan<float> rows = keys.Slice(at, count * Dim);
            RowDot.Dot(Dtype.Float32, MemoryMarshal.AsBytes(lower.AsSpan()), Dim, Dim, rows, count, [], result[at..], Dim);
        }
    }
}

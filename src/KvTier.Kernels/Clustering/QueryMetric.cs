namespace KvTier.Kernels;

/// <summary>The second moment of queries, H = E[q qᵀ], gathered as they come: the metric in which a key's error matters, as
/// E[(q·(k - k'))²] = (k - k') H (k - k')ᵀ (A²ATS).</summary>
public sealed class QueryMetric
{
    private readonly double[] sums;

    /// <summary>Makes an empty metric.</summary>
    /// <param name="dim">Elements of a query (D).</param>
    public QueryMetric(int dim)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(dim, 1);
        Dim = dim;
        sums = new double[dim * dim];
    }

    /// <summary>Elements of a query (D).</summary>
    public int Dim { get; }

    /// <summary>Queries seen.</summary>
    public long Count { get; private set; }

    /// <summary>Adds queries.</summary>
    /// <param name="queries">fp32 <c>[n, D]</c>, finite.</param>
    /// <exception cref="ArgumentException">They are not whole rows of D.</exception>
    public void Add(ReadOnlySpan<float> queries)
    {
        if (queries.Length % Dim != 0) throw new ArgumentException($"{queries.Length} elements are not rows of {Dim}", nameof(queries));
        for (int q = 0; q < queries.Length; q += Dim)
        {
            ReadOnlySpan<float> query = queries.Slice(q, Dim);
            for (int i = 0; i < Dim; i++)
            {
                double x = query[i];
                Span<double> line = sums.AsSpan(i * Dim, i + 1);
                for (int j = 0; j < line.Length; j++) line[j] += x * query[j];
            }

            Count++;
        }
    }

    /// <summary>A copy that goes on by itself.</summary>
    public QueryMetric Copy()
    {
        var copy = new QueryMetric(Dim) { Count = Count };
        sums.CopyTo(copy.sums, 0);
        return copy;
    }

    /// <summary>The lower triangle of H, divided by the root mean square of its elements so that damping means the same everywhere; the
    /// unit matrix when no query was seen.</summary>
    internal double[] Normalised()
    {
        double[] metric = (double[])sums.Clone();
        double squares = 0;
        for (int i = 0; i < Dim; i++)
        {
            for (int j = 0; j <= i; j++) squares += metric[(i * Dim) + j] * metric[(i * Dim) + j] * (i == j ? 1 : 2);
        }

        double size = Math.Sqrt(squares) / Dim;
        for (int i = 0; i < metric.Length; i++) metric[i] = size > 0 ? metric[i] / size : (i % (Dim + 1) == 0 ? 1 : 0);
        return metric;
    }
}

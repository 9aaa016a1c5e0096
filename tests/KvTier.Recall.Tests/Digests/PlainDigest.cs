namespace KvTier.Recall.Tests.Digests;

/// <summary>The digests' scores once more, by their formulas in double precision and without a stored form.</summary>
internal static class PlainDigest
{
    /// <summary>Score of a chunk, as a logit.</summary>
    internal static double Score(DigestSpec spec, KvSample sample, ReadOnlySpan<float> query, int layer, int kvHead, int chunk)
    {
        int start = chunk * spec.ChunkTokens;
        int count = Math.Min(spec.ChunkTokens, sample.Tokens - start);
        int sub = spec.ChunkTokens / spec.SubChunks;
        double best = double.NegativeInfinity;
        for (int s = 0; s < count; s += sub)
        {
            double[][] keys = Keys(sample, layer, kvHead, start + s, Math.Min(sub, count - s));
            best = Math.Max(best, OfKeys(spec, keys, query) / Math.Sqrt(query.Length));
        }

        return best;
    }

    internal static double[] Mean(double[][] rows) =>
        [.. Enumerable.Range(0, rows[0].Length).Select(j => rows.Average(row => row[j]))];

    internal static double[][] Keys(KvSample sample, int layer, int kvHead, int start, int count) =>
        [.. Enumerable.Range(start, count).Select(t => sample.Key(layer, kvHead, t).ToArray().Select(x => (double)x).ToArray())];

    private static double OfKeys(DigestSpec spec, double[][] keys, ReadOnlySpan<float> query)
    {
        double[] q = [.. query.ToArray().Select(x => (double)x)];
        return spec.Kind switch
        {
            DigestKind.Mean => Dot(q, Mean(keys)),
            DigestKind.MinMax => Bound(keys, q),
            DigestKind.Cuboid => Cuboid(keys, q),
            _ => Moments(spec, keys, q),
        };
    }

    private static double Bound(double[][] keys, double[] q) =>
        q.Select((x, j) => Math.Max(x * keys.Max(k => k[j]), x * keys.Min(k => k[j]))).Sum();

    private static double Cuboid(double[][] keys, double[] q) => q.Select((x, j) =>
    {
        double centre = (keys.Max(k => k[j]) + keys.Min(k => k[j])) / 2;
        double deviation = keys.Average(k => Math.Abs(k[j] - centre));
        return Math.Max(x * (centre + deviation), x * (centre - deviation));
    }).Sum();

    // In units of the dot product: the caller divides by the root of D.
    private static double Moments(DigestSpec spec, double[][] keys, double[] q)
    {
        int n = keys.Length;
        double root = Math.Sqrt(q.Length);
        double[] mean = Mean(keys);
        double[][] centred = [.. keys.Select(k => k.Select((x, j) => x - mean[j]).ToArray())];
        double[] direction = spec.Rank > 0 ? Direction(centred) : new double[q.Length];
        double[] variance =
            [.. q.Select((_, j) => Math.Max(0, centred.Average(y => y[j] * y[j]) - (direction[j] * direction[j])))];
        double x = q.Select((v, j) => v * v * variance[j] / q.Length).Sum() + Math.Pow(Dot(q, direction) / root, 2);
        double f = n < 2 ? 0 : x / (1 + Math.Sqrt(1 + (2.0 / 3 * x / Math.Log(n))));
        double score = (Dot(q, mean) / root) + f;
        return root * (spec.Bounds ? Math.Min(score, Bound(keys, q) / root) : score);
    }

    private static double[] Direction(double[][] centred)
    {
        int n = centred.Length;
        double[][] gram = [.. centred.Select(a => centred.Select(b => Dot(a, b)).ToArray())];
        int largest = Enumerable.Range(0, n).MaxBy(i => gram[i][i]);
        double[] u = Normal(gram[largest]);
        for (int i = 0; i < 16; i++)
        {
            double[] next = Normal([.. gram.Select(row => Dot(row, u))]);
            double change = Math.Sqrt(next.Zip(u, (a, b) => (a - b) * (a - b)).Sum());
            u = next;
            if (change < 1e-4) break;
        }

        return [.. Enumerable.Range(0, centred[0].Length).Select(j => centred.Select((y, i) => u[i] * y[j]).Sum() / Math.Sqrt(n))];
    }

    private static double[] Normal(double[] row)
    {
        double length = Math.Sqrt(Dot(row, row));
        return length > 0 ? [.. row.Select(x => x / length)] : row;
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}

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

    internal static double[][] Centred(double[][] rows)
    {
        double[] mean = Mean(rows);
        return [.. rows.Select(row => row.Select((x, j) => x - mean[j]).ToArray())];
    }

    /// <summary>Peaks of a chunk, as indices of its tokens: each the farthest from the mean of those that are left.</summary>
    internal static int[] Peaks(DigestSpec spec, double[][] keys)
    {
        List<int> left = [.. Enumerable.Range(0, keys.Length)];
        List<int> peaks = [];
        while (peaks.Count < spec.Peaks && left.Count > 2)
        {
            double[] mean = Mean([.. left.Select(i => keys[i])]);
            int farthest = left.MaxBy(i => keys[i].Zip(mean, (a, b) => (a - b) * (a - b)).Sum());
            left.Remove(farthest);
            peaks.Add(farthest);
        }

        return [.. peaks];
    }

    /// <summary>The rows that are no peaks.</summary>
    internal static double[][] Rest(double[][] rows, int[] peaks) => [.. rows.Where((_, i) => !peaks.Contains(i))];

    /// <summary>How far the mass of a chunk's rest lies from its mean key; q is scaled.</summary>
    internal static double[] Move(DigestSpec spec, double[][] rest, double[] q)
    {
        double[][] centred = Centred(rest);
        double[][] directions = Directions(centred, spec.Rank);
        double[] variance = Variances(centred, directions);
        double[] alongs = [.. directions.Select(d => Dot(q, d))];
        double x = q.Select((v, j) => v * v * variance[j]).Sum() + alongs.Sum(t => t * t);
        double damping = 1 / (1 + (x / 8));
        double[] move = [.. q.Select((v, j) => damping * variance[j] * v)];
        for (int r = 0; r < directions.Length; r++)
            for (int j = 0; j < move.Length; j++) move[j] += damping * alongs[r] * directions[r][j];
        return move;
    }

    /// <summary>Score of a chunk's rest, held below its bound; q is scaled.</summary>
    internal static double RestScore(DigestSpec spec, double[][] rest, double[] q)
    {
        int n = rest.Length;
        double[] mean = Mean(rest);
        double[][] centred = Centred(rest);
        double[][] directions = Directions(centred, spec.Rank);
        double[] variance = Variances(centred, directions);
        double x = q.Select((v, j) => v * v * variance[j]).Sum() + directions.Sum(d => Math.Pow(Dot(q, d), 2));
        double rise = n < 2 ? 0 : x / (1 + Math.Sqrt(1 + (2.0 / 3 * x / Math.Log(n))));
        double reach = variance.Select((v, j) => v <= 0
            ? double.PositiveInfinity
            : Math.Min(centred.Max(y => y[j]), -centred.Min(y => y[j])) / Math.Sqrt(v)).Min();
        double spread = q.Select((v, j) => Math.Abs(v) * Math.Sqrt(variance[j])).Sum();
        return Dot(q, mean) + (spec.Bounds || reach == double.PositiveInfinity ? rise : Math.Min(rise, reach * spread));
    }

    private static double[] Variances(double[][] centred, double[][] directions) =>
        [.. centred[0].Select((_, j) =>
        {
            double all = centred.Average(y => y[j] * y[j]);
            return Math.Max(directions.Length > 0 ? 1e-3 * all : 0, all - directions.Sum(d => d[j] * d[j]));
        })];

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
    private static double Moments(DigestSpec spec, double[][] keys, double[] query)
    {
        double root = Math.Sqrt(query.Length);
        double[] q = [.. query.Select(v => v / root)];
        double bound = spec.Bounds ? Bound(keys, q) : double.PositiveInfinity;
        int[] peaks = Peaks(spec, keys);
        double[][] rest = Rest(keys, peaks);
        double mass = rest.Length * Math.Exp(Math.Min(bound, RestScore(spec, rest, q)));
        foreach (int peak in peaks) mass += Math.Exp(Math.Min(bound, Dot(q, keys[peak])));
        return root * Math.Log(mass / keys.Length);
    }

    private static double[][] Directions(double[][] centred, int rank)
    {
        int n = centred.Length;
        double[][] gram = [.. centred.Select(a => centred.Select(b => Dot(a, b)).ToArray())];
        List<double[]> found = [];
        for (int r = 0; r < rank; r++)
        {
            double[] u = Normal(gram[Enumerable.Range(0, n).MaxBy(i => gram[i][i])]);
            double length = 0;
            for (int i = 0; i < 32; i++)
            {
                double[] next = [.. gram.Select(row => Dot(row, u))];
                length = Math.Sqrt(Dot(next, next));
                next = Normal(next);
                double change = Math.Sqrt(next.Zip(u, (a, b) => (a - b) * (a - b)).Sum());
                u = next;
                if (change < 1e-3) break;
            }

            for (int a = 0; a < n; a++)
                for (int b = 0; b < n; b++) gram[a][b] -= length * u[a] * u[b];
            double[] weights = u;
            double[] direction = [.. Enumerable.Range(0, centred[0].Length)
                .Select(j => centred.Select((y, i) => weights[i] * y[j]).Sum() / Math.Sqrt(n))];
            found.Add(direction);
        }

        return [.. found];
    }

    private static double[] Normal(double[] row)
    {
        double length = Math.Sqrt(Dot(row, row));
        return length > 0 ? [.. row.Select(x => x / length)] : row;
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}

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

    /// <summary>How far the mass of a chunk lies from its mean key; q is scaled.</summary>
    internal static double[] Move(DigestSpec spec, double[][] keys, double[] q)
    {
        double[][] centred = Centred(keys);
        List<(double[] Weights, double[] Direction)> directions = Directions(centred, spec.Rank);
        double[] variance = Variances(centred, directions);
        double[] alongs = [.. directions.Select(d => Dot(q, d.Direction))];
        int alone = spec.Peaks == 0 ? Math.Min(1, spec.Rank) : 0;
        double x = q.Select((v, j) => v * v * variance[j]).Sum() + alongs.Skip(alone).Sum(t => t * t);
        double damping = 1 / (1 + (x / 8));
        double[] move = [.. q.Select((v, j) => damping * variance[j] * v)];
        for (int r = 0; r < directions.Count; r++)
        {
            const double Step = 1e-4;
            double slope = r >= alone
                ? damping * alongs[r]
                : (TwoPoint(directions[0].Weights, alongs[0] + Step) - TwoPoint(directions[0].Weights, alongs[0] - Step)) / (2 * Step);
            for (int j = 0; j < move.Length; j++) move[j] += slope * directions[r].Direction[j];
        }

        return move;
    }

    private static double[] Variances(double[][] centred, List<(double[] Weights, double[] Direction)> directions) =>
        [.. centred[0].Select((_, j) =>
            Math.Max(0, centred.Average(y => y[j] * y[j]) - directions.Sum(d => d.Direction[j] * d.Direction[j])))];

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
    /// <summary>The rest of a chunk, and the tokens that were taken out, the farthest first.</summary>
    internal static (int[] Kept, int[] Taken) Split(DigestSpec spec, double[][] keys)
    {
        List<int> rest = [.. Enumerable.Range(0, keys.Length)];
        List<int> peaks = [];
        while (peaks.Count < Math.Min(spec.Peaks, keys.Length - 2))
        {
            double[] mean = Mean([.. rest.Select(t => keys[t])]);
            int farthest = rest.MaxBy(t => keys[t].Zip(mean, (x, m) => (x - m) * (x - m)).Sum());
            rest.Remove(farthest);
            peaks.Add(farthest);
        }

        return ([.. rest], [.. peaks]);
    }

    /// <summary>ln of the mass of the rest; q is scaled.</summary>
    internal static double RestMass(DigestSpec spec, double[][] rest, double[] q)
    {
        int n = rest.Length;
        double[][] centred = Centred(rest);
        List<(double[] Weights, double[] Direction)> directions = Directions(centred, spec.Rank);
        int alone = spec.Peaks == 0 ? Math.Min(1, spec.Rank) : 0;
        double[] variance = Variances(centred, directions);
        double x = q.Select((v, j) => v * v * variance[j]).Sum() + directions.Skip(alone).Sum(d => Math.Pow(Dot(q, d.Direction), 2));
        double f = n < 2 ? 0 : x / (1 + Math.Sqrt(1 + (2.0 / 3 * x / Math.Log(n))));
        if (alone > 0) f += TwoPoint(directions[0].Weights, Dot(q, directions[0].Direction));
        return Dot(q, Mean(rest)) + f + Math.Log(n);
    }

    // In units of the dot product: the caller divides by the root of D.
    private static double Moments(DigestSpec spec, double[][] keys, double[] q)
    {
        double root = Math.Sqrt(q.Length);
        double[] scaled = [.. q.Select(x => x / root)];
        (int[] rest, int[] peaks) = Split(spec, keys);
        double mass = Math.Exp(RestMass(spec, [.. rest.Select(t => keys[t])], scaled)) + peaks.Sum(t => Math.Exp(Dot(scaled, keys[t])));
        double score = Math.Log(mass / keys.Length);
        return root * (spec.Bounds ? Math.Min(score, Bound(keys, q) / root) : score);
    }

    private static double TwoPoint(double[] weights, double t)
    {
        int n = weights.Length;
        double most = n < 3 ? 0 : (n - 2) / Math.Sqrt(n - 1);
        double k = Math.Clamp(Math.Sqrt(n) * weights.Sum(u => u * u * u), -most, most);
        double high = (k + Math.Sqrt((k * k) + 4)) / 2;
        double low = -1 / high;
        double share = 1 / (1 + (high * high));
        return Math.Log((share * Math.Exp(t * high)) + ((1 - share) * Math.Exp(t * low)));
    }

    private static List<(double[] Weights, double[] Direction)> Directions(double[][] centred, int rank)
    {
        int n = centred.Length;
        double[][] gram = [.. centred.Select(a => centred.Select(b => Dot(a, b)).ToArray())];
        List<(double[], double[])> found = [];
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
            found.Add((u, direction));
        }

        return found;
    }

    private static double[] Normal(double[] row)
    {
        double length = Math.Sqrt(Dot(row, row));
        return length > 0 ? [.. row.Select(x => x / length)] : row;
    }

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();
}

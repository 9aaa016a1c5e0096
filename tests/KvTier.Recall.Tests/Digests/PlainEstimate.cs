namespace KvTier.Recall.Tests.Digests;

/// <summary>The estimate of what moments stand for once more, by its formulas in double precision.</summary>
internal static class PlainEstimate
{
    /// <summary>Attention over the chunks that were not chosen, and its lse.</summary>
    internal static (double[] Output, double Lse) Of(DigestSpec spec, KvSample sample, ReadOnlySpan<float> query, int kvHead, int[] chosen)
    {
        int dim = query.Length;
        double[] q = [.. query.ToArray().Select(x => x / Math.Sqrt(dim))];
        double[,] map = spec.ValueMap ? Map(spec, sample, kvHead) : new double[dim, dim];
        double[] sums = new double[dim];
        double[] moves = new double[dim];
        double total = 0;
        for (int chunk = 0; chunk * 16 < sample.Tokens; chunk++)
        {
            if (chosen.Contains(chunk)) continue;
            int n = Math.Min(16, sample.Tokens - (chunk * 16));
            double[][] keys = PlainDigest.Keys(sample, 0, kvHead, chunk * 16, n);
            double[][] values = Values(sample, kvHead, chunk * 16, n);
            int[] peaks = PlainDigest.Peaks(spec, keys);
            double[][] rest = PlainDigest.Rest(keys, peaks);
            double mass = rest.Length * Math.Exp(PlainDigest.RestScore(spec, rest, q));
            total += mass;
            double[] value = PlainDigest.Mean(PlainDigest.Rest(values, peaks));
            double[] move = PlainDigest.Move(spec, rest, q);
            for (int j = 0; j < dim; j++)
            {
                sums[j] += mass * value[j];
                moves[j] += mass * move[j];
            }

            foreach (int peak in peaks)
            {
                double one = Math.Exp(q.Zip(keys[peak], (a, b) => a * b).Sum());
                total += one;
                for (int j = 0; j < dim; j++) sums[j] += one * values[peak][j];
            }
        }

        for (int i = 0; i < dim; i++)
            for (int j = 0; j < dim; j++) sums[j] += moves[i] * map[i, j];
        return ([.. sums.Select(x => x / total)], Math.Log(total));
    }

    private static double[][] Values(KvSample sample, int kvHead, int start, int count) =>
        [.. Enumerable.Range(start, count).Select(t => sample.Value(0, kvHead, t).ToArray().Select(x => (double)x).ToArray())];

    // (S + λ I) W = P by Gauss-Jordan elimination, over the full chunks up to the block at which 8 D tokens were there.
    private static double[,] Map(DigestSpec spec, KvSample sample, int kvHead)
    {
        int dim = sample.Layout.HeadDim;
        double[,] system = new double[dim, 2 * dim];
        for (int start = 0; start < 8 * dim; start += 16)
        {
            double[][] chunk = PlainDigest.Keys(sample, 0, kvHead, start, 16);
            int[] peaks = PlainDigest.Peaks(spec, chunk);
            double[][] keys = PlainDigest.Centred(PlainDigest.Rest(chunk, peaks));
            double[][] values = PlainDigest.Centred(PlainDigest.Rest(Values(sample, kvHead, start, 16), peaks));
            for (int t = 0; t < keys.Length; t++)
            {
                for (int i = 0; i < dim; i++)
                {
                    for (int j = 0; j < dim; j++)
                    {
                        system[i, j] += keys[t][i] * keys[t][j];
                        system[i, dim + j] += keys[t][i] * values[t][j];
                    }
                }
            }
        }

        double ridge = 0.05 * Enumerable.Range(0, dim).Average(i => system[i, i]);
        for (int i = 0; i < dim; i++) system[i, i] += ridge;
        for (int pivot = 0; pivot < dim; pivot++)
        {
            double head = system[pivot, pivot];
            for (int j = 0; j < 2 * dim; j++) system[pivot, j] /= head;
            for (int i = 0; i < dim; i++)
            {
                double factor = system[i, pivot];
                for (int j = 0; j < 2 * dim && i != pivot; j++) system[i, j] -= factor * system[pivot, j];
            }
        }

        double[,] map = new double[dim, dim];
        for (int i = 0; i < dim; i++)
            for (int j = 0; j < dim; j++) map[i, j] = system[i, dim + j];
        return map;
    }
}

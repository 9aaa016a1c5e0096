namespace KvTier.Recall.Tests.Digests;

public class MomentBoundTests
{
    private const int QueryHeads = 4;

    [Theory]
    [InlineData(DigestForm.Float32, false)]
    [InlineData(DigestForm.Float16, false)]
    [InlineData(DigestForm.Int8, false)]
    [InlineData(DigestForm.Float32, true)]
    public void Scores_AnyKeysAndQueries_AreNeverAboveTheMinMaxBound(DigestForm form, bool boundRows)
    {
        for (ulong seed = 1; seed <= 60; seed++)
        {
            var random = new SampleRandom(seed);
            var spec = new DigestSpec
            {
                Kind = DigestKind.Moments,
                ChunkTokens = 8 << random.Below(4),
                Form = form,
                Rank = random.Below(5),
                Peaks = random.Below(5),
                Bounds = boundRows,
            };
            var sample = new KvSample(seed, 1 + random.Below(400), headDim: 8 * (1 + random.Below(3)), clustered: seed % 2 == 0);
            if (seed % 3 == 0) MakeTwoGroups(sample, spec.ChunkTokens);
            float[] queries = sample.Queries(QueryHeads, size: 1 << random.Below(5));
            using DigestIndex index = sample.Build(spec);
            for (int kvHead = 0; kvHead < 2; kvHead++)
            {
                float[][] scores = Scores.Of(index, sample, queries, QueryHeads, 0, kvHead);
                for (int g = 0; g < 2; g++)
                {
                    int dim = sample.Layout.HeadDim;
                    ReadOnlySpan<float> query = queries.AsSpan(((kvHead * 2) + g) * dim, dim);
                    for (int c = 0; c < scores[g].Length; c++)
                    {
                        (double bound, double slack) = Bound(spec, sample, query, kvHead, c);
                        Assert.True(scores[g][c] <= bound + slack, $"seed {seed} chunk {c}: {scores[g][c]} above {bound} + {slack}");
                    }
                }
            }
        }
    }

    [Fact]
    public void Scores_OfOrdinaryKeys_AreAlmostNeverCut()
    {
        var sample = new KvSample(3, 4096, headDim: 64);
        float[] queries = sample.Queries(QueryHeads);
        var spec = new DigestSpec { Kind = DigestKind.Moments, Form = DigestForm.Float32, Rank = 1, Peaks = 1 };
        using DigestIndex index = sample.Build(spec);
        using DigestIndex free = sample.Build(spec with { Bounds = true });
        float[] held = [.. Scores.Of(index, sample, queries, QueryHeads, 0, 0).SelectMany(line => line)];
        float[] all = [.. Scores.Of(free, sample, queries, QueryHeads, 0, 0).SelectMany(line => line)];
        Assert.InRange(held.Zip(all, (a, b) => a < b - 1e-4f).Count(cut => cut), 0, held.Length / 100);
    }

    // Half of a chunk's keys on either side: the farthest a bound may be from what a curve for normal scores says.
    private static void MakeTwoGroups(KvSample sample, int chunkTokens)
    {
        for (int t = 0; t < sample.Tokens; t++)
            for (int j = 0; j < sample.Layout.HeadDim; j++)
                for (int head = 0; head < 2; head++) sample.Key(0, head, t)[j] = j + (t % chunkTokens % 2 == 0 ? 1 : -1);
    }

    // The min/max bound of the keys, and what rounding may add: half a step of the stored rows in every channel, and of sums in fp32.
    private static (double Bound, double Slack) Bound(
        DigestSpec spec, KvSample sample, ReadOnlySpan<float> query, int kvHead, int chunk)
    {
        int start = chunk * spec.ChunkTokens;
        double[][] keys = PlainDigest.Keys(sample, 0, kvHead, start, Math.Min(spec.ChunkTokens, sample.Tokens - start));
        double largest = keys.Max(key => key.Max(Math.Abs));
        double step = spec.Form switch { DigestForm.Float32 => 1e-6, DigestForm.Float16 => Math.Pow(2, -11), _ => 0.5 / 127 } * largest;
        double bound = 0;
        double slack = 1e-4;
        for (int j = 0; j < query.Length; j++)
        {
            double q = query[j] / Math.Sqrt(query.Length);
            bound += Math.Max(q * keys.Max(key => key[j]), q * keys.Min(key => key[j]));
            slack += Math.Abs(q) * step;
        }

        return (bound, slack);
    }
}

namespace KvTier.Recall.Tests.Digests;

public class EstimateTests
{
    private const int QueryHeads = 4;

    [Theory]
    [InlineData(DigestForm.Float32, 0, 0, false, 2e-4)]
    [InlineData(DigestForm.Float32, 2, 0, false, 5e-3)]
    [InlineData(DigestForm.Float32, 2, 0, true, 1e-2)]
    [InlineData(DigestForm.Float32, 0, 1, false, 2e-4)]
    [InlineData(DigestForm.Float32, 1, 1, true, 1e-2)]
    [InlineData(DigestForm.Float32, 1, 4, true, 1e-2)]
    [InlineData(DigestForm.Float16, 1, 2, true, 2e-2)]
    [InlineData(DigestForm.Int8, 1, 1, true, 0.15)]
    public void Estimate_OfMoments_FollowsTheFormula(DigestForm form, int rank, int peaks, bool map, double tolerance)
    {
        var sample = new KvSample(11, 700, headDim: 16, clustered: true);
        var spec = new DigestSpec { Kind = DigestKind.Moments, Form = form, Rank = rank, Peaks = peaks, ValueMap = map };
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads, size: 0.5f);
        var selector = new Selector { Name = "test", Digest = spec, Estimate = true, Budget = RecallBudget.OfTokens(128) };
        Selection selection = sample.Select(index, selector, queries, QueryHeads);
        for (int head = 0; head < 2; head++)
        {
            float[] output = new float[2 * 16];
            float[] lse = new float[2];
            selection.Estimate(head)!.Finish(output, lse);
            for (int g = 0; g < 2; g++)
            {
                ReadOnlySpan<float> query = queries.AsSpan(((head * 2) + g) * 16, 16);
                (double[] plain, double plainLse) = PlainEstimate.Of(spec, sample, query, head, selection.Units(head).ToArray());
                Assert.Equal(plainLse, lse[g], tolerance);
                for (int j = 0; j < 16; j++) Assert.Equal(plain[j], output[(g * 16) + j], tolerance);
            }
        }
    }

    [Fact]
    public void Estimate_WithValueMap_IsNearerToFullAttentionThanWithout()
    {
        // Values follow keys, as they do in models: only then is there something to learn.
        var sample = new KvSample(12, 2048, headDim: 16);
        for (int t = 0; t < 2048; t++)
            for (int j = 0; j < 16; j++) sample.Value(0, 0, t)[j] = sample.Key(0, 0, t)[15 - j] + (0.3f * sample.Value(0, 0, t)[j]);
        float[] queries = sample.Queries(QueryHeads, size: 1);
        double[] errors = [.. new[] { false, true }.Select(map =>
        {
            using DigestIndex index = sample.Build(new DigestSpec { Kind = DigestKind.Moments, Rank = 2, ValueMap = map });
            var selector = new Selector { Name = "test", Digest = index.Spec, Estimate = true, Budget = RecallBudget.OfTokens(64) };
            return OutputError(sample, queries, sample.Select(index, selector, queries, QueryHeads));
        })];
        Assert.True(errors[1] < 0.8 * errors[0], $"{errors[1]} against {errors[0]}");
    }

    [Fact]
    public void Estimate_ShareOfTheUnits_LeavesTheRestOut()
    {
        var sample = new KvSample(13, 1600);
        using DigestIndex index = sample.Build(new DigestSpec { Kind = DigestKind.Moments });
        float[] queries = sample.Queries(QueryHeads);
        var selector = new Selector { Name = "test", Digest = index.Spec, Estimate = true, Budget = RecallBudget.OfTokens(160) };
        float few = Lse(sample.Select(index, selector with { EstimateShare = 0.05 }, queries, QueryHeads));
        float more = Lse(sample.Select(index, selector with { EstimateShare = 0.5 }, queries, QueryHeads));
        float all = Lse(sample.Select(index, selector, queries, QueryHeads));
        Assert.True(few < more && more < all, $"{few} {more} {all}");
        Assert.True(all < few + MathF.Log(20));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void Estimate_BadValues_StaysANumber(float bad)
    {
        var sample = new KvSample(14, 800);
        sample.Value(0, 0, 333)[2] = bad;
        using DigestIndex index = sample.Build(Selectors.Moments.Digest);
        Selector selector = Selectors.Moments with { Budget = RecallBudget.OfTokens(96), SinkChunks = 0 };
        Selection selection = sample.Select(index, selector, sample.Queries(QueryHeads), QueryHeads);
        float[] output = new float[2 * 16];
        float[] lse = new float[2];
        selection.Estimate(0)!.Finish(output, lse);
        Assert.All(output, x => Assert.True(float.IsFinite(x)));
        Assert.All(lse, x => Assert.True(float.IsFinite(x)));
        Assert.Equal(0, index.QuarantinedChunks);
    }

    private static float Lse(Selection selection)
    {
        float[] lse = new float[2];
        selection.Estimate(0)!.Finish(new float[2 * 16], lse);
        return lse[0];
    }

    private static double OutputError(KvSample sample, float[] queries, Selection selection)
    {
        double error = 0;
        float[] estimate = new float[2 * 16];
        float[] lse = new float[2];
        selection.Estimate(0)!.Finish(estimate, lse);
        for (int g = 0; g < 2; g++)
        {
            double[] logits = sample.Logits(queries.AsSpan(g * 16, 16), 0, 0);
            var chosen = selection.Units(0).ToArray().ToHashSet();
            int[] tokens = [.. Enumerable.Range(0, sample.Tokens)];
            double[] full = Sum(sample, tokens, logits, out _);
            double[] part = Sum(sample, [.. tokens.Where(t => chosen.Contains(t / 16))], logits, out double partLse);
            double weight = 1 / (1 + Math.Exp(lse[g] - partLse));
            error += full.Select((x, j) => Math.Pow(x - (weight * part[j]) - ((1 - weight) * estimate[(g * 16) + j]), 2)).Sum();
        }

        return error;
    }

    private static double[] Sum(KvSample sample, int[] tokens, double[] logits, out double lse)
    {
        double total = tokens.Sum(t => Math.Exp(logits[t]));
        lse = Math.Log(total);
        return [.. Enumerable.Range(0, 16).Select(j => tokens.Sum(t => Math.Exp(logits[t]) * sample.Value(0, 0, t)[j]) / total)];
    }
}

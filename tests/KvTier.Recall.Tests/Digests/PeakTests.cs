namespace KvTier.Recall.Tests.Digests;

public class PeakTests
{
    private const int QueryHeads = 4;

    [Theory]
    [InlineData(DigestForm.Float32)]
    [InlineData(DigestForm.Int8)]
    public void Select_NeedleOfOneToken_IsChosenWithAPeakAndLostWithout(DigestForm form)
    {
        int found = 0;
        int foundWithout = 0;
        for (ulong seed = 1; seed <= 12; seed++)
        {
            var sample = new KvSample(seed, 2048, headDim: 64, clustered: true);
            int token = 64 + sample.Random.Below(1900);
            float[] queries = sample.Queries(QueryHeads, size: 1);
            float[] needle = PlantNeedle(sample, token, queries);
            if (IsChosen(sample, form, peaks: 1, queries, token)) found++;
            if (IsChosen(sample, form, peaks: 0, queries, token)) foundWithout++;
            Assert.Equal(needle, sample.Key(0, 0, token).ToArray());
        }

        Assert.Equal(12, found);
        Assert.InRange(foundWithout, 0, 6);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(17)]
    [InlineData(18)]
    [InlineData(21)]
    public void Build_FewTokensInTheLastChunk_KeepsAtLeastTwoOfThemInTheRest(int tokens)
    {
        var sample = new KvSample(5, tokens);
        var spec = new DigestSpec { Kind = DigestKind.Moments, Form = DigestForm.Float32, Peaks = 4, Rank = 1 };
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads);
        float[][] scores = Scores.Of(index, sample, queries, QueryHeads, 0, 1);
        for (int g = 0; g < 2; g++)
            for (int c = 0; c < scores[g].Length; c++)
                Assert.Equal(PlainDigest.Score(spec, sample, queries.AsSpan((2 + g) * 16, 16), 0, 1, c), scores[g][c], 1e-3);
    }

    [Fact]
    public void Estimate_ChunksOfTwoTokensAndTwoPeaks_IsExact()
    {
        // Ten tokens in a chunk of 16: peaks are tokens as they are, so that with equal others nothing is left to estimate.
        var sample = new KvSample(6, 80);
        for (int t = 0; t < 80; t++)
        {
            if (t % 16 < 2) continue;
            sample.Key(0, 0, (t / 16 * 16) + 2).CopyTo(sample.Key(0, 0, t));
            sample.Value(0, 0, (t / 16 * 16) + 2).CopyTo(sample.Value(0, 0, t));
        }

        var spec = new DigestSpec { Kind = DigestKind.Moments, Form = DigestForm.Float32, Peaks = 2 };
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads, size: 1);
        var selector = new Selector { Name = "test", Digest = spec, Estimate = true, Budget = RecallBudget.OfTokens(16), SinkChunks = 0 };
        Selection selection = sample.Select(index, selector, queries, QueryHeads);
        float[] output = new float[2 * 16];
        float[] lse = new float[2];
        selection.Estimate(0)!.Finish(output, lse);
        for (int g = 0; g < 2; g++)
        {
            double[] logits = sample.Logits(queries.AsSpan(g * 16, 16), 0, 0);
            int[] tokens = [.. Enumerable.Range(0, 80).Where(t => !selection.Units(0).Contains(t / 16))];
            double total = tokens.Sum(t => Math.Exp(logits[t]));
            Assert.Equal(Math.Log(total), lse[g], 1e-4);
            for (int j = 0; j < 16; j++)
                Assert.Equal(tokens.Sum(t => Math.Exp(logits[t]) * sample.Value(0, 0, t)[j]) / total, output[(g * 16) + j], 1e-4);
        }
    }

    [Fact]
    public void Select_AfterForkAndAppend_IsAsBuiltFromScratch()
    {
        var sample = new KvSample(8, 3000, headDim: 16, clustered: true);
        DigestSpec spec = Selectors.Moments.Digest;
        using DigestIndex scratch = sample.Build(spec);
        using DigestIndex parent = DigestIndex.Create(spec, sample.Layout, null);
        for (int block = 0; block < 20; block++) parent.SetBlock(block, 64, sample.Payload(block, 64));
        parent.SetBlock(20, 10, sample.Payload(20, 10));
        using DigestIndex fork = parent.Fork(21);
        var other = new KvSample(9, 3000, headDim: 16);
        other.Extend(parent);
        sample.Extend(fork);
        float[] queries = sample.Queries(QueryHeads);
        Selector selector = Selectors.Moments with { Budget = RecallBudget.OfTokens(256) };
        Selection expected = sample.Select(scratch, selector, queries, QueryHeads);
        Selection actual = sample.Select(fork, selector, queries, QueryHeads);
        for (int head = 0; head < 2; head++)
        {
            Assert.Equal(expected.Units(head).ToArray(), actual.Units(head).ToArray());
            Assert.Equal(Finish(expected, head), Finish(actual, head));
        }
    }

    private static float[] Finish(Selection selection, int head)
    {
        float[] output = new float[(2 * 16) + 2];
        selection.Estimate(head)!.Finish(output.AsSpan(0, 2 * 16), output.AsSpan(2 * 16));
        return output;
    }

    // One key of ordinary length that its group's queries ask for.
    private static float[] PlantNeedle(KvSample sample, int token, float[] queries)
    {
        Span<float> key = sample.Key(0, 0, token);
        float length = MathF.Sqrt(RowMath.Dot(key, key));
        for (int j = 0; j < key.Length; j++) key[j] = queries[j] + queries[64 + j];
        RowMath.Scale(key, 1.4f * length / MathF.Sqrt(RowMath.Dot(key, key)));
        return key.ToArray();
    }

    private static bool IsChosen(KvSample sample, DigestForm form, int peaks, float[] queries, int token)
    {
        var spec = new DigestSpec { Kind = DigestKind.Moments, Form = form, Peaks = peaks };
        using DigestIndex index = sample.Build(spec);
        Selector selector = Selectors.Moments with { Digest = spec, Budget = RecallBudget.OfTokens(192) };
        return sample.Select(index, selector, queries, QueryHeads).Units(0).Contains(token / 16);
    }
}

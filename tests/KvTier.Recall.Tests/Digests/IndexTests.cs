using KvTier.Memory;

namespace KvTier.Recall.Tests.Digests;

public class IndexTests
{
    private const int QueryHeads = 4;

    public static TheoryData<string> Presets() => [.. Selectors.BuiltIn.Select(s => s.Name), "bounded"];

    [Theory]
    [MemberData(nameof(Presets))]
    public void ForkAndAppend_OnBothSides_EqualsBuildingAnew(string preset)
    {
        long before = NativeMemoryTracker.LiveBytes;
        Selector selector = Of(preset);
        // Ends inside a block, beyond a segment; the first 640 tokens are those of the other sequence.
        var first = new KvSample(21, 1300);
        var second = new KvSample(22, 1400);
        Share(first, second, 640);
        using (DigestIndex origin = Prefix(first, selector.Digest, 640))
        using (DigestIndex fork = origin.Fork(10))
        {
            second.Extend(fork);
            first.Extend(origin);
            foreach ((DigestIndex grown, KvSample sample) in new[] { (origin, first), (fork, second) })
            {
                using DigestIndex anew = sample.Build(selector.Digest);
                Assert.Equal(sample.Tokens, grown.Tokens);
                AssertSame(sample, selector, grown, anew);
            }
        }

        Assert.Equal(before, NativeMemoryTracker.LiveBytes);
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void SetBlock_TokenAfterToken_EqualsBuildingAnew(string preset)
    {
        Selector selector = Of(preset);
        var sample = new KvSample(23, 150);
        using DigestIndex grown = DigestIndex.Create(selector.Digest, sample.Layout, null);
        for (int tokens = 1; tokens <= 150; tokens++)
        {
            int block = (tokens - 1) / 64;
            grown.SetBlock(block, tokens - (block * 64), sample.Payload(block, tokens - (block * 64)));
        }

        using DigestIndex anew = sample.Build(selector.Digest);
        AssertSame(sample, selector, grown, anew);
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void Select_KeyIsNoNumber_ChoosesItsUnitAndCountsIt(string preset)
    {
        Selector selector = Of(preset) with { Budget = RecallBudget.OfTokens(64) };
        var sample = new KvSample(24, 700);
        sample.Key(0, 1, 300)[5] = float.NaN;
        sample.Key(0, 1, 500)[0] = float.PositiveInfinity;
        using DigestIndex index = sample.Build(selector.Digest);
        Selection selection = sample.Select(index, selector, sample.Queries(QueryHeads), QueryHeads);
        Assert.Equal(2, index.QuarantinedChunks);
        Assert.Contains(300 / selection.UnitTokens, selection.Units(1).ToArray());
        Assert.Contains(500 / selection.UnitTokens, selection.Units(1).ToArray());
        if (selection.Estimate(1) is not { } estimate) return;
        float[] output = new float[2 * 16];
        estimate.Finish(output, new float[2]);
        Assert.All(output, x => Assert.True(float.IsFinite(x)));
    }

    [Fact]
    public void Fork_OfQuarantinedChunks_CountsItsOwn()
    {
        var sample = new KvSample(25, 700);
        sample.Key(0, 0, 10)[0] = float.NaN;
        sample.Key(0, 1, 650)[0] = float.NaN;
        using DigestIndex index = sample.Build(Selectors.Moments.Digest);
        using DigestIndex fork = index.Fork(2);
        Assert.Equal(2, index.QuarantinedChunks);
        Assert.Equal(1, fork.QuarantinedChunks);
        Assert.Equal(128, fork.Tokens);
    }

    [Theory]
    [InlineData(GroupReduction.Max, DigestForm.Float16)]
    [InlineData(GroupReduction.Sum, DigestForm.Int8)]
    [InlineData(GroupReduction.Mean, DigestForm.Float32)]
    public void BestFirst_ClusteredKeys_FindsWhatScoringAllFindsAndScoresLess(GroupReduction reduction, DigestForm form)
    {
        long scored = 0;
        long leaves = 0;
        for (ulong seed = 1; seed <= 6; seed++)
        {
            var sample = new KvSample(seed, 8000, kvHeads: 1, headDim: 32, clustered: true);
            for (int t = 0; t < 8000; t++) sample.Key(0, 0, t / 512 * 512).CopyTo(sample.Key(0, 0, t));
            var spec = new DigestSpec { Kind = DigestKind.MinMax, Form = form };
            float[] queries = sample.Queries(2);
            var selector = new Selector
            {
                Name = "test",
                Digest = spec,
                Softmax = false,
                Reduction = reduction,
                Budget = RecallBudget.OfTokens(333),
            };
            using DigestIndex flat = sample.Build(spec);
            using DigestIndex tree = sample.Build(spec with { Fanout = 8 });
            int window = seed % 2 == 0 ? 2 : 1;
            float[] asked = window == 1 ? queries : [.. queries, .. sample.Queries(2)];
            Selection all = sample.Select(flat, selector, asked, 2, 0, window);
            Selection best = sample.Select(tree, selector, asked, 2, 0, window);
            Assert.Equal(all.Units(0).ToArray(), best.Units(0).ToArray());
            Assert.True(best.Certified);
            scored += best.UnitsScored - 63;
            leaves += all.UnitsScored;
        }

        Assert.True(scored < 0.25 * leaves, $"{scored} of {leaves} leaves");
    }

    [Fact]
    public void Select_Rotation_ScoresRotatedKeys()
    {
        var sample = new KvSample(26, 200);
        var rotation = new RopeRotation(10000, 2, 8, RopePairing.Interleaved, 5);
        using DigestIndex index = sample.Build(new DigestSpec { Kind = DigestKind.Mean, Form = DigestForm.Float32 }, rotation);
        var rope = new KeyRotation(rotation, 16);
        for (int head = 0; head < 2; head++)
            for (int t = 0; t < 200; t++) rope.Rotate(sample.Key(0, head, t), t);
        using DigestIndex rotated = sample.Build(new DigestSpec { Kind = DigestKind.Mean, Form = DigestForm.Float32 });
        float[] queries = sample.Queries(QueryHeads);
        float[] expected = [.. Scores.Of(rotated, sample, queries, QueryHeads, 0, 1).SelectMany(line => line)];
        float[] actual = [.. Scores.Of(index, sample, queries, QueryHeads, 0, 1).SelectMany(line => line)];
        for (int i = 0; i < actual.Length; i++) Assert.Equal(expected[i], actual[i], 1e-3f);
    }

    [Fact]
    public void Centroids_ClusteredKeys_FindTheQuerysCluster()
    {
        var sample = new KvSample(27, 2048, kvHeads: 1, clustered: true);
        using DigestIndex index = sample.Build(Selectors.RetroInfer.Digest);
        float[] queries = sample.Queries(2);
        Selector selector = Selectors.RetroInfer with { Budget = RecallBudget.OfTokens(256) };
        Selection selection = sample.Select(index, selector, queries, 2);
        double[] logits = sample.Logits(queries.AsSpan(0, 16), 0, 0);
        double total = logits.Sum(Math.Exp);
        double mass = selection.Units(0).ToArray().Sum(t => Math.Exp(logits[t])) / total;
        Assert.True(mass > 0.8, $"mass {mass}");
        float[] lse = new float[2];
        selection.Estimate(0)!.Finish(new float[2 * 16], lse);
        Assert.InRange(Math.Exp(lse[0]) / total, 0, 1 - (0.9 * mass));
    }

    private static Selector Of(string preset) => preset == "bounded"
        ? Selectors.Moments with { Digest = Selectors.Moments.Digest with { Bounds = true, Fanout = 4 }, Estimate = false, Softmax = false }
        : Selectors.Find(preset)!;

    private static DigestIndex Prefix(KvSample sample, DigestSpec spec, int tokens)
    {
        DigestIndex index = DigestIndex.Create(spec, sample.Layout, null);
        for (int block = 0; block * 64 < tokens; block++) index.SetBlock(block, 64, sample.Payload(block, 64));
        return index;
    }

    private static void Share(KvSample from, KvSample to, int tokens)
    {
        for (int head = 0; head < 2; head++)
        {
            for (int t = 0; t < tokens; t++)
            {
                from.Key(0, head, t).CopyTo(to.Key(0, head, t));
                from.Value(0, head, t).CopyTo(to.Value(0, head, t));
            }
        }
    }

    private static void AssertSame(KvSample sample, Selector selector, DigestIndex grown, DigestIndex anew)
    {
        selector = selector with { Budget = RecallBudget.OfTokens(Math.Max(1, sample.Tokens / 5)) };
        float[] queries = sample.Queries(QueryHeads);
        Selection one = sample.Select(grown, selector, queries, QueryHeads);
        Selection two = sample.Select(anew, selector, queries, QueryHeads);
        Assert.Equal(two.UnitsScored, one.UnitsScored);
        for (int head = 0; head < 2; head++)
        {
            Assert.Equal(two.Units(head).ToArray(), one.Units(head).ToArray());
            Assert.Equal(Output(two, head), Output(one, head));
        }
    }

    private static float[] Output(Selection selection, int head)
    {
        float[] output = new float[2 * 16];
        selection.Estimate(head)?.Finish(output, new float[2]);
        return output;
    }
}

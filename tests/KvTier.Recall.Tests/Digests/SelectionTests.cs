namespace KvTier.Recall.Tests.Digests;

public class SelectionTests
{
    private const int QueryHeads = 4;

    public static TheoryData<string> Presets() => [.. Selectors.BuiltIn.Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(Presets))]
    public void Select_BudgetOfAllTokens_TakesEveryUnit(string preset)
    {
        Selector selector = Selectors.Find(preset)!;
        foreach (int tokens in new[] { 1, 27, 64, 577, 1110 })
        {
            var sample = new KvSample(3, tokens);
            using DigestIndex index = sample.Build(selector.Digest);
            foreach (RecallBudget budget in new[] { RecallBudget.OfTokens(tokens), new(BudgetKind.Share, 1), new(BudgetKind.Mass, 1) })
            {
                Selection selection = sample.Select(index, selector with { Budget = budget }, sample.Queries(QueryHeads), QueryHeads);
                for (int head = 0; head < 2; head++)
                    Assert.Equal(Enumerable.Range(0, Units(selection, tokens)), selection.Units(head).ToArray());
                Assert.Null(selection.Estimate(0));
                Assert.True(selection.Certified);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public void Select_TokenBudget_IsKeptByEveryHead(string preset)
    {
        Selector selector = Selectors.Find(preset)! with { MinChunks = 0 };
        for (ulong seed = 1; seed <= 12; seed++)
        {
            var random = new SampleRandom(seed);
            var sample = new KvSample(seed, 200 + random.Below(1500), clustered: seed % 2 == 0);
            using DigestIndex index = sample.Build(selector.Digest);
            int budget = 1 + random.Below(sample.Tokens);
            RecallBudget given = seed % 3 == 0 ? new(BudgetKind.Share, (double)budget / sample.Tokens) : RecallBudget.OfTokens(budget);
            Selection selection = sample.Select(index, selector with { Budget = given }, sample.Queries(QueryHeads), QueryHeads);
            for (int head = 0; head < 2; head++)
            {
                int chosen = Tokens(selection, head, sample.Tokens);
                Assert.InRange(chosen, 0, budget);
                // No chunk that would fit is left out.
                if (selection.UnitTokens > 1) Assert.True(budget - chosen < selection.UnitTokens, $"seed {seed}: {chosen} of {budget}");
            }
        }
    }

    [Theory]
    [InlineData(GroupReduction.Max, true)]
    [InlineData(GroupReduction.Sum, true)]
    [InlineData(GroupReduction.Mean, false)]
    [InlineData(GroupReduction.Max, false)]
    public void Select_AnyReduction_TakesTheBestByThePlainFormula(GroupReduction reduction, bool softmax)
    {
        for (ulong seed = 1; seed <= 10; seed++)
        {
            var sample = new KvSample(seed, 1000);
            var spec = new DigestSpec { Kind = DigestKind.Moments, Form = DigestForm.Float32, Rank = 1 };
            using DigestIndex index = sample.Build(spec);
            int window = seed % 2 == 0 ? 3 : 1;
            float[] queries = sample.Queries(QueryHeads, window);
            var selector = new Selector
            {
                Name = "test",
                Digest = index.Spec,
                Reduction = reduction,
                Softmax = softmax,
                SinkChunks = 1,
                RecentChunks = 2,
                Budget = RecallBudget.OfTokens(200),
            };
            Selection selection = sample.Select(index, selector, queries, QueryHeads, 0, window);
            for (int head = 0; head < 2; head++)
            {
                double[] keys = PlainChoice.Keys(spec, sample, queries, QueryHeads, window, head, reduction, softmax);
                Assert.Equal(PlainChoice.Best(keys, 16, sample.Tokens, 200, sinks: 1, recent: 2), selection.Units(head).ToArray());
            }
        }
    }

    [Fact]
    public void Select_Union_LetsHeadsTakeTurns()
    {
        var sample = new KvSample(5, 1024);
        var spec = new DigestSpec { Kind = DigestKind.Mean, Form = DigestForm.Float32 };
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads);
        var selector = new Selector
        {
            Name = "test",
            Digest = index.Spec,
            Reduction = GroupReduction.Union,
            Softmax = false,
            SinkChunks = 0,
            RecentChunks = 0,
            Budget = RecallBudget.OfTokens(160),
        };
        Selection selection = sample.Select(index, selector, queries, QueryHeads);
        float[][] scores = Scores.Of(index, sample, queries, QueryHeads, 0, 1);
        int[][] orders = [.. scores.Select(line => Enumerable.Range(0, line.Length).OrderByDescending(u => line[u]).ToArray())];
        var expected = new SortedSet<int>();
        for (int g = 0; expected.Count < 10; g = 1 - g) expected.Add(orders[g].First(u => !expected.Contains(u)));
        Assert.Equal(expected, selection.Units(1).ToArray());
    }

    [Fact]
    public void Select_ThresholdAndMass_FollowTheirDefinitions()
    {
        var sample = new KvSample(9, 1000);
        var spec = new DigestSpec { Kind = DigestKind.Mean, Form = DigestForm.Float32 };
        using DigestIndex index = sample.Build(spec);
        float[] queries = sample.Queries(QueryHeads);
        Selector selector = Plain(index) with { Reduction = GroupReduction.Mean };
        double[] shares = PlainChoice.Keys(spec, sample, queries, QueryHeads, 1, 0, GroupReduction.Mean, softmax: true);
        double[] perToken = [.. shares.Select((share, u) => share / Math.Min(16, 1000 - (u * 16)))];

        selector = selector with { Budget = new(BudgetKind.Threshold, 0.001) };
        int[] above = sample.Select(index, selector, queries, QueryHeads).Units(0).ToArray();
        Assert.Equal(Enumerable.Range(0, shares.Length).Where(u => perToken[u] > 0.001), above);
        Assert.InRange(above.Length, 1, shares.Length - 1);

        selector = selector with { Budget = new(BudgetKind.Mass, 0.6) };
        int[] mass = sample.Select(index, selector, queries, QueryHeads).Units(0).ToArray();
        double reached = mass.Sum(u => shares[u]);
        Assert.InRange(reached, 0.6 - 1e-5, 1);
        Assert.True(reached - mass.Min(u => shares[u]) < 0.6, "one unit fewer would do");
        Assert.True(mass.Min(u => shares[u]) >= shares.Where((_, u) => !mass.Contains(u)).Max() - 1e-7);
    }

    [Fact]
    public void Select_DenseLayers_ReadEverythingWithoutScores()
    {
        var sample = new KvSample(4, 300, layers: 3);
        using DigestIndex index = sample.Build(Selectors.Quest.Digest);
        Selector selector = Selectors.Quest with { DenseLayers = 2, Budget = RecallBudget.OfTokens(64) };
        float[] queries = sample.Queries(QueryHeads);
        Assert.Equal(19, sample.Select(index, selector, queries, QueryHeads, layer: 1).Units(0).Length);
        Assert.Equal(0, sample.Select(index, selector, queries, QueryHeads, layer: 1).UnitsScored);
        Assert.Equal(4, sample.Select(index, selector, queries, QueryHeads, layer: 2).Units(0).Length);
    }

    [Fact]
    public void Select_MinChunks_GoesBeyondTheBudget()
    {
        var sample = new KvSample(4, 300);
        using DigestIndex index = sample.Build(Selectors.Quest.Digest);
        Selector selector = Selectors.Quest with { Budget = RecallBudget.OfTokens(1) };
        Selection selection = sample.Select(index, selector, sample.Queries(QueryHeads), QueryHeads);
        Assert.Equal(3, selection.Units(1).Length);
    }

    [Fact]
    public void Select_EqualChunks_TakesTheLowerOnes()
    {
        var sample = new KvSample(4, 256);
        for (int t = 0; t < 256; t++) sample.Key(0, 0, 0).CopyTo(sample.Key(0, 0, t));
        using DigestIndex index = sample.Build(new DigestSpec { Kind = DigestKind.Mean });
        Selector selector = Plain(index) with { Budget = RecallBudget.OfTokens(48) };
        Assert.Equal([0, 1, 2], sample.Select(index, selector, sample.Queries(QueryHeads), QueryHeads).Units(0).ToArray());
    }

    [Fact]
    public void Select_CountsWhatItRead()
    {
        var sample = new KvSample(4, 1024);
        using DigestIndex index = sample.Build(new DigestSpec { Kind = DigestKind.Mean, Form = DigestForm.Int8 });
        var selector = new Selector { Name = "test", Digest = index.Spec, Budget = RecallBudget.OfTokens(64) };
        Selection selection = sample.Select(index, selector, sample.Queries(QueryHeads), QueryHeads);
        Assert.Equal(2 * 64, selection.UnitsScored);
        Assert.Equal(2 * 64 * (16 + 4), selection.DigestBytes);
    }

    private static Selector Plain(DigestIndex index) => new() { Name = "test", Digest = index.Spec, SinkChunks = 0, RecentChunks = 0 };

    private static int Units(Selection selection, int tokens) => (tokens + selection.UnitTokens - 1) / selection.UnitTokens;

    private static int Tokens(Selection selection, int head, int tokens)
    {
        int sum = 0;
        foreach (int unit in selection.Units(head)) sum += Math.Min(selection.UnitTokens, tokens - (unit * selection.UnitTokens));
        return sum;
    }
}

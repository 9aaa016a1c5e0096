namespace KvTier.Recall.Tests;

/// <summary>When an earlier choice serves again.</summary>
public class ReuseTests : LeakGated
{
    [Fact]
    public async Task RecallAsync_EverySteps_AChoiceServesThatManySteps()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 1);
        await silo.AddAsync("s", context);
        Selector selector = Shapes.Selector(24) with { Reuse = new ReuseRule(ReuseKind.EverySteps, 3) };
        var reused = new List<bool>();
        for (int step = 0; step < 7; step++)
        {
            RecallRequest request = Requests.Attend(silo, selector, seed: step);
            using RecallAnswer answer = await silo.RecallAsync(request);
            reused.Add(answer.Items[0].Cost.Reused);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        }

        Assert.Equal([false, true, true, false, true, true, false], reused);
    }

    [Fact]
    public async Task RecallAsync_EverySteps_EachLayerAndSelectorByItself()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 128, seed: 1));
        Selector selector = Shapes.Selector(24) with { Reuse = new ReuseRule(ReuseKind.EverySteps, 2) };
        Assert.False(await ReusesAsync(silo, selector, layer: 0));
        Assert.False(await ReusesAsync(silo, selector, layer: 1));
        Assert.False(await ReusesAsync(silo, selector with { Budget = RecallBudget.OfTokens(32) }, layer: 0));
        Assert.True(await ReusesAsync(silo, selector, layer: 0));
        Assert.True(await ReusesAsync(silo, selector, layer: 1));
    }

    [Fact]
    public async Task RecallAsync_QueryCosine_ChoosesAnewWhenQueriesTurnAway()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 128, seed: 1));
        Selector selector = Shapes.Selector(24) with { Reuse = new ReuseRule(ReuseKind.QueryCosine, 0.7) };
        float[] start = KvContext.Queries(64, 1);
        float[] near = [.. start.Select((value, i) => value + (i % 3 == 0 ? 0.2f : -0.1f))];
        float[] far = KvContext.Queries(64, 2);

        Assert.False(await ReusesAsync(silo, selector, queries: start));
        Assert.True(await ReusesAsync(silo, selector, queries: near));
        Assert.False(await ReusesAsync(silo, selector, queries: far));
        Assert.True(await ReusesAsync(silo, selector, queries: far));
        Assert.False(await ReusesAsync(silo, selector, queries: start));
    }

    [Theory]
    [InlineData(ReuseKind.EverySteps, 100)]
    [InlineData(ReuseKind.QueryCosine, 0.5)]
    public void Add_ManyLargeChoices_BytesAreBounded(ReuseKind kind, double value)
    {
        var table = new ReuseTable();
        var choice = new Selection(1);
        choice.Set(0, [1, 2, 3]);
        var queries = new float[4 << 20];
        Selector last = Shapes.Selector(1);
        for (int i = 1; i <= 12; i++)
        {
            last = Shapes.Selector(i) with { Reuse = new ReuseRule(kind, value) };
            table.Add(last, 0, queries, choice, 1);
            Assert.InRange(table.Bytes, 1, ReuseTable.BytesMax);
        }

        queries.AsSpan().Fill(1);
        table.Add(last, 0, queries, choice, 1);
        Assert.NotNull(table.Find(last, 0, queries, 16));
        var larger = new Selection(1);
        larger.Set(0, new int[(int)(ReuseTable.BytesMax / sizeof(int)) + 1]);
        table.Add(last, 0, queries, larger, 1);
        Assert.Null(table.Find(last, 0, queries, 16));
        table.Clear();
        Assert.Equal(0, table.Bytes);
    }

    [Fact]
    public void MeanCosine_KnownVectors_IsTheMeanOverHeads()
    {
        Assert.Equal(0.5, ReuseTable.MeanCosine([1, 0, 0, 2], [3, 0, 5, 0], 2), 12);
        Assert.Equal(-1, ReuseTable.MeanCosine([1, 1], [-2, -2], 2), 12);
    }

    [Fact]
    public async Task AppendAsync_BetweenSteps_EndsTheChoice()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        Selector selector = Shapes.Selector(24) with { Reuse = new ReuseRule(ReuseKind.EverySteps, 100) };
        Assert.False(await ReusesAsync(silo, selector));
        Assert.True(await ReusesAsync(silo, selector));
        await silo.AppendAsync("s", ids[..1], 16);
        Assert.False(await ReusesAsync(silo, selector));
    }

    private static async Task<bool> ReusesAsync(RecallHarness silo, Selector selector, int layer = 1, float[]? queries = null)
    {
        RecallRequest request = Requests.Attend(silo, selector, layer: layer);
        if (queries is not null) request = request with { Items = [request.Items[0] with { Queries = queries }] };
        using RecallAnswer answer = await silo.RecallAsync(request);
        return answer.Items[0].Cost.Reused;
    }
}

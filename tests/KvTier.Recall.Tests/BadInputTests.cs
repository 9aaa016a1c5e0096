namespace KvTier.Recall.Tests;

/// <summary>Requests that are refused, with the field and what was expected.</summary>
public class BadInputTests : LeakGated
{
    [Fact]
    public async Task RecallAsync_BadFields_AreNamed()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(
            options: new RecallOptions { ItemsMax = 2, PayloadBytesMax = 1 << 14, Workers = 1 });
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 100, seed: 1));
        ushort opaque = silo.Engine.OpenNamespace(new NamespaceDescriptor("default", Profiles.Opaque)).Value;
        RecallRequest good = Requests.Attend(silo, Shapes.Selector(16));
        RecallItem item = good.Items[0];
        Selector selector = good.Selector;
        var cases = new (string Field, RecallRequest Request)[]
        {
            ("namespace", good with { Namespace = 999 }),
            ("namespace", good with { Namespace = opaque }),
            ("mode", good with { Mode = (RecallMode)9 }),
            ("layout", good with { Layout = (GatherLayout)9 }),
            ("queryHeads", good with { QueryHeads = 3 }),
            ("queryHeads", good with { QueryHeads = 0 }),
            ("window", good with { Window = 0 }),
            ("temperature", good with { Temperature = 0 }),
            ("temperature", good with { Temperature = float.NaN }),
            ("lseMultiplier", good with { LseMultiplier = float.PositiveInfinity }),
            ("items", good with { Items = [] }),
            ("items", good with { Items = [item, item, item] }),
            ("items[1].sequence", good with { Items = [item, item with { Sequence = "none" }] }),
            ("items[1].layer", good with { Items = [item, item with { Layer = 2 }] }),
            ("items[0].layer", good with { Items = [item with { Layer = -1 }] }),
            ("items[0].queries", good with { Items = [item with { Queries = new float[63] }] }),
            ("items[0].queries", good with { Window = 2 }),
            ("items[0].queries[37]", good with { Items = [With(item, 37, float.NaN)] }),
            ("items[0].queries[63]", good with { Items = [With(item, 63, float.NegativeInfinity)] }),
            ("items[0].held", good with { Items = [item with { Held = new int[3] }] }),
            ("items[0].held[2]", good with { Items = [item with { Held = new[] { 1, -1, -2, 0 } }] }),
            ("items[0].held[1]", good with { Items = [item with { Held = new[] { 1, 1, -1, -1 } }] }),
            ("selector.budget", good with { Selector = Shapes.Selector(0) }),
            ("selector.budget", good with { Selector = Shapes.Selector(101) }),
            ("selector.digest", good with { Selector = selector with { Digest = Shapes.Mean with { ChunkTokens = 16 } } }),
            ("recall.payloadBytesMax", good with { Mode = RecallMode.Gather, Selector = Shapes.Selector(100) }),
        };
        foreach ((string field, RecallRequest request) in cases)
            Assert.Equal(field, (await silo.Recall.RecallAsync(request, RecallHarness.Guard)).Error?.Field);
        using RecallAnswer answer = await silo.RecallAsync(good);
        Assert.Equal(0, silo.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task RecallAsync_DigestNotKept_SaysWhatIsKept()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 100, seed: 1));
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(16, Selectors.Quest.Digest));
        KvError error = (await silo.Recall.RecallAsync(request, RecallHarness.Guard)).Error!;
        Assert.Contains("Mean of 8", error.Limit, StringComparison.Ordinal);
        Assert.Contains("MinMax of 16", error.Value, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RecallAsync_EmptySequence_RefusesABudgetInTokensAndAnswersEmptyElse()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.OpenAsync("s");
        RecallRequest request = Requests.Attend(silo, Shapes.All());
        Assert.Equal(
            "selector.budget",
            (await silo.Recall.RecallAsync(request with { Selector = Shapes.Selector(1) }, RecallHarness.Guard)).Error!.Field);
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(
            answer, answer.Items[0], request, request.Items[0], new KvContext(silo.Descriptor.Profile, 0, 1), silo.Layout);
    }

    [Fact]
    public async Task RecallAsync_ShortSequence_DefaultBudgetTakesAllAndANamedOneIsRefused()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 75, seed: 1);
        await silo.AddAsync("s", context);
        Selector whole = Shapes.Selector(1) with { Budget = RecallBudget.Default };
        RecallRequest request = Requests.Attend(silo, whole);
        using RecallAnswer answer = await silo.RecallAsync(request);
        int units = (75 + answer.Items[0].UnitTokens - 1) / answer.Items[0].UnitTokens;
        Assert.All(answer.Items[0].Counts.ToArray(), count => Assert.Equal(units, count));
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        Selector named = whole with { Budget = RecallBudget.OfTokens(2048) };
        KvError error = (await silo.Recall.RecallAsync(request with { Selector = named }, RecallHarness.Guard)).Error!;
        Assert.Equal((ErrorCode.InvalidArgument, "selector.budget", "2048"), (error.Code, error.Field, error.Value));
    }

    [Fact]
    public async Task RecallAsync_TurnTakenTooLong_EndsAtTheDeadline()
    {
        var clock = new ManualTimeProvider();
        await using RecallHarness silo = await RecallHarness.StartAsync(time: clock);
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 100, seed: 1));
        using IDisposable turn = silo.Recall.TakeTurn(silo.Namespace, "s");

        Task<Result<RecallAnswer>> recall = silo.Recall.RecallAsync(
            Requests.Attend(silo, Shapes.Selector(16)), TimeSpan.FromSeconds(5)).AsTask();
        Task<Result<SequenceInfo>> close = silo.Recall.CloseAsync(silo.Namespace, "s", TimeSpan.FromSeconds(5)).AsTask();
        Assert.False(recall.IsCompleted);
        clock.Advance(TimeSpan.FromSeconds(6));

        Assert.Equal(ErrorCode.DeadlineExceeded, (await recall).Error!.Code);
        Assert.Equal(ErrorCode.DeadlineExceeded, (await close).Error!.Code);
    }

    private static RecallItem With(RecallItem item, int index, float value)
    {
        float[] queries = item.Queries.ToArray();
        queries[index] = value;
        return item with { Queries = queries };
    }
}

namespace KvTier.Recall.Tests;

/// <summary>Answers over blocks in host memory and on the SSD.</summary>
public class RecallFlowTests : LeakGated
{
    [Theory]
    [InlineData(100, false)]
    [InlineData(128, false)]
    [InlineData(100, true)]
    [InlineData(7, true)]
    public async Task RecallAsync_WholeBudget_AttendsAsFullAttention(int tokens, bool fromSsd)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, tokens, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        if (fromSsd) await silo.DemoteAsync(ids);
        RecallRequest request = Request(silo, RecallMode.Attend, Shapes.All());

        using RecallAnswer answer = await silo.RecallAsync(request);

        Assert.Empty(answer.Items[0].Missing);
        Assert.Equal(fromSsd, answer.Items[0].Cost.SsdBytes > 0);
        Assert.Equal((tokens + 7) / 8, answer.Items[0].Counts.Span[0]);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }

    [Theory]
    [InlineData(GatherLayout.KvHeadToken, false)]
    [InlineData(GatherLayout.HeadKvToken, true)]
    [InlineData(GatherLayout.KvTokenHead, false)]
    [InlineData(GatherLayout.KvTokenHead, true)]
    public async Task RecallAsync_Gather_PacksRowsAsStored(GatherLayout order, bool fromSsd)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 101, seed: 2);
        List<BlockId> ids = await silo.AddAsync("s", context);
        if (fromSsd) await silo.DemoteAsync(ids);
        RecallRequest request = Request(silo, RecallMode.Gather, Shapes.Selector(24)) with { Layout = order };

        using RecallAnswer answer = await silo.RecallAsync(request);

        Assert.Equal(3, answer.Items[0].Counts.Span[0]);
        Answers.AssertGathers(answer, answer.Items[0], request.Items[0], context, silo.Layout, order);
    }

    [Fact]
    public async Task RecallAsync_Again_IsServedByTheHotSet()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 128, seed: 3);
        await silo.DemoteAsync(await silo.AddAsync("s", context));
        RecallRequest request = Request(silo, RecallMode.Attend, Shapes.Selector(32));

        using RecallAnswer first = await silo.RecallAsync(request);
        using RecallAnswer second = await silo.RecallAsync(request);

        Assert.Equal(8, first.Items[0].Cost.HotMisses);
        Assert.Equal(8, second.Items[0].Cost.HotHits);
        Assert.Equal(0, second.Items[0].Cost.SsdBytes);
        Assert.Equal(first.Payload.ToArray(), second.Payload.ToArray());
        Assert.True(silo.Recall.Stats.HotBytes > 0);
    }

    private static RecallRequest Request(RecallHarness silo, RecallMode mode, Selector selector) => new()
    {
        Namespace = silo.Namespace,
        Mode = mode,
        Selector = selector,
        QueryHeads = 4,
        Items = [new RecallItem { Sequence = "s", Layer = 1, Queries = KvContext.Queries(4 * silo.Layout.HeadDim, 9) }],
    };
}

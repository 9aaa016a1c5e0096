namespace KvTier.Recall.Tests;

/// <summary>Forks share what is before them and nothing after.</summary>
public class ForkTests : LeakGated
{
    [Theory]
    [InlineData(0, 75)]
    [InlineData(32, 32)]
    [InlineData(75, 75)]
    public async Task ForkAsync_ThenBothGrow_EachIsItsOwn(long tokens, long kept)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 75, seed: 1);
        await silo.AddAsync("s", context);

        SequenceInfo fork = (await silo.Recall.ForkAsync(silo.Namespace, "s", "t", tokens, RecallHarness.Guard)).Value;
        Assert.Equal(kept, fork.Tokens);
        (KvContext mine, KvContext other) = (context.Continue(kept, 30, 2), context.Continue(75, 20, 3));
        await GrowAsync(silo, "t", mine, kept);
        await GrowAsync(silo, "s", other, 75);

        await AssertFullAsync(silo, "t", mine);
        await AssertFullAsync(silo, "s", other);
    }

    [Fact]
    public async Task ForkAsync_OriginalIsClosed_ForkStays()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        await silo.AddAsync("s", context);
        Assert.Null((await silo.Recall.ForkAsync(silo.Namespace, "s", "t", 0, RecallHarness.Guard)).Error);
        Assert.Null((await silo.Recall.CloseAsync(silo.Namespace, "s", RecallHarness.Guard)).Error);

        await AssertFullAsync(silo, "t", context);
    }

    [Fact]
    public async Task ForkAsync_BadFields_AreNamed()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 40, seed: 1));
        await silo.OpenAsync("taken");

        Assert.Equal("sequence", await FieldAsync("none", "t", 0));
        Assert.Equal("newName", await FieldAsync("s", "s", 0));
        Assert.Equal("newName", await FieldAsync("s", "", 0));
        Assert.Equal("newName", await FieldAsync("s", "taken", 0));
        Assert.Equal("tokens", await FieldAsync("s", "t", 17));
        Assert.Equal("tokens", await FieldAsync("s", "t", 48));
        Assert.Equal("tokens", await FieldAsync("s", "t", -16));
        Assert.Equal(2, silo.Recall.Stats.Sequences);
        Assert.Equal(2, silo.Recall.List(silo.Namespace, "", 9).Count);

        async Task<string?> FieldAsync(string name, string newName, long tokens) =>
            (await silo.Recall.ForkAsync(silo.Namespace, name, newName, tokens, RecallHarness.Guard)).Error?.Field;
    }

    private static async Task GrowAsync(RecallHarness silo, string name, KvContext context, long kept)
    {
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        int from = (int)(kept / silo.Layout.BlockTokens);
        await silo.AppendAsync(
            name, ids[from..], context.Tokens - ((long)from * silo.Layout.BlockTokens), kept % silo.Layout.BlockTokens != 0);
    }

    private static async Task AssertFullAsync(RecallHarness silo, string name, KvContext context)
    {
        RecallRequest request = Requests.Attend(silo, Shapes.All(), name: name);
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }
}

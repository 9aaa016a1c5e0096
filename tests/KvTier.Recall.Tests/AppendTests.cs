namespace KvTier.Recall.Tests;

/// <summary>Appending blocks, whole or not at all.</summary>
public class AppendTests : LeakGated
{
    [Theory]
    [InlineData(DigestKind.Centroids)]
    [InlineData(DigestKind.Vq)]
    public async Task AppendAsync_BlocksThatFillNoWholePage_AreClustered(DigestKind kind)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(Shapes.Gqa(headDim: 20, blockTokens: 8));
        var context = new KvContext(silo.Descriptor.Profile, 43, seed: 1);
        DigestSpec digest = Shapes.Mean with { Kind = kind, CodebookSize = kind == DigestKind.Vq ? 16 : 0 };
        await silo.AddAsync("s", context, digest);
        RecallRequest request = Requests.Attend(silo, Shapes.All(digest));

        using RecallAnswer answer = await silo.RecallAsync(request);

        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }

    [Fact]
    public async Task AppendAsync_InParts_IsAsAtOnce()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 75, seed: 1);
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        await silo.OpenAsync("s");

        await silo.AppendAsync("s", ids[..2], 25);
        await silo.AppendAsync("s", ids[1..2], 16, replaceLast: true);
        SequenceInfo info = await silo.AppendAsync("s", ids[2..], 75 - 32);

        Assert.Equal((5, 75L), (info.Blocks, info.Tokens));
        RecallRequest request = Requests.Attend(silo, Shapes.All());
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }

    [Fact]
    public async Task AppendAsync_BadFields_AreNamedAndChangeNothing()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(options: new RecallOptions { BlocksMax = 4, Workers = 1 });
        var context = new KvContext(silo.Descriptor.Profile, 80, seed: 1);
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        await silo.OpenAsync("s");
        await silo.AppendAsync("s", ids[..1], 10);

        Assert.Equal("sequence", await FieldAsync("none", ids[..1], 16, false));
        Assert.Equal("blocks", await FieldAsync("s", [], 0, true));
        Assert.Equal("tokens", await FieldAsync("s", ids[..2], 16, true));
        Assert.Equal("tokens", await FieldAsync("s", ids[..2], 33, true));
        Assert.Equal("replaceLast", await FieldAsync("s", ids[1..2], 16, false));
        Assert.Equal("blocks[1]", await FieldAsync("s", [ids[0], new BlockId(1, 2)], 32, true));
        Assert.Equal("recall.blocksMax", await FieldAsync("s", ids, 80, true));
        Assert.Equal("expectedTokens", await FieldAsync("s", ids[..1], 16, true, expected: 9));
        SequenceInfo info = silo.Recall.Describe(silo.Namespace, "s").Value;
        Assert.Equal((1, 10L), (info.Blocks, info.Tokens));

        async Task<string?> FieldAsync(string name, List<BlockId> blocks, long tokens, bool replace, long expected = -1) =>
            (await silo.Recall.AppendAsync(silo.Namespace, name, blocks.ToArray(), tokens, replace, RecallHarness.Guard, expected))
            .Error?.Field;
    }

    [Fact]
    public async Task AppendAsync_UnknownBlock_SaysWhyItIsMissing()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        List<BlockId> ids = await silo.PutAsync(new KvContext(silo.Descriptor.Profile, 32, seed: 1).Blocks());
        await silo.OpenAsync("s");
        silo.Engine.Delete(silo.Namespace, ids[1]);

        KvError error = (await silo.Recall.AppendAsync(silo.Namespace, "s", ids.ToArray(), 32, false, RecallHarness.Guard)).Error!;

        Assert.Equal("blocks[1]", error.Field);
        Assert.Contains("deleted", error.Value, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AppendAsync_RetryWithExpectedTokens_IsRecognised()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        List<BlockId> ids = await silo.PutAsync(new KvContext(silo.Descriptor.Profile, 48, seed: 1).Blocks());
        await silo.OpenAsync("s");
        await silo.AppendAsync("s", ids[..1], 10);

        for (int i = 0; i < 2; i++)
        {
            SequenceInfo info = (await silo.Recall.AppendAsync(
                silo.Namespace, "s", ids[..2].ToArray(), 20, true, RecallHarness.Guard, expectedTokens: 10)).Value;
            Assert.Equal((2, 20L), (info.Blocks, info.Tokens));
        }
    }

    [Fact]
    public async Task AppendAsync_DigestsAboveTheirLimit_IsRefusedWhole()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(options: new RecallOptions { DigestBytesMax = 1000, Workers = 1 });
        List<BlockId> ids = await silo.PutAsync(new KvContext(silo.Descriptor.Profile, 160, seed: 1).Blocks());
        await silo.OpenAsync("s");

        KvError error = (await silo.Recall.AppendAsync(silo.Namespace, "s", ids.ToArray(), 160, false, RecallHarness.Guard)).Error!;

        Assert.Equal((ErrorCode.LimitExceeded, "recall.digestBytesMax"), (error.Code, error.Field));
        Assert.Equal(0, silo.Recall.Describe(silo.Namespace, "s").Value.Tokens);
    }

    [Fact]
    public async Task AppendAsync_SeveralAtOnce_TakeNoMoreThanTheLimitTogetherAndRefusedOnesGiveBack()
    {
        long each;
        var context = new KvContext(Shapes.Gqa(), 160, seed: 1);
        await using (RecallHarness probe = await RecallHarness.StartAsync())
        {
            await probe.AddAsync("s", context);
            each = probe.Recall.Describe(probe.Namespace, "s").Value.DigestBytes;
        }

        var options = new RecallOptions { HotSetBytes = 1 << 20, Workers = 1, DigestBytesMax = (2 * each) + (each / 2) };
        await using RecallHarness silo = await RecallHarness.StartAsync(options: options);
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        string[] names = ["a", "b", "c", "d", "e", "f"];
        foreach (string name in names) await silo.OpenAsync(name);

        // All are under way before the first has been saved.
        Result<SequenceInfo>[] appended = await Task.WhenAll(names.Select(name =>
            silo.Recall.AppendAsync(silo.Namespace, name, ids.ToArray(), 160, false, RecallHarness.Guard).AsTask()));

        Assert.Equal(2, appended.Count(result => result.IsOk));
        Assert.All(appended.Where(result => !result.IsOk), result =>
            Assert.Equal((ErrorCode.LimitExceeded, "recall.digestBytesMax"), (result.Error!.Code, result.Error.Field)));
        Assert.Equal(2 * each, silo.Recall.DigestBytesTaken);
        string closed = names[Array.FindIndex(appended, result => result.IsOk)];
        string refused = names[Array.FindIndex(appended, result => !result.IsOk)];
        Assert.Null((await silo.Recall.CloseAsync(silo.Namespace, closed, RecallHarness.Guard)).Error);
        await silo.AppendAsync(refused, ids, 160);
        Assert.Equal(2 * each, silo.Recall.DigestBytesTaken);
    }

    [Fact]
    public async Task AppendAsync_BlockOnSsdOnly_IsReadForItsDigests()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        await silo.DemoteAsync(ids);
        await silo.OpenAsync("s");
        await silo.AppendAsync("s", ids, 64);

        RecallRequest request = Requests.Attend(silo, Shapes.Selector(16));
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }
}

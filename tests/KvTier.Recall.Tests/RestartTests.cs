namespace KvTier.Recall.Tests;

/// <summary>Sequences after a restart.</summary>
public class RestartTests : LeakGated
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RestoreAsync_AfterStopOrKill_BringsAcknowledgedSequencesBack(bool drain)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(Shapes.Gqa(preRotation: true));
        var context = new KvContext(silo.Descriptor.Profile, 75, seed: 1);
        await silo.AddAsync("s", context, Shapes.Mean, Shapes.Mean with { ChunkTokens = 16 });
        Assert.Null((await silo.Recall.ForkAsync(silo.Namespace, "s", "t", 64, RecallHarness.Guard)).Error);
        await silo.OpenAsync("closed");
        Assert.Null((await silo.Recall.CloseAsync(silo.Namespace, "closed", RecallHarness.Guard)).Error);
        SequenceInfo before = silo.Recall.Describe(silo.Namespace, "s").Value;
        await silo.FlushAsync();

        await silo.RestartAsync(drain);

        Assert.Equal((2, 0), silo.Restored);
        SequenceInfo after = silo.Recall.Describe(silo.Namespace, "s").Value;
        Assert.Equal((before.Tokens, before.Blocks, before.Rotation), (after.Tokens, after.Blocks, after.Rotation));
        Assert.Equal(before.Digests, after.Digests);
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(24));
        using RecallAnswer answer = await silo.RecallAsync(request);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        Assert.Equal(before.DigestBytes, silo.Recall.Describe(silo.Namespace, "s").Value.DigestBytes);
    }

    [Fact]
    public async Task RestoreAsync_MoreBlocksThanASegment_AllComeBackAndCanGrow()
    {
        ModelProfile profile = Shapes.Gqa(layers: 1, kvHeads: 1, headDim: 4, blockTokens: 8);
        await using RecallHarness silo = await RecallHarness.StartAsync(profile);
        const int blocks = (2 * SequenceManifest.SegmentBlocks) + 10;
        var context = new KvContext(profile, (8L * blocks) - 3, seed: 1);
        List<BlockId> ids = await silo.PutAsync(context.Blocks());
        await silo.OpenAsync("s");
        await silo.AppendAsync("s", ids[..1500], 1500 * 8);
        await silo.AppendAsync("s", ids[1500..], context.Tokens - (1500 * 8));
        Assert.Null((await silo.Recall.ForkAsync(silo.Namespace, "s", "t", 8L * 1200, RecallHarness.Guard)).Error);
        await silo.RestartAsync(drain: true);

        Assert.Equal((2, 0), silo.Restored);
        await silo.AppendAsync("s", ids[^1..], 8, replaceLast: true);
        await silo.RestartAsync(drain: true);
        Assert.Equal(8L * blocks, silo.Recall.Describe(silo.Namespace, "s").Value.Tokens);
        Assert.Equal(8L * 1200, silo.Recall.Describe(silo.Namespace, "t").Value.Tokens);
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(64), queryHeads: 1, layer: 0, name: "t");
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }

    [Fact]
    public async Task RecallAsync_AfterARestartWithLessRoomForDigests_IsRefusedUntilThereIsMore()
    {
        var options = new RecallOptions { HotSetBytes = 1 << 20, Workers = 1 };
        await using RecallHarness silo = await RecallHarness.StartAsync(options: options);
        var context = new KvContext(silo.Descriptor.Profile, 160, seed: 1);
        await silo.AddAsync("s", context);
        long needed = silo.Recall.Describe(silo.Namespace, "s").Value.DigestBytes;
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(24));

        await silo.RestartAsync(drain: true, options with { DigestBytesMax = needed - 1 });
        KvError error = (await silo.Recall.RecallAsync(request, RecallHarness.Guard)).Error!;
        Assert.Equal((ErrorCode.LimitExceeded, "recall.digestBytesMax"), (error.Code, error.Field));
        Assert.True(silo.Recall.DigestBytesTaken < needed);

        await silo.RestartAsync(drain: true, options with { DigestBytesMax = needed });
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        Assert.Equal(needed, silo.Recall.DigestBytesTaken);
    }

    [Fact]
    public async Task RestoreAsync_SegmentsOfClosedSequences_AreGone()
    {
        ModelProfile profile = Shapes.Gqa(layers: 1, kvHeads: 1, headDim: 4, blockTokens: 8);
        await using RecallHarness silo = await RecallHarness.StartAsync(profile);
        var context = new KvContext(profile, 8L * 1100, seed: 1);
        await silo.AddAsync("s", context);
        ushort records = silo.Engine.OpenNamespace(RecallService.ManifestNamespace).Value;
        Assert.Null((await silo.Recall.ForkAsync(silo.Namespace, "s", "t", 0, RecallHarness.Guard)).Error);
        Assert.Equal(3, silo.Engine.Count(records));

        Assert.Null((await silo.Recall.CloseAsync(silo.Namespace, "s", RecallHarness.Guard)).Error);
        Assert.Equal(2, silo.Engine.Count(records));
        Assert.Null((await silo.Recall.CloseAsync(silo.Namespace, "t", RecallHarness.Guard)).Error);
        Assert.Equal(0, silo.Engine.Count(records));
    }

    [Fact]
    public async Task RestoreAsync_ManifestRecordGone_SequenceIsReportedLost()
    {
        ModelProfile profile = Shapes.Gqa(layers: 1, kvHeads: 1, headDim: 4, blockTokens: 8);
        await using RecallHarness silo = await RecallHarness.StartAsync(profile);
        await silo.AddAsync("s", new KvContext(profile, 8L * 1100, seed: 1));
        await silo.AddAsync("t", new KvContext(profile, 80, seed: 2));
        ushort records = silo.Engine.OpenNamespace(RecallService.ManifestNamespace).Value;
        var ids = new BlockId[8];
        silo.Engine.Scan(records, 0, ids, out int found);
        BlockId segment = ids[..found].Single(id => silo.Engine.Describe(records, id).Length > 10_000);
        silo.Engine.Delete(records, segment);

        await silo.RestartAsync(drain: true);

        Assert.Equal((1, 1), silo.Restored);
        Assert.Equal(1, silo.Recall.Stats.LostSequences);
        Assert.Equal("sequence", silo.Recall.Describe(silo.Namespace, "s").Error!.Field);
        Assert.Equal(80, silo.Recall.Describe(silo.Namespace, "t").Value.Tokens);
    }

    [Fact]
    public async Task RestoreAsync_BlockGoneMeanwhile_IsNamedAsMissingAndServesAgainWhenItIsBack()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 64, seed: 1);
        List<BlockId> ids = await silo.AddAsync("s", context);
        silo.Engine.Delete(silo.Namespace, ids[1]);
        await silo.RestartAsync(drain: true);
        RecallRequest request = Requests.Attend(silo, Shapes.All());

        using (RecallAnswer answer = await silo.RecallAsync(request))
        {
            MissingTokens missing = Assert.Single(answer.Items[0].Missing);
            Assert.Equal((16L, 16), (missing.FirstToken, missing.Tokens));
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        }

        await silo.PutAsync(context.Blocks());
        await silo.DemoteAsync([ids[1]]);
        using RecallAnswer whole = await silo.RecallAsync(request);
        Assert.Empty(whole.Items[0].Missing);
        Answers.AssertAttends(whole, whole.Items[0], request, request.Items[0], context, silo.Layout);
    }

    [Fact]
    public async Task OpenAsync_WithoutLog_LastsAsLongAsTheProcess()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(durable: false);
        var context = new KvContext(silo.Descriptor.Profile, 40, seed: 1);
        await silo.AddAsync("s", context);
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(16));
        using RecallAnswer answer = await silo.RecallAsync(request);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
    }
}

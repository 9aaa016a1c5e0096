namespace KvTier.Recall.Tests;

/// <summary>More to read than one recall may.</summary>
public class ReadLimitTests : LeakGated
{
    [Fact]
    public async Task RecallAsync_MoreToReadThanAnArrayHolds_IsRefusedAndTheNextOneIsExact()
    {
        ModelProfile profile = Shapes.Gqa(layers: 1, kvHeads: 1, headDim: 512, blockTokens: 64);
        await using RecallHarness silo = await RecallHarness.StartAsync(profile);
        var context = new KvContext(profile, 640, seed: 1);
        DigestSpec spec = Shapes.Mean with { ChunkTokens = 64 };
        List<BlockId> ids = await silo.AddAsync("s", context, spec);
        await silo.DemoteAsync(ids);
        RecallRequest one = Requests.Attend(silo, Shapes.All(spec), queryHeads: 1, layer: 0);

        // 2.5 MiB an item, of which the hot set holds 1 MiB in all.
        Result<RecallAnswer> refused = await silo.Recall.RecallAsync(
            one with { Items = [.. Enumerable.Repeat(one.Items[0], 1024)] }, RecallHarness.Guard);

        Assert.Equal((ErrorCode.LimitExceeded, "recall.readBytes"), (refused.Error?.Code, refused.Error?.Field));
        using RecallAnswer answer = await silo.RecallAsync(one);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], one, one.Items[0], context, silo.Layout, tolerance: 1e-4);
    }
}

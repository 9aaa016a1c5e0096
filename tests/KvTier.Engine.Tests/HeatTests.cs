namespace KvTier.Engine.Tests;

public sealed class HeatTests
{
    [Theory]
    [InlineData("lru")]
    [InlineData("s3fifo")]
    public async Task Cool_SomeBlocks_GoBeforeAllOthersUnlessUsedAgain(string policy)
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 30, Policy = policy });
        for (int number = 0; number < 30; number++)
        {
            harness.Put(number);
            for (int uses = 0; uses < 3; uses++) harness.Get(number);
        }

        int[] cooled = [3, 17, 20, 29];
        Assert.Equal(4, harness.Engine.Cool(harness.Namespace, [.. cooled.Select(EngineHarness.IdOf), EngineHarness.IdOf(99)]));
        Assert.Equal(1, harness.Engine.Warm(harness.Namespace, [EngineHarness.IdOf(17), EngineHarness.IdOf(99)]));
        for (int number = 100; number < 103; number++) harness.Put(number);
        Assert.Equal([3, 20, 29], Enumerable.Range(0, 30).Where(number => harness.Describe(number).Tiers == TierSet.None));
        Assert.Equal(3, harness.Engine.Stats.HostEvictions);
        Conservation.Check(harness.Engine);
    }

    [Theory]
    [InlineData("lru")]
    [InlineData("s3fifo")]
    public async Task Cool_LeasedBlock_IsPassedOver(string policy)
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 3, Policy = policy });
        for (int number = 0; number < 3; number++) harness.Put(number);
        harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out BlockLease lease);
        Assert.Equal(2, harness.Engine.Cool(harness.Namespace, [EngineHarness.IdOf(1), EngineHarness.IdOf(2)]));
        harness.Put(100);
        harness.Verify(1, lease);
        Assert.Equal(TierSet.None, harness.Describe(2).Tiers);
        Assert.Equal(TierSet.Host, harness.Describe(1).Tiers);
    }

    [Fact]
    public async Task Warm_Block_CountsNoHitAndStays()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 2 });
        harness.Put(1);
        harness.Put(2);
        Assert.Equal(1, harness.Engine.Warm(harness.Namespace, [EngineHarness.IdOf(1)]));
        harness.Put(3);
        Assert.Equal((TierSet.Host, TierSet.None), (harness.Describe(1).Tiers, harness.Describe(2).Tiers));
        Assert.Equal(0, harness.Engine.Stats.HostHits);
    }

    [Fact]
    public async Task Demote_BlockInLog_LeavesHostMemoryOnly()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log);
        harness.Put(1);
        BlockId id = EngineHarness.IdOf(1);
        Assert.False(harness.Engine.Demote(harness.Namespace, id));
        await harness.FlushAsync();
        harness.Engine.Pin(harness.Namespace, id, harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 1000);
        Assert.False(harness.Engine.Demote(harness.Namespace, id));
        harness.Engine.Unpin(harness.Namespace, id);
        harness.Engine.TryLease(harness.Namespace, id, out BlockLease lease);
        Assert.False(harness.Engine.Demote(harness.Namespace, id));
        harness.Verify(1, lease);
        Assert.True(harness.Engine.Demote(harness.Namespace, id));
        Assert.False(harness.Engine.Demote(harness.Namespace, id));
        Assert.Equal((TierSet.Ssd, 1, 0), (harness.Describe(1).Tiers, harness.Engine.Stats.Demotions, harness.Engine.Stats.HostEvictions));
        Assert.Equal(0, harness.Arena.UsedBytes);
        Assert.Equal(MissReason.None, (await harness.GetAsync(1)).Reason);
    }
}

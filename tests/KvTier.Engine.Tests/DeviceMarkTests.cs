namespace KvTier.Engine.Tests;

public sealed class DeviceMarkTests
{
    [Fact]
    public async Task SetOnDevice_BlockThatIsHere_IsDescribedAsSuch()
    {
        await using var harness = new EngineHarness();
        Assert.False(harness.Engine.SetOnDevice(harness.Namespace, EngineHarness.IdOf(1), true));
        harness.Put(1);
        Assert.True(harness.Engine.SetOnDevice(harness.Namespace, EngineHarness.IdOf(1), true));
        Assert.True(harness.Engine.SetOnDevice(harness.Namespace, EngineHarness.IdOf(1), true));
        Assert.Equal((TierSet.Device | TierSet.Host, 1), (harness.Describe(1).Tiers, harness.Engine.Stats.DeviceBlocks));
        var tiers = new TierSet[1];
        Assert.Equal(1, harness.Engine.Prefix(harness.Namespace, [EngineHarness.IdOf(1)], tiers, touch: false));
        Assert.Equal(TierSet.Device | TierSet.Host, tiers[0]);
        Assert.True(harness.Engine.SetOnDevice(harness.Namespace, EngineHarness.IdOf(1), false));
        Assert.Equal((TierSet.Host, 0), (harness.Describe(1).Tiers, harness.Engine.Stats.DeviceBlocks));
    }

    [Fact]
    public async Task OnDeviceBlockGone_BlockDeletedReplacedEvictedOrExpired_IsToldOnceEach()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 4 });
        var gone = new List<BlockId>();
        harness.Engine.OnDeviceBlockGone = (ns, id) =>
        {
            Assert.Equal(harness.Namespace, ns);
            gone.Add(id);
        };
        long now = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();
        for (int number = 0; number < 4; number++)
        {
            harness.Put(number, expiry: number == 3 ? now + 10 : 0);
            harness.Engine.SetOnDevice(harness.Namespace, EngineHarness.IdOf(number), true);
        }

        harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(0));
        harness.Put(1, version: 1, overwrite: true);
        Assert.Equal(TierSet.Host, harness.Describe(1).Tiers);
        harness.Clock.Advance(TimeSpan.FromMilliseconds(20));
        Assert.Equal(MissReason.Expired, harness.Get(3));
        for (int number = 10; number < 14; number++) harness.Put(number);
        Assert.Equal([0, 1, 3, 2], gone.Select(id => Enumerable.Range(0, 4).First(number => EngineHarness.IdOf(number) == id)));
        Assert.Equal(0, harness.Engine.Stats.DeviceBlocks);
    }

    [Fact]
    public async Task SetOnDevice_HostCopyDemoted_MarkStays()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(log: log);
        harness.Put(1);
        await harness.FlushAsync();
        harness.Engine.OnDeviceBlockGone = (_, _) => Assert.Fail("the block is still here");
        harness.Engine.SetOnDevice(harness.Namespace, EngineHarness.IdOf(1), true);
        Assert.True(harness.Engine.Demote(harness.Namespace, EngineHarness.IdOf(1)));
        Assert.Equal(TierSet.Device | TierSet.Ssd, harness.Describe(1).Tiers);
    }
}

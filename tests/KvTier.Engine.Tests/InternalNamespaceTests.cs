namespace KvTier.Engine.Tests;

/// <summary>What the silo keeps for itself stays until it is deleted.</summary>
public sealed class InternalNamespaceTests
{
    private const int SegmentBytes = 64 << 10;
    private static readonly NamespaceDescriptor descriptor = new("_kvtier", Profiles.Opaque);

    [Fact]
    public async Task StepAsync_SegmentReclaimed_InternalBlocksAreAppendedAgain()
    {
        var log = new FakeLog(SegmentBytes, 6 * SegmentBytes);
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 20 }, log);
        ushort ns = harness.Engine.OpenNamespace(descriptor).Value;
        for (int number = 0; number < 5; number++) Put(harness, ns, number);
        for (int number = 0; number < 400; number++)
        {
            harness.Put(number, length: 1500);
            await harness.FlushAsync();
        }

        Assert.True(log.SegmentsDropped > 5);
        Assert.Equal(5, harness.Engine.Count(ns));
        Assert.Equal(TierSet.Ssd, harness.Engine.Describe(ns, IdOf(0)).Tiers);
        for (int number = 0; number < 5; number++) await VerifyAsync(harness, ns, number);
        Conservation.Check(harness.Engine);
    }

    [Fact]
    public async Task OnVictim_NoLog_InternalBlocksStayInHostMemory()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 4 });
        ushort ns = harness.Engine.OpenNamespace(descriptor).Value;
        Put(harness, ns, 1);
        for (int number = 0; number < 20; number++) harness.Put(number);
        await VerifyAsync(harness, ns, 1);
        Assert.True(harness.Engine.Delete(ns, IdOf(1)));
        Conservation.Check(harness.Engine);
    }

    [Fact]
    public async Task TryBeginPut_LogRefusesForLong_InternalBlocksAreNotGivenUp()
    {
        var log = new FakeLog { RefuseAppends = LogAppendStatus.DiskFull };
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 4, LogRefusedGraceMs = 100 }, log);
        ushort ns = harness.Engine.OpenNamespace(descriptor).Value;
        Put(harness, ns, 1);
        for (int number = 0; number < 3; number++) harness.Put(number);
        await harness.Engine.Writer!.StepAsync();
        harness.Clock.Advance(TimeSpan.FromMilliseconds(200));
        await harness.Engine.Writer!.StepAsync();
        for (int number = 3; number < 20; number++) harness.Put(number);
        Assert.True(harness.Engine.Stats.MemoryOnlyEvictions > 0);
        await VerifyAsync(harness, ns, 1);
        Conservation.Check(harness.Engine);
    }

    private static byte[] KeyOf(int number) => EngineHarness.KeyOf(number);

    private static BlockId IdOf(int number) => BlockId.Compute(descriptor.Id, KeyOf(number));

    private static void Put(EngineHarness harness, ushort ns, int number)
    {
        var request = new PutRequest { Namespace = ns, Id = IdOf(number), Key = KeyOf(number), Length = 300, Overwrite = true };
        Assert.True(harness.Engine.TryBeginPut(request, out _, out Reservation reservation));
        Assert.Equal(SealStatus.Stored, harness.Seal(number, reservation, out _));
    }

    private static async Task VerifyAsync(EngineHarness harness, ushort ns, int number)
    {
        LeaseResult result = await harness.Engine.LeaseAsync(ns, IdOf(number), EngineHarness.Guard);
        Assert.Equal(MissReason.None, result.Reason);
        harness.Verify(number, result.Lease);
    }
}

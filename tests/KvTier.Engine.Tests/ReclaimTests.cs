namespace KvTier.Engine.Tests;

public sealed class ReclaimTests
{
    private const int SegmentBytes = 64 << 10;

    [Fact]
    public async Task StepAsync_CapReached_DropsColdBlocksAndKeepsHotLeasedAndPinned()
    {
        var log = new FakeLog(SegmentBytes, 6 * SegmentBytes);
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 20 }, log);
        long now = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();
        for (int number = 0; number < 40; number++) await PutAsync(harness, number);
        harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(3), now + 1_000_000);
        await harness.GetAsync(4);
        LeaseResult leased = await harness.Engine.LeaseAsync(harness.Namespace, EngineHarness.IdOf(5), EngineHarness.Guard);
        Assert.Equal(MissReason.None, leased.Reason);
        for (int number = 40; number < 400; number++)
        {
            await PutAsync(harness, number);
            Assert.InRange(log.Status.DiskBytes, 0, 6 * SegmentBytes);
            if (number % 20 == 0) await harness.GetAsync(4);
        }

        Assert.True(log.SegmentsDropped > 5);
        Assert.Equal(MissReason.None, (await harness.GetAsync(3)).Reason);
        Assert.Equal(MissReason.None, (await harness.GetAsync(4)).Reason);
        Assert.True(harness.Describe(5).Durable);
        harness.Verify(5, leased.Lease);
        Assert.Equal(MissReason.Evicted, harness.Get(1));
        Assert.True(harness.Engine.Stats.Reappended >= 3);
        await harness.DisposeAsync();

        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        foreach (int number in (int[])[3, 4, 5, 399]) Assert.Equal(MissReason.None, (await again.GetAsync(number)).Reason);
    }

    [Fact]
    public async Task StepAsync_BlockDeletedJustBeforeItsSegmentIsDropped_LeavesATombstone()
    {
        // Until its file is gone, a crash could bring the record back: the delete has to be written.
        var log = new FakeLog(SegmentBytes, 4 * SegmentBytes);
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 20 }, log);
        bool? deleted = null;
        log.OnDrop = () => deleted ??= harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(0));
        for (int number = 0; number < 400 && deleted is null; number++) await PutAsync(harness, number);
        await harness.FlushAsync();
        Assert.True(deleted);
        Assert.Contains(log.Records, each => each.Kind == LogRecordKind.Tombstone && each.Id == EngineHarness.IdOf(0));
    }

    [Fact]
    public async Task StepAsync_EverythingPinned_IsRefusedAsDiskFullAndRecovers()
    {
        var log = new FakeLog(SegmentBytes, 4 * SegmentBytes);
        await using var harness = new EngineHarness(log: log, arenaBytes: 4 << 20);
        long until = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds() + 1_000_000;
        KvError? refused = null;
        int stored = 0;
        while (refused is null && stored < 1000)
        {
            harness.Put(stored, out long ticket, length: 2048);
            harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(stored++), until);
            ValueTask<KvError?> wait = harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard);
            await harness.FlushAsync();
            refused = await wait;
        }

        Assert.Equal(ErrorCode.DiskFull, refused?.Code);
        for (int number = 0; number < stored; number++) Assert.Equal(MissReason.None, (await harness.GetAsync(number)).Reason);
        for (int number = 0; number < stored; number++) harness.Engine.Unpin(harness.Namespace, EngineHarness.IdOf(number));
        for (int round = 0; round < 20 && harness.Engine.Stats.DirtyBlocks > 0; round++)
        {
            harness.Clock.Advance(TimeSpan.FromSeconds(2));
            await harness.FlushAsync();
        }

        Assert.Equal(0, harness.Engine.Stats.DirtyBlocks);
    }

    [Fact]
    public async Task StepAsync_SegmentDroppedWithBlockInHost_BlockStaysInMemoryOnly()
    {
        var log = new FakeLog(SegmentBytes, 4 * SegmentBytes);
        await using var harness = new EngineHarness(log: log, arenaBytes: 4 << 20);
        for (int number = 0; number < 150; number++) await PutAsync(harness, number);
        Assert.True(log.SegmentsDropped > 0);
        Assert.Equal(TierSet.Host, harness.Describe(0).Tiers);
        Assert.False(harness.Describe(0).Durable);
        Assert.Equal(MissReason.None, harness.Get(0));
    }

    [Fact]
    public async Task StepAsync_PinRanOutBeforeTheSweep_BlockLetsItsSegmentGo()
    {
        // Without a sweep in between, every block of a small log may look pinned.
        var log = new FakeLog(SegmentBytes, 4 * SegmentBytes);
        await using var harness = new EngineHarness(log: log, arenaBytes: 4 << 20);
        for (int number = 0; number < 300; number++)
        {
            long now = harness.Clock.GetUtcNow().ToUnixTimeMilliseconds();
            harness.Put(number, out long ticket, length: 2048);
            harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(number), now + 10);
            harness.Clock.Advance(TimeSpan.FromMilliseconds(20));
            ValueTask<KvError?> wait = harness.Engine.WaitDurableAsync(ticket, EngineHarness.Guard);
            await harness.FlushAsync();
            Assert.Null(await wait);
        }

        Assert.True(log.SegmentsDropped > 5);
        Conservation.Check(harness.Engine);
    }

    private static async Task PutAsync(EngineHarness harness, int number)
    {
        Assert.Equal(PutBegin.Reserved, harness.Put(number, length: 2048));
        await harness.FlushAsync();
    }
}

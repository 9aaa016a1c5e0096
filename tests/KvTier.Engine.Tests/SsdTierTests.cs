namespace KvTier.Engine.Tests;

public sealed class SsdTierTests
{
    [Fact]
    public async Task LeaseQuietlyAsync_OnHostSsdAndNowhere_CountsAndTouchesNothing()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 3 }, new FakeLog());
        for (int number = 0; number < 4; number++)
        {
            harness.Put(number);
            await harness.FlushAsync();
        }

        Assert.Equal(TierSet.Ssd, harness.Describe(0).Tiers);
        harness.Verify(1, (await QuietlyAsync(1)).Lease);
        LeaseResult fromSsd = await QuietlyAsync(0);
        Assert.Equal(TierSet.Ssd, fromSsd.Lease.Source);
        harness.Verify(0, fromSsd.Lease);
        Assert.Equal(MissReason.NeverStored, (await QuietlyAsync(9)).Reason);
        Assert.Equal((0, 0), (harness.Engine.Stats.HostHits, harness.Engine.Stats.SsdHits));
        Assert.Equal(0, harness.Engine.Stats.Misses.Sum());

        // Block 1 made room for block 0 although it was leased last, and block 0 goes next, as nobody has asked for it.
        Assert.Equal(TierSet.Ssd, harness.Describe(1).Tiers);
        harness.Put(5);
        Assert.Equal(TierSet.Ssd, harness.Describe(0).Tiers);
        Conservation.Check(harness.Engine);

        async Task<LeaseResult> QuietlyAsync(int number) =>
            await harness.Engine.LeaseQuietlyAsync(harness.Namespace, EngineHarness.IdOf(number), EngineHarness.Guard);
    }

    [Fact]
    public async Task LeaseAsync_ManyCallers_ReadOnce()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        log.HoldReads = new TaskCompletionSource();
        Task<LeaseResult>[] gets = [.. Enumerable.Range(0, 20).Select(_ => harness.GetAsync(1))];
        Assert.Equal(1, log.Reads);
        Assert.DoesNotContain(gets, get => get.IsCompleted);
        log.HoldReads.SetResult();
        LeaseResult[] results = await Task.WhenAll(gets);
        Assert.All(results, result => Assert.Equal((MissReason.None, TierSet.Ssd), (result.Reason, result.Lease.Source)));
        Assert.Equal(1, log.Reads);
        Assert.Equal((20, 0), (harness.Engine.Stats.SsdHits, harness.Engine.Stats.LeasedSlots));
        Assert.Equal(TierSet.Host, (await harness.GetAsync(1)).Lease.Source);
    }

    [Fact]
    public async Task OnVictim_BlockInLog_IsDemotedWithoutAWrite()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        Assert.Equal(TierSet.Ssd, harness.Describe(1).Tiers);
        Assert.Equal(MissReason.Deadline, harness.Get(1));
        Assert.Equal(0, harness.Engine.Stats.Misses[(int)MissReason.Deadline]);
        Assert.Equal(2, log.Records.Count);
    }

    [Fact]
    public async Task LeaseAsync_DeadlinePasses_ReadGoesOn()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        log.HoldReads = new TaskCompletionSource();
        ValueTask<LeaseResult> get = harness.Engine.LeaseAsync(harness.Namespace, EngineHarness.IdOf(1), TimeSpan.FromSeconds(1));
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(MissReason.Deadline, (await get).Reason);
        Assert.Equal(1, harness.Engine.Stats.Misses[(int)MissReason.Deadline]);
        Task<LeaseResult> patient = harness.GetAsync(1);
        log.HoldReads.SetResult();
        Assert.Equal(MissReason.None, (await patient).Reason);
        Assert.Equal(1, log.Reads);
        Assert.Equal(0, harness.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task LeaseAsync_CorruptRecord_IsAMissForGood()
    {
        var log = new FakeLog { OnRead = () => LogReadStatus.Corrupt };
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        Task<LeaseResult>[] gets = [harness.GetAsync(1), harness.GetAsync(1)];
        Assert.All(await Task.WhenAll(gets), result => Assert.Equal(MissReason.Corrupt, result.Reason));
        Assert.Equal(1, harness.Engine.Stats.CorruptBlocks);
        Assert.Equal(MissReason.Corrupt, harness.Get(1));
        Assert.Equal(PutBegin.Reserved, harness.Put(1));
        Assert.Equal(MissReason.None, harness.Get(1));
    }

    [Fact]
    public async Task LeaseAsync_DeviceFails_BlockStaysForALaterTry()
    {
        var log = new FakeLog { OnRead = () => LogReadStatus.IoError };
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        Assert.Equal(MissReason.Deadline, (await harness.GetAsync(1)).Reason);
        log.OnRead = null;
        Assert.Equal(MissReason.None, (await harness.GetAsync(1)).Reason);
        Assert.Equal(1, harness.Engine.Stats.LogFaults);
    }

    [Fact]
    public async Task LeaseAsync_DeletedWhileRead_IsAMiss()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        log.HoldReads = new TaskCompletionSource();
        Task<LeaseResult> get = harness.GetAsync(1);
        harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1));
        log.HoldReads.SetResult();
        Assert.Equal(MissReason.Deleted, (await get).Reason);
        Assert.Equal(0, harness.Engine.State.Host.Slots.Count - harness.Engine.Stats.HostBlocks);
    }

    [Fact]
    public async Task LeaseAsync_ReplacedWhileRead_GivesTheNewBytes()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log, hostBlocks: 3);
        log.HoldReads = new TaskCompletionSource();
        Task<LeaseResult> get = harness.GetAsync(1, version: 9);
        Assert.Equal(PutBegin.Reserved, harness.Put(1, version: 9, overwrite: true));
        log.HoldReads.SetResult();
        Assert.Equal(MissReason.None, (await get).Reason);
    }

    [Fact]
    public async Task LeaseAsync_HostFullOfLeases_WaitsForRoom()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        Assert.Equal(MissReason.None, harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(2), out BlockLease lease));
        Task<LeaseResult> get = harness.GetAsync(1);
        Assert.Equal(0, log.Reads);
        Assert.False(get.IsCompleted);
        harness.Verify(2, lease);
        Assert.Equal(MissReason.None, (await get).Reason);
    }

    [Fact]
    public async Task LeaseAsync_MoreThanReadsMax_RunsThatManyAtOnce()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            for (int number = 0; number < 10; number++) harness.Put(number);
            await harness.FlushAsync();
        }

        await using var again = new EngineHarness(new EngineOptions { SsdReadsMax = 4 }, log);
        again.Engine.Recover([EngineHarness.Opaque]);
        log.HoldReads = new TaskCompletionSource();
        Task<LeaseResult>[] gets = [.. Enumerable.Range(0, 10).Select(number => again.GetAsync(number))];
        Assert.Equal(4, log.Reads);
        Assert.False(again.Engine.Prefetch(again.Namespace, EngineHarness.IdOf(99)));
        log.HoldReads.SetResult();
        log.HoldReads = null;
        Assert.All(await Task.WhenAll(gets), result => Assert.Equal(MissReason.None, result.Reason));
        Assert.Equal(10, log.Reads);
    }

    [Fact]
    public async Task LeaseAsync_FirstReadThenSecond_OnlyTheSecondPromotes()
    {
        var log = new FakeLog();
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 3 }, log);
        for (int number = 1; number <= 4; number++)
        {
            harness.Put(number);
            await harness.FlushAsync();
        }

        Assert.Equal(TierSet.Ssd, (await harness.GetAsync(1)).Lease.Source);
        Assert.Equal(TierSet.Ssd, (await harness.GetAsync(2)).Lease.Source);
        Assert.Equal(TierSet.Host, (await harness.GetAsync(4)).Lease.Source);
        Assert.Equal(TierSet.Ssd, (await harness.GetAsync(1)).Lease.Source);
        harness.Put(5);
        await harness.FlushAsync();
        Assert.Equal(TierSet.Host | TierSet.Ssd, harness.Describe(1).Tiers);
    }

    [Fact]
    public async Task Prefetch_BlockOnSsd_IsInHostAfterwards()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOneOnSsdAsync(log);
        Assert.True(harness.Engine.Prefetch(harness.Namespace, EngineHarness.IdOf(1)));
        Assert.Equal(TierSet.Host | TierSet.Ssd, harness.Describe(1).Tiers);
        Assert.Equal(0, harness.Engine.Stats.SsdHits);
        Assert.True(harness.Engine.Prefetch(harness.Namespace, EngineHarness.IdOf(1)));
        Assert.False(harness.Engine.Prefetch(harness.Namespace, EngineHarness.IdOf(77)));
        Assert.Equal(MissReason.None, harness.Get(1));
    }

    [Fact]
    public async Task DisposeAsync_ReadUnderWay_WaitsForIt()
    {
        var log = new FakeLog();
        EngineHarness harness = await WithOneOnSsdAsync(log);
        log.HoldReads = new TaskCompletionSource();
        Task<LeaseResult> get = harness.Engine.LeaseAsync(harness.Namespace, EngineHarness.IdOf(1), EngineHarness.Guard).AsTask();
        ValueTask disposing = harness.DisposeAsync();
        Assert.False(disposing.IsCompleted);
        log.HoldReads.SetResult();
        await disposing;
        await get;
        Assert.Equal(MissReason.ShuttingDown, harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out _));
    }

    [Fact]
    public async Task DisposeAsync_ReadHangs_EndsAtTheTimeoutAndLeavesTheMemory()
    {
        var log = new FakeLog();
        EngineHarness harness = await WithOneOnSsdAsync(log);
        var held = new TaskCompletionSource();
        log.HoldReads = held;
        Task<LeaseResult> get = harness.Engine.LeaseAsync(harness.Namespace, EngineHarness.IdOf(1), TimeSpan.FromSeconds(1)).AsTask();
        Task disposing = harness.Engine.DisposeAsync().AsTask();
        harness.Clock.Advance(BlockEngine.StopTimeout - TimeSpan.FromMilliseconds(1));
        Assert.False(disposing.IsCompleted);
        harness.Clock.Advance(TimeSpan.FromMilliseconds(1));
        await disposing.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.True(harness.Engine.IsAbandoned);
        Assert.NotEqual(0, harness.Arena.UsedBytes);
        Assert.NotEqual(MissReason.None, (await get).Reason);

        // The read ends after all; now the memory may go.
        held.SetResult();
        Assert.Equal(MissReason.ShuttingDown, harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out _));
        await harness.FreeAbandonedAsync();
    }

    // Block 1 is on SSD only; the last of the others fill host memory.
    private static async Task<EngineHarness> WithOneOnSsdAsync(FakeLog log, int hostBlocks = 1)
    {
        var harness = new EngineHarness(new EngineOptions { HostBlocksMax = hostBlocks }, log);
        for (int number = 1; number <= hostBlocks + 1; number++)
        {
            harness.Put(number);
            await harness.FlushAsync();
        }

        return harness;
    }
}

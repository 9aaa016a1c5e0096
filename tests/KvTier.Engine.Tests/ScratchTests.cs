namespace KvTier.Engine.Tests;

public sealed class ScratchTests
{
    [Fact]
    public async Task TryTakeScratch_ThenRelease_GivesTheRoomBack()
    {
        await using var harness = new EngineHarness();
        Assert.True(harness.Engine.TryTakeScratch(5000, out BlockLease lease));
        Assert.Equal((5000, TierSet.None), (lease.Length, lease.Source));
        harness.Arena.Slice(lease.Offset, lease.Length).Span.Fill(7);
        EngineStats stats = harness.Engine.Stats;
        Assert.Equal((1, 1, 0, 0), (stats.ScratchSlots, stats.LeasedSlots, stats.HostBlocks, stats.ReservedSlots));
        Assert.Equal(stats.ScratchBytes, harness.Arena.UsedBytes);
        Conservation.Check(harness.Engine);
        harness.Engine.Release(lease);
        harness.Engine.Release(lease);
        stats = harness.Engine.Stats;
        Assert.Equal((0, 0, 0), (stats.ScratchSlots, stats.ScratchBytes, stats.LeasedSlots));
        Assert.Equal(0, harness.Arena.UsedBytes);
    }

    [Fact]
    public async Task TryTakeScratch_HostFull_EvictsBlocksButNotLeasedOnes()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 2 });
        harness.Put(1);
        harness.Put(2);
        harness.Engine.TryLease(harness.Namespace, EngineHarness.IdOf(1), out BlockLease held);
        Assert.True(harness.Engine.TryTakeScratch(100, out BlockLease scratch));
        Assert.False(harness.Engine.TryTakeScratch(100, out _));
        Assert.Equal(MissReason.Evicted, harness.Get(2));
        harness.Verify(1, held);
        harness.Engine.Release(scratch);
    }

    [Fact]
    public async Task TakeScratchAsync_NoRoom_WaitsForItUntilTheDeadline()
    {
        await using var harness = new EngineHarness(new EngineOptions { ScratchBytesMax = 8192 });
        Assert.True(harness.Engine.TryTakeScratch(8192, out BlockLease first));
        Assert.False(harness.Engine.TryTakeScratch(1, out _));
        Task<Result<BlockLease>> late = harness.Engine.TakeScratchAsync(4096, TimeSpan.FromSeconds(1)).AsTask();
        Assert.False(late.IsCompleted);
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(ErrorCode.HostFull, (await late).Error!.Code);
        Task<Result<BlockLease>> patient = harness.Engine.TakeScratchAsync(4096, TimeSpan.FromSeconds(1)).AsTask();
        Assert.False(patient.IsCompleted);
        harness.Engine.Release(first);
        harness.Engine.Release((await patient).Value);
        Assert.Equal(ErrorCode.LimitExceeded, (await harness.Engine.TakeScratchAsync(8193, EngineHarness.Guard)).Error!.Code);
    }

    [Fact]
    public async Task TakeScratchAsync_EngineDrains_IsRefused()
    {
        await using var harness = new EngineHarness(new EngineOptions { ScratchBytesMax = 4096 });
        Assert.True(harness.Engine.TryTakeScratch(4096, out BlockLease first));
        Task<Result<BlockLease>> waiting = harness.Engine.TakeScratchAsync(4096, EngineHarness.Guard).AsTask();
        await harness.Engine.DrainAsync(EngineHarness.Guard);
        Assert.Equal(ErrorCode.ShuttingDown, (await waiting).Error!.Code);
        harness.Engine.Release(first);
    }
}

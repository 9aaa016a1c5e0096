namespace KvTier.Engine.Tests;

public sealed class AllocationTests
{
    private const int Rounds = 20_000;

    [Theory]
    [InlineData("lru")]
    [InlineData("s3fifo")]
    public async Task TryLeaseAndRelease_HostHit_AllocateNothing(string policy)
    {
        await using var harness = new EngineHarness(new EngineOptions { Policy = policy });
        BlockId[] ids = [.. Enumerable.Range(0, 100).Select(EngineHarness.IdOf)];
        for (int number = 0; number < 100; number++) harness.Put(number);
        Assert.Equal(0, Measure(() => GetAll(harness, ids)));
    }

    [Theory]
    [InlineData("lru")]
    [InlineData("s3fifo")]
    public async Task TryBeginPutAndSeal_SteadyState_AllocateNothing(string policy)
    {
        var options = new EngineOptions { Policy = policy, HostBlocksMax = 500, GhostBlocks = 500 };
        await using var harness = new EngineHarness(options);
        int next = 0;
        Assert.Equal(0, Measure(() => PutMany(harness, ref next)));
    }

    [Fact]
    public async Task PutInGroupsAndWalk_SteadyState_AllocateNothing()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 500, GhostBlocks = 500 });
        var blocks = new EngineBlock[64];
        var groups = new EngineGroup[64];
        BlockId[] ids = [.. Enumerable.Range(0, 1000).Select(EngineHarness.IdOf)];
        byte[] key = EngineHarness.KeyOf(1);
        Assert.Equal(0, Measure(() =>
        {
            for (int number = 0; number < ids.Length; number++)
            {
                var request = new PutRequest
                {
                    Namespace = harness.Namespace,
                    Id = ids[number],
                    Group = ids[number / 10],
                    Key = key,
                    Length = 16,
                };
                harness.Engine.TryBeginPut(request, out _, out Reservation reservation);
                harness.Engine.Seal(reservation, 0, out _);
            }

            for (long next = harness.Engine.Walk(0, blocks, out _); next != 0;) next = harness.Engine.Walk(next, blocks, out _);
            for (long next = harness.Engine.WalkGroups(0, groups, out _); next != 0;)
                next = harness.Engine.WalkGroups(next, groups, out _);
        }));
        Assert.Equal(500, harness.Engine.Count(harness.Namespace));
    }

    [Fact]
    public async Task Prefix_HostHits_AllocatesNothing()
    {
        await using var harness = new EngineHarness();
        BlockId[] ids = [.. Enumerable.Range(0, 1000).Select(EngineHarness.IdOf)];
        var tiers = new TierSet[1000];
        for (int number = 0; number < 1000; number++) harness.Put(number, length: 8);
        Assert.Equal(0, Measure(() => harness.Engine.Prefix(harness.Namespace, ids, tiers, touch: true)));
    }

    [Fact]
    public async Task TryBeginPutAndSeal_WithLog_AllocateNothingForABlock()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 4000 }, new FakeLog(), arenaBytes: 4 << 20);
        int next = 0;
        PutSome(harness, ref next, 1000);
        await harness.FlushAsync();
        long before = GC.GetAllocatedBytesForCurrentThread();
        PutSome(harness, ref next, 1000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public async Task ReadRangesAsync_HostHits_AllocateNothing()
    {
        await using var harness = new EngineHarness();
        for (int number = 0; number < 100; number++) harness.Put(number);
        BlockRange[] ranges = [new(0, 100), new(400, 112)];
        BlockRanges[] blocks = [.. Enumerable.Range(0, 100).Select(number =>
            new BlockRanges(harness.Namespace, EngineHarness.IdOf(number), ranges, new byte[212]))];
        var results = new RangeReadResult[100];
        long before = harness.Engine.Stats.RangeReadsHost;
        Assert.Equal(0, Measure(() =>
        {
            _ = harness.Engine.ReadRangesAsync(blocks, results, EngineHarness.Guard).IsCompletedSuccessfully;
            foreach (ref BlockRanges block in blocks.AsSpan())
            {
                _ = harness.Engine.ReadRangesAsync(block.Namespace, block.Id, block.Ranges, block.Destination, EngineHarness.Guard).Result;
            }
        }));
        Assert.Equal(600, harness.Engine.Stats.RangeReadsHost - before);
    }

    [Fact]
    public async Task HeatAndScratch_SteadyState_AllocateNothing()
    {
        await using var harness = new EngineHarness(new EngineOptions { Policy = "s3fifo" });
        BlockId[] ids = [.. Enumerable.Range(0, 100).Select(EngineHarness.IdOf)];
        for (int number = 0; number < 100; number++) harness.Put(number);
        Assert.Equal(0, Measure(() =>
        {
            harness.Engine.Warm(harness.Namespace, ids);
            harness.Engine.Cool(harness.Namespace, ids);
            if (harness.Engine.TryTakeScratch(5000, out BlockLease lease)) harness.Engine.Release(lease);
        }));
    }

    // Twice before it counts: tables find their size, and the compiler is done.
    private static long Measure(Action action)
    {
        action();
        action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void GetAll(EngineHarness harness, BlockId[] ids)
    {
        for (int round = 0; round < Rounds; round++)
        {
            if (harness.Engine.TryLease(harness.Namespace, ids[round % ids.Length], out BlockLease lease) != MissReason.None) return;
            harness.Engine.Release(lease);
        }
    }

    private static void PutMany(EngineHarness harness, ref int next) => PutSome(harness, ref next, Rounds);

    private static void PutSome(EngineHarness harness, ref int next, int count)
    {
        Span<byte> key = stackalloc byte[BlockId.SizeBytes];
        for (int i = 0; i < count; i++)
        {
            BlockId id = IndexProbe.IdOf(next++);
            id.WriteTo(key);
            var request = new PutRequest { Namespace = harness.Namespace, Id = id, Key = key, Length = 512 };
            if (!harness.Engine.TryBeginPut(request, out _, out Reservation reservation)) throw new InvalidOperationException("no room");
            harness.Engine.Seal(reservation, 0, out _);
        }
    }
}

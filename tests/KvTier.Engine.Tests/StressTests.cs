using KvTier.Testing;

namespace KvTier.Engine.Tests;

/// <summary>Many threads at once on few blocks: bytes out are bytes in, and nothing is left behind.</summary>
public sealed class StressTests
{
    private const int Threads = 4;
    private const int Steps = 2000;
    private const int Length = 1024;
    private const int RangeBlocks = 6;

    [Theory]
    [InlineData("lru")]
    [InlineData("s3fifo")]
    public async Task Engine_ManyThreads_NeverGivesWrongBytes(string policy)
    {
        var log = new FakeLog(256 << 10, 4 << 20);
        var options = new EngineOptions { HostBlocksMax = 60, Policy = policy };
        await using var harness = new EngineHarness(options, log, time: TimeProvider.System);
        harness.Engine.Start();
        var hits = new long[Threads];
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Factory.StartNew(
            () => WorkAsync(harness, thread, hits), CancellationToken.None,
            TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
        Assert.Null(await harness.Engine.DrainAsync(EngineHarness.Guard));
        Conservation.Check(harness.Engine);
        EngineStats stats = harness.Engine.Stats;
        Assert.Equal((0, 0, 0), (stats.LeasedSlots, stats.ReservedSlots, stats.DirtyBlocks));
        Assert.True(hits.Sum() > Threads * Steps / 10, $"only {hits.Sum()} hits");
    }

    private static async Task WorkAsync(EngineHarness harness, int seed, long[] hits)
    {
        var random = new Random(seed);
        for (int step = 0; step < Steps; step++)
        {
            int number = random.Next(150);
            BlockId id = EngineHarness.IdOf(number);
            int dice = random.Next(20);
            if (dice == 0) harness.Engine.Delete(harness.Namespace, id);
            else if (dice == 1) harness.Engine.Prefetch(harness.Namespace, id);
            else if (dice == 2) harness.Engine.Demote(harness.Namespace, id);
            else if (dice == 3) TakeScratch(harness);
            else if (dice == 4) harness.Engine.Cool(harness.Namespace, [id, EngineHarness.IdOf(random.Next(150))]);
            else if (dice < 7) await ReadRangesAsync(harness, random);
            else if (dice < 12) await PutAsync(harness, number, id, overwrite: dice < 9);
            else hits[seed] += await GetAsync(harness, number, id) ? 1 : 0;
        }
    }

    private static async Task PutAsync(EngineHarness harness, int number, BlockId id, bool overwrite)
    {
        while (true)
        {
            PutBegin begin = harness.Begin(number, out Reservation reservation, Length, overwrite);
            if (begin == PutBegin.HostFull)
            {
                Assert.True(await harness.Engine.WaitForRoomAsync(Length, EngineHarness.Guard), "no room came");
                continue;
            }

            if (begin != PutBegin.Reserved) return;
            Memory<byte> bytes = harness.Arena.Slice(reservation.Offset, Length);
            BlockBytes.Fill(id, bytes.Span);
            harness.Engine.Seal(reservation, Crc32C.Compute(bytes.Span), out _);
            return;
        }
    }

    private static async Task ReadRangesAsync(EngineHarness harness, Random random)
    {
        int first = random.Next(150);
        BlockRange[] ranges = [new(0, 16), new(random.Next(512), 500)];
        var bytes = new byte[RangeBlocks * 516];
        BlockRanges[] blocks = [.. Enumerable.Range(0, RangeBlocks).Select(i => new BlockRanges(
            harness.Namespace, EngineHarness.IdOf((first + (i / 2)) % 150), ranges, bytes.AsMemory(i * 516, 516)))];
        var results = new RangeReadResult[RangeBlocks];
        await harness.Engine.ReadRangesAsync(blocks, results, EngineHarness.Guard);
        var expected = new byte[Length];
        for (int i = 0; i < RangeBlocks; i++)
        {
            Assert.NotEqual(MissReason.Corrupt, results[i].Reason);
            Assert.NotEqual(MissReason.Deadline, results[i].Reason);
            if (!results[i].IsOk) continue;
            BlockBytes.Fill(blocks[i].Id, expected);
            Assert.Equal(expected[..16], blocks[i].Destination[..16].ToArray());
            Assert.Equal(expected.AsSpan(ranges[1].Offset, 500).ToArray(), blocks[i].Destination[16..].ToArray());
        }
    }

    private static void TakeScratch(EngineHarness harness)
    {
        if (!harness.Engine.TryTakeScratch(2000, out BlockLease lease)) return;
        harness.Arena.Slice(lease.Offset, lease.Length).Span.Fill(0xAA);
        harness.Engine.Release(lease);
    }

    private static async Task<bool> GetAsync(EngineHarness harness, int number, BlockId id)
    {
        LeaseResult result = await harness.Engine.LeaseAsync(harness.Namespace, id, EngineHarness.Guard);
        Assert.NotEqual(MissReason.Corrupt, result.Reason);
        Assert.NotEqual(MissReason.Deadline, result.Reason);
        if (result.Reason != MissReason.None) return false;
        Assert.Equal(Length, result.Lease.Length);
        ReadOnlyMemory<byte> bytes = harness.Arena.Slice(result.Lease.Offset, Length);
        Assert.True(BlockBytes.Verify(id, bytes.Span), $"wrong bytes of block {number}");
        Assert.Equal(Crc32C.Compute(bytes.Span), result.Lease.PayloadCrc);
        harness.Engine.Release(result.Lease);
        return true;
    }
}

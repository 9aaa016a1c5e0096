namespace KvTier.Engine.Tests;

public sealed class RangeTests
{
    private const int Length = 4000;
    private static readonly BlockRange[] ranges = [new(0, 10), new(3990, 10), new(500, 0), new(100, 1000)];
    private static readonly int total = ranges.Sum(range => range.Length);

    [Fact]
    public async Task ReadRangesAsync_BlockInHost_CopiesWithoutAHitOrATouch()
    {
        await using var harness = new EngineHarness(new EngineOptions { HostBlocksMax = 2 });
        harness.Put(1, Length);
        harness.Put(2, Length);
        (RangeReadResult result, byte[] bytes) = await ReadAsync(harness, 1);
        Assert.Equal(new RangeReadResult(MissReason.None, TierSet.Host, 0, CrcOf(1)), result);
        Assert.Equal(Expected(1), bytes);
        Assert.Equal((0, 0, 1), (harness.Engine.Stats.HostHits, harness.Engine.Stats.LeasedSlots, harness.Engine.Stats.RangeReadsHost));
        harness.Put(3, Length);
        Assert.Equal(MissReason.Evicted, harness.Get(1));
    }

    [Fact]
    public async Task ReadRangesAsync_BlockOnSsd_ReadsPastHostMemory()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 1);
        (RangeReadResult result, byte[] bytes) = await ReadAsync(harness, 0);
        Assert.Equal(new RangeReadResult(MissReason.None, TierSet.Ssd, total, CrcOf(0)), result);
        Assert.Equal(Expected(0), bytes);
        Assert.Equal((0, 0, 0), (harness.Engine.Stats.HostBlocks, harness.Engine.Stats.HostSlotBytes, harness.Engine.Stats.SsdHits));
        Assert.Equal((1, total), (harness.Engine.Stats.RangeReadsSsd, harness.Engine.Stats.RangeDeviceBytes));
        Assert.Equal(TierSet.Ssd, harness.Describe(0).Tiers);
    }

    [Fact]
    public async Task ReadRangesAsync_ManyBlocksOfEveryKind_EachHasItsResult()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 100);
        harness.Put(200, Length);
        harness.Put(201, 0);
        harness.Begin(202, out _, Length);
        int[] numbers = [.. Enumerable.Range(0, 100), 200, 201, 202, 203];
        (RangeReadResult[] results, byte[][] bytes) = await ReadManyAsync(harness, numbers);
        for (int i = 0; i <= 100; i++)
        {
            Assert.Equal(new RangeReadResult(MissReason.None, i < 100 ? TierSet.Ssd : TierSet.Host, i < 100 ? total : 0, CrcOf(numbers[i])),
                results[i]);
            Assert.Equal(Expected(numbers[i]), bytes[i]);
        }

        Assert.Equal(("range.end", "4000", "0"), (results[101].Error!.Field, results[101].Error!.Value, results[101].Error!.Limit));
        Assert.Equal([MissReason.NotSealed, MissReason.NeverStored], results[102..].Select(result => result.Reason));
        Assert.Equal(1, harness.Engine.Stats.Misses[(int)MissReason.NotSealed]);
        Assert.Equal(1, harness.Engine.Stats.Misses[(int)MissReason.NeverStored]);
        Assert.Equal(0, harness.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task ReadRangesAsync_DeadlinePasses_NothingIsWrittenAfterwards()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 40, readsMax: 4);
        var held = log.HoldReads = new TaskCompletionSource();
        var results = new RangeReadResult[40];
        var destination = new byte[40 * total];
        ValueTask read = harness.Engine.ReadRangesAsync(WantedOf(harness, Enumerable.Range(0, 40), destination), results, Second);
        Assert.Equal((4, 40), (log.Reads, harness.Engine.ReadsUnderWay));
        harness.Clock.Advance(Second);
        await read;
        Assert.All(results, result => Assert.Equal(new RangeReadResult(MissReason.Deadline, TierSet.None, 0), result));
        Assert.Equal(40, harness.Engine.Stats.Misses[(int)MissReason.Deadline]);

        // What has not begun is not begun any more.
        Assert.Equal(4, harness.Engine.ReadsUnderWay);
        log.HoldReads = null;
        held.SetResult();
        await UntilAsync(() => harness.Engine.ReadsUnderWay == 0);
        Assert.Equal(4, log.Reads);
        Assert.DoesNotContain(destination, each => each != 0);
        Assert.All(results, result => Assert.Equal(MissReason.Deadline, result.Reason));
        Assert.Equal(40, harness.Engine.Stats.Misses[(int)MissReason.Deadline]);
        Assert.True((await ReadAsync(harness, 7)).Result.IsOk);
    }

    [Fact]
    public async Task ReadRangesAsync_MoreThanReadsMax_RunsThatManyAtOnce()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 10, readsMax: 4);
        var held = log.HoldReads = new TaskCompletionSource();
        Task<(RangeReadResult[], byte[][])> many = ReadManyAsync(harness, [.. Enumerable.Range(0, 10)]);
        Assert.Equal(4, log.Reads);
        Assert.False(many.IsCompleted);
        log.HoldReads = null;
        held.SetResult();
        (RangeReadResult[] results, byte[][] bytes) = await many;
        Assert.All(results, result => Assert.True(result.IsOk));
        for (int i = 0; i < 10; i++) Assert.Equal(Expected(i), bytes[i]);
        Assert.Equal(10, log.Reads);
    }

    [Fact]
    public async Task ReadRangesAsync_ItemsOfOneBlock_AreReadTogetherAndReportedEach()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 2);
        int[] numbers = [.. Enumerable.Repeat(0, 20), 1, 0];
        (RangeReadResult[] results, byte[][] bytes) = await ReadManyAsync(harness, numbers);
        for (int i = 0; i < numbers.Length; i++)
        {
            Assert.True(results[i].IsOk);
            Assert.Equal(CrcOf(numbers[i]), results[i].PayloadCrc);
            Assert.Equal(Expected(numbers[i]), bytes[i]);
        }

        // Three for the run of twenty, and one each for what follows.
        Assert.Equal(5, log.Reads);
        Assert.Equal([0, 8, 16, 20, 21], Enumerable.Range(0, 22).Where(i => results[i].DeviceBytes > 0));
        Assert.Equal((22, 22L * total), (harness.Engine.Stats.RangeReadsSsd, results.Sum(result => result.DeviceBytes)));
        log.OnRead = () => LogReadStatus.IoError;
        (results, _) = await ReadManyAsync(harness, numbers);
        Assert.All(results, result => Assert.Equal(MissReason.Deadline, result.Reason));
        Assert.Equal(22, harness.Engine.Stats.Misses[(int)MissReason.Deadline]);
    }

    [Theory]
    [InlineData(LogReadStatus.Corrupt, MissReason.Corrupt)]
    [InlineData(LogReadStatus.Gone, MissReason.Evicted)]
    [InlineData(LogReadStatus.IoError, MissReason.Deadline)]
    public async Task ReadRangesAsync_LogCanNotGiveThem_IsAMissWithTheReason(LogReadStatus status, MissReason reason)
    {
        var log = new FakeLog { OnRead = () => status };
        await using EngineHarness harness = await WithOnSsdAsync(log, 1);
        long reported = 0;
        harness.Engine.OnReadError = count => reported = count;
        Assert.Equal(reason, (await ReadAsync(harness, 0)).Result.Reason);
        Assert.Equal(1, harness.Engine.Stats.Misses[(int)reason]);
        Assert.Equal(status == LogReadStatus.Corrupt ? 1 : 0, harness.Engine.Stats.CorruptBlocks);
        Assert.Equal(status == LogReadStatus.IoError ? 1 : 0, reported);
        log.OnRead = null;
        Assert.Equal(status == LogReadStatus.IoError, (await ReadAsync(harness, 0)).Result.IsOk);
    }

    [Fact]
    public async Task ReadRangesAsync_BlockReplacedWhileItsRecordGoes_GivesTheNewBytes()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 1);
        var held = log.HoldReads = new TaskCompletionSource();
        Task<(RangeReadResult Result, byte[] Bytes)> read = ReadAsync(harness, 0);
        harness.Put(0, Length, version: 5, overwrite: true);
        log.OnRead = () => LogReadStatus.Gone;
        held.SetResult();
        (RangeReadResult result, byte[] bytes) = await read;
        Assert.Equal((MissReason.None, TierSet.Host), (result.Reason, result.Source));
        Assert.Equal(Expected(0, version: 5), bytes);
        Assert.Equal(0, harness.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task Quarantine_BlockOfThatContent_IsACorruptMissUntilItIsPutAgain()
    {
        var log = new FakeLog();
        await using EngineHarness harness = await WithOnSsdAsync(log, 1);
        uint crc = (await ReadAsync(harness, 0)).Result.PayloadCrc;
        harness.Put(0, Length, version: 1, overwrite: true);
        Assert.False(harness.Engine.Quarantine(harness.Namespace, EngineHarness.IdOf(0), crc));
        Assert.Equal(MissReason.None, harness.Get(0, version: 1));
        Assert.True(harness.Engine.Quarantine(harness.Namespace, EngineHarness.IdOf(0), CrcOf(0, version: 1)));
        Assert.False(harness.Engine.Quarantine(harness.Namespace, EngineHarness.IdOf(0)));
        Assert.Equal(MissReason.Corrupt, (await ReadAsync(harness, 0)).Result.Reason);
        Assert.Equal(1, harness.Engine.Stats.CorruptBlocks);
        await harness.FlushAsync();
        Assert.Equal(LogRecordKind.Tombstone, log.Records[^1].Kind);
        harness.Put(0, Length);
        Assert.True((await ReadAsync(harness, 0)).Result.IsOk);
    }

    [Fact]
    public async Task DisposeAsync_RangesUnderWay_WaitsForThemAndAnswersTheQueued()
    {
        var log = new FakeLog();
        EngineHarness harness = await WithOnSsdAsync(log, 3, readsMax: 2);
        var held = log.HoldReads = new TaskCompletionSource();
        Task<(RangeReadResult[] Results, byte[][])> read = ReadManyAsync(harness, [0, 1, 2]);
        ValueTask disposing = harness.DisposeAsync();
        Assert.False(disposing.IsCompleted);
        held.SetResult();
        await disposing;
        Assert.Equal([MissReason.None, MissReason.None, MissReason.ShuttingDown], (await read).Results.Select(result => result.Reason));
        Assert.Equal(MissReason.ShuttingDown, (await ReadAsync(harness, 0)).Result.Reason);
    }

    [Fact]
    public async Task ReadRangesAsync_BadArguments_AreRefused()
    {
        await using var harness = new EngineHarness();
        harness.Put(1, Length);
        var small = new byte[total - 1];
        await Assert.ThrowsAsync<ArgumentException>(
            async () => await harness.Engine.ReadRangesAsync(harness.Namespace, EngineHarness.IdOf(1), ranges, small, Second));
        BlockRange[] negative = [new(-1, 5)];
        await Assert.ThrowsAsync<ArgumentException>(
            async () => await harness.Engine.ReadRangesAsync(harness.Namespace, EngineHarness.IdOf(1), negative, small, Second));
        BlockRanges[] two = WantedOf(harness, [1, 2], new byte[2 * total]);
        await Assert.ThrowsAsync<ArgumentException>(
            async () => await harness.Engine.ReadRangesAsync(two, new RangeReadResult[1], Second));
        BlockRange[] beyond = [new(3999, 2)];
        RangeReadResult result = await harness.Engine.ReadRangesAsync(harness.Namespace, EngineHarness.IdOf(1), beyond, small, Second);
        Assert.False(result.IsOk);
        Assert.Equal(ErrorCode.LimitExceeded, result.Error!.Code);
    }

    private static TimeSpan Second => TimeSpan.FromSeconds(1);

    private static uint CrcOf(int number, int version = 0) => Crc32C.Compute(EngineHarness.BytesOf(number, Length, version));

    private static byte[] Expected(int number, int version = 0)
    {
        byte[] payload = EngineHarness.BytesOf(number, Length, version);
        return [.. ranges.SelectMany(range => payload.AsSpan(range.Offset, range.Length).ToArray())];
    }

    private static async Task<(RangeReadResult Result, byte[] Bytes)> ReadAsync(EngineHarness harness, int number)
    {
        var bytes = new byte[total];
        return (await harness.Engine.ReadRangesAsync(
            harness.Namespace, EngineHarness.IdOf(number), ranges, bytes, EngineHarness.Guard), bytes);
    }

    private static async Task<(RangeReadResult[] Results, byte[][] Bytes)> ReadManyAsync(EngineHarness harness, int[] numbers)
    {
        var results = new RangeReadResult[numbers.Length];
        var bytes = new byte[numbers.Length * total];
        await harness.Engine.ReadRangesAsync(WantedOf(harness, numbers, bytes), results, EngineHarness.Guard);
        return (results, [.. bytes.Chunk(total)]);
    }

    private static BlockRanges[] WantedOf(EngineHarness harness, IEnumerable<int> numbers, byte[] destination) =>
        [.. numbers.Select((number, i) => new BlockRanges(
            harness.Namespace, EngineHarness.IdOf(number), ranges, destination.AsMemory(i * total, total)))];

    private static async Task UntilAsync(Func<bool> condition)
    {
        while (!condition()) await Task.Yield();
    }

    // The first blocks are on SSD only.
    private static async Task<EngineHarness> WithOnSsdAsync(FakeLog log, int blocks, int readsMax = 16)
    {
        var harness = new EngineHarness(new EngineOptions { SsdReadsMax = readsMax }, log);
        for (int number = 0; number < blocks; number++) harness.Put(number, Length);
        await harness.FlushAsync();
        for (int number = 0; number < blocks; number++)
            Assert.True(harness.Engine.Demote(harness.Namespace, EngineHarness.IdOf(number)));
        return harness;
    }
}

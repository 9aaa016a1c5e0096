using KvTier.Storage.Device;
using KvTier.Storage.Log;

namespace KvTier.Storage.Tests;

public sealed class RangeTests : IDisposable
{
    private static readonly int[] Sizes = [1, 511, 512, 513, 4096, 65_024, 65_025, 65_536, 100_000, 300_000, 1 << 20];
    private readonly string directory = LogFixture.NewDirectory();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task ReadAsync_RandomRangesOfRecordsOfEverySize_GiveTheSameBytes(int seed)
    {
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory));
        var random = new Random(seed);
        var stored = new List<Stored>();
        for (int i = 0; i < Sizes.Length; i++)
            stored.Add(await fixture.AppendAsync(LogFixture.Block(i, Sizes[i], keyLength: random.Next(513))));
        Assert.Null(await fixture.Log.CommitAsync());
        foreach (Stored each in stored)
        {
            for (int round = 0; round < 40; round++)
            {
                BlockRange[] ranges = RandomRanges(random, each.Record.Payload.Length, isSorted: round % 2 == 0);
                (LogReadResult result, byte[] bytes) = await ReadAsync(fixture, each, ranges);
                Assert.Equal(LogReadStatus.Ok, result.Status);
                Assert.Equal(Expected(each, ranges), bytes);
            }
        }
    }

    [Fact]
    public async Task ReadAsync_CloseRanges_TakeOneCallAndOnlyTheSectorsBetweenThem()
    {
        int calls = 0;
        var store = new FaultyStore(directory);
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory), store);
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 60_000));
        Assert.Null(await fixture.Log.CommitAsync());
        store.OnRead = () =>
        {
            calls++;
            return 0;
        };
        const int Far = RangeReader.GapBytes + 1024;
        Assert.Equal(new LogReadResult(LogReadStatus.Ok, 512), (await ReadAsync(fixture, stored, [new(Far, 512)])).Result);
        Assert.Equal(1, calls);

        // From the sector of the first range to that of the last.
        BlockRange[] close = [new(Far, 10), new(Far + RangeReader.GapBytes, 100), new(Far + RangeReader.GapBytes + 50, 1000)];
        Assert.Equal(new LogReadResult(LogReadStatus.Ok, RangeReader.GapBytes + 1536), (await ReadAsync(fixture, stored, close)).Result);
        Assert.Equal(2, calls);
        BlockRange[] shuffled = [close[2], close[0], close[1]];
        Assert.Equal(new LogReadResult(LogReadStatus.Ok, RangeReader.GapBytes + 1536), (await ReadAsync(fixture, stored, shuffled)).Result);
        Assert.Equal(3, calls);
        BlockRange[] apart = [new(Far, 512), new(Far + 512 + RangeReader.GapBytes + 512, 512)];
        Assert.Equal(new LogReadResult(LogReadStatus.Ok, 1024), (await ReadAsync(fixture, stored, apart)).Result);
        Assert.Equal(5, calls);

        // Close to the header, so that it is read and checked too.
        Assert.Equal(new LogReadResult(LogReadStatus.Ok, 1024), (await ReadAsync(fixture, stored, [new(100, 300)])).Result);
        Assert.Equal(6, calls);
        Assert.Equal(new LogReadResult(LogReadStatus.Ok, 0), (await ReadAsync(fixture, stored, [new(100, 0)])).Result);
        Assert.Equal(6, calls);
    }

    [Fact]
    public async Task ReadAsync_RangesBesideADamagedHeader_AreCorrupt()
    {
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory));
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 200_000));
        Assert.Null(await fixture.Log.CommitAsync());
        Stored lie = stored with { Record = stored.Record with { Id = new BlockId(9, 9) } };
        Assert.Equal(LogReadStatus.Corrupt, (await ReadAsync(fixture, lie, [new(0, 100)])).Result.Status);

        // The second page of the record begins with a header of its own.
        int secondPage = fixture.Log.Geometry.PageBytes - 512 - (int)stored.Address.Value;
        Flip(fixture.Log.Geometry.PageBytes + 60);
        Assert.Equal(LogReadStatus.Corrupt, (await ReadAsync(fixture, stored, [new(secondPage - 10, 20)])).Result.Status);
        Assert.Equal(LogReadStatus.Ok, (await ReadAsync(fixture, stored, [new(0, 100)])).Result.Status);
    }

    [Fact]
    public async Task ReadAsync_DamagedPayload_PassesTheBytesAsTheyAreForTheCallerToCheck()
    {
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory));
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 20_000));
        Assert.Null(await fixture.Log.CommitAsync());
        Flip(stored.Address.Value + 512 + 10_000);
        (LogReadResult result, byte[] bytes) = await ReadAsync(fixture, stored, [new(9_990, 20)]);
        Assert.Equal(LogReadStatus.Ok, result.Status);
        byte[] expected = Expected(stored, [new(9_990, 20)]);
        expected[10] ^= 1;
        Assert.Equal(expected, bytes);
    }

    [Fact]
    public async Task ReadAsync_RangesOfADroppedSegment_AreGone()
    {
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory));
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 200_000));
        long enough = 2 * fixture.Log.Status.SegmentBytes;
        while (fixture.Log.Status.TailAddress < enough) await fixture.AppendAsync(LogFixture.Block(2, 200_000));
        Assert.Null(await fixture.Log.CommitAsync());
        Assert.Equal(LogReadStatus.Ok, (await ReadAsync(fixture, stored, [new(150_000, 20)])).Result.Status);
        fixture.Log.DropOldestSegment();
        Assert.Equal(new LogReadResult(LogReadStatus.Gone, 0), (await ReadAsync(fixture, stored, [new(150_000, 20)])).Result);
    }

    [Fact]
    public async Task ReadAsync_DeviceFailsARange_IsIoErrorAndWorksAgainLater()
    {
        var store = new FaultyStore(directory);
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory), store);
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 20_000));
        Assert.Null(await fixture.Log.CommitAsync());
        store.OnRead = () => Native.Eio;
        Assert.Equal(LogReadStatus.IoError, (await ReadAsync(fixture, stored, [new(0, 20)])).Result.Status);
        store.OnRead = () => 0;
        Assert.Equal(LogReadStatus.Ok, (await ReadAsync(fixture, stored, [new(0, 20)])).Result.Status);
    }

    [Theory]
    [InlineData(-1, 10)]
    [InlineData(0, -1)]
    [InlineData(1000, 1)]
    [InlineData(0, 1001)]
    [InlineData(int.MaxValue, int.MaxValue)]
    public async Task ReadAsync_RangeOutsideThePayload_IsRefused(int offset, int length)
    {
        await using LogFixture fixture = LogFixture.Open(LogFixture.SmallOptions(directory));
        Stored stored = await fixture.AppendAsync(LogFixture.Block(1, 1000));
        Assert.Null(await fixture.Log.CommitAsync());
        var sink = new PackingSink(0);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            async () => await fixture.Log.ReadAsync(LogFixture.RangesOf(stored, [new(offset, length)], sink)));
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static BlockRange[] RandomRanges(Random random, int length, bool isSorted)
    {
        var ranges = new BlockRange[random.Next(1, 40)];
        for (int i = 0; i < ranges.Length; i++)
        {
            int offset = random.Next(length + 1);
            int most = random.Next(6) == 0 ? length : Math.Min(5000, length);
            ranges[i] = new BlockRange(offset, random.Next(Math.Min(most, length - offset) + 1));
        }

        return isSorted ? [.. ranges.OrderBy(range => range.Offset)] : ranges;
    }

    private static byte[] Expected(Stored stored, BlockRange[] ranges) =>
        [.. ranges.SelectMany(range => stored.Record.Payload.Slice(range.Offset, range.Length).ToArray())];

    private static async Task<(LogReadResult Result, byte[] Bytes)> ReadAsync(LogFixture fixture, Stored stored, BlockRange[] ranges)
    {
        var sink = new PackingSink(ranges.Sum(range => range.Length));
        return (await fixture.Log.ReadAsync(LogFixture.RangesOf(stored, ranges, sink)), sink.Bytes);
    }

    private void Flip(long position)
    {
        using FileStream file = File.Open(Path.Combine(directory, DirectorySegmentStore.NameOf(0)), new FileStreamOptions
        {
            Mode = FileMode.Open,
            Access = FileAccess.ReadWrite,
            Share = FileShare.ReadWrite,
        });
        file.Position = position;
        int value = file.ReadByte();
        file.Position--;
        file.WriteByte((byte)(value ^ 1));
        file.Flush(flushToDisk: true);
    }
}

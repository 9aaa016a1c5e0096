using System.Buffers.Binary;

namespace KvTier.Storage.Tests;

/// <summary>Whatever happens to the files: never a wrong byte, never an exception, and the loss is counted.</summary>
public sealed class DamageTests : IDisposable
{
    private readonly List<string> directories = [];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Recover_LogCutAtEveryByteOfItsLastRecord_LosesOnlyThatRecordAndCountsIt(bool clean)
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 6, lastLength: 90, clean);
        Stored last = stored[^1];
        long end = last.Address.Value + 512 + 90;
        for (long cut = last.Address.Value; cut < end; cut++)
        {
            string copy = Copy(original);
            using (FileStream file = File.OpenWrite(SegmentPath(copy, 0))) file.SetLength(cut);
            await using LogFixture again = LogFixture.Open(TinyOptions(copy));
            Assert.False(again.Summary.Clean);
            LogFixture.AssertSame(stored[..^1], again.Recovered);
            Assert.True(again.Summary.CorruptRecords >= 1, $"cut at {cut}: {again.Summary}");
            Assert.True(again.Summary.BytesCut > 0, $"cut at {cut}: {again.Summary}");
            Stored more = await again.AppendAsync(LogFixture.Block(1000, 900));
            Assert.Equal(last.Address, more.Address);
            Assert.Null(await again.Log.CommitAsync());
            await again.AssertReadsAsync([.. stored[..^1], more]);
            Directory.Delete(copy, recursive: true);
        }
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 2)]
    [InlineData(false, 3)]
    [InlineData(false, 4)]
    public async Task Recover_RandomBytesFlipped_NeverServesAWrongByteAndCountsTheLoss(bool clean, int seed)
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 12, lastLength: 20_000, clean);
        var random = new Random(seed);
        string[] files = [.. Directory.EnumerateFiles(original).Select(path => Path.GetFileName(path)).Order()];
        for (int round = 0; round < 60; round++)
        {
            string copy = Copy(original);
            string victim = Path.Combine(copy, files[random.Next(files.Length)]);
            byte[] bytes = File.ReadAllBytes(victim);
            for (int i = random.Next(1, 4); i > 0; i--) bytes[random.Next(Math.Min(bytes.Length, 80_000))] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(victim, bytes);
            await using LogFixture again = LogFixture.Open(TinyOptions(copy));
            await AssertHarmlessAsync(again, stored);
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public async Task Recover_HeaderDamagedInTheMiddle_SkipsThatRecordAndFindsTheOnesAfterIt()
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 8, lastLength: 100, clean: false);
        string copy = Copy(original);
        using (FileStream file = File.OpenWrite(SegmentPath(copy, 0)))
        {
            file.Position = stored[3].Address.Value + 40;
            file.WriteByte(0xAB);
        }

        await using LogFixture again = LogFixture.Open(TinyOptions(copy));
        LogFixture.AssertSame([.. stored[..3], .. stored[4..]], again.Recovered);
        Assert.Equal(1, again.Summary.CorruptRecords);
        Assert.Equal(0, again.Summary.BytesCut);
        Assert.InRange(again.Summary.DamageEnd, stored[3].Address.Value + 1, stored[4].Address.Value);
    }

    [Fact]
    public async Task Recover_CommittedRecordsZeroedOrCutOff_SaysWhereTheDamageEnds()
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 8, lastLength: 100, clean: false);
        string zeroed = Copy(original);
        using (FileStream file = File.OpenWrite(SegmentPath(zeroed, 0)))
        {
            file.Position = stored[3].Address.Value;
            file.Write(new byte[stored[4].Address.Value - stored[3].Address.Value]);
        }

        await using LogFixture again = LogFixture.Open(TinyOptions(zeroed));
        LogFixture.AssertSame([.. stored[..3], .. stored[4..]], again.Recovered);
        Assert.InRange(again.Summary.DamageEnd, stored[3].Address.Value + 1, stored[4].Address.Value);

        string cut = Copy(original);
        using (FileStream file = File.OpenWrite(SegmentPath(cut, 0))) file.SetLength(stored[^1].Address.Value);
        await using LogFixture shorter = LogFixture.Open(TinyOptions(cut));
        Assert.True(shorter.Summary.DamageEnd > stored[^1].Address.Value, $"{shorter.Summary}");
    }

    [Fact]
    public async Task ReadAsync_PayloadByteFlippedAfterRecovery_IsCorrupt()
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 3, lastLength: 3000, clean: true);
        string copy = Copy(original);
        using (FileStream file = File.Open(SegmentPath(copy, 0), FileMode.Open))
        {
            file.Position = stored[^1].Address.Value + 512 + 2999;
            int value = file.ReadByte();
            file.Position--;
            file.WriteByte((byte)(value ^ 1));
        }

        await using LogFixture again = LogFixture.Open(TinyOptions(copy));
        Assert.Equal(LogReadStatus.Corrupt, await again.ReadStatusAsync(stored[^1]));
        Assert.Equal(LogReadStatus.Ok, await again.ReadStatusAsync(stored[0]));
        Stored lie = stored[0] with { Record = stored[0].Record with { Id = new BlockId(9, 9) } };
        Assert.Equal(LogReadStatus.Corrupt, await again.ReadStatusAsync(lie));
    }

    [Fact]
    public async Task Recover_IndexDamaged_ScansTheSegmentInstead()
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 12, lastLength: 100, clean: true);
        string copy = Copy(original);
        foreach (string index in Directory.EnumerateFiles(copy, "*.idx"))
        {
            byte[] bytes = File.ReadAllBytes(index);
            bytes[^1] ^= 1;
            File.WriteAllBytes(index, bytes);
        }

        await using LogFixture again = LogFixture.Open(TinyOptions(copy));
        LogFixture.AssertSame(stored, again.Recovered);
        Assert.True(again.Summary.BytesScanned > 0);
        await again.AssertReadsAsync(stored);
    }

    [Theory]
    [InlineData("commit")]
    [InlineData("layout")]
    public async Task Recover_SmallFileMissing_FindsEverything(string name)
    {
        (string original, List<Stored> stored) = await WriteAsync(records: 12, lastLength: 100, clean: false);
        string copy = Copy(original);
        File.Delete(Path.Combine(copy, name));
        await using LogFixture again = LogFixture.Open(TinyOptions(copy) with { CapBytes = 3 << 20 });
        LogFixture.AssertSame(stored, again.Recovered);
        await again.AssertReadsAsync(stored);
    }

    [Fact]
    public async Task Open_LayoutOfANewerFormat_IsRefusedNamingBothVersions()
    {
        (string original, _) = await WriteAsync(records: 1, lastLength: 100, clean: true);
        string copy = Copy(original);
        byte[] bytes = File.ReadAllBytes(Path.Combine(copy, "layout"));
        bytes[4] = 7;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), Crc32C.Compute(bytes.AsSpan(0, 12)));
        File.WriteAllBytes(Path.Combine(copy, "layout"), bytes);
        KvError error = BlockLog.Open(TinyOptions(copy), TimeProvider.System).Error!;
        Assert.Equal(ErrorCode.VersionMismatch, error.Code);
        Assert.Equal("7", error.Value);
        Assert.Equal("1", error.Limit);
    }

    public void Dispose()
    {
        foreach (string directory in directories.Where(Directory.Exists)) Directory.Delete(directory, recursive: true);
    }

    private static LogOptions TinyOptions(string directory) => LogFixture.SmallOptions(
        directory, capBytes: 1 << 20, blockBytesMax: 32 << 10) with
    {
        PageBytes = 16 << 10,
        BufferBytes = 64 << 10,
        ReadDepth = 1,
        WriteDepth = 1,
    };

    private static string SegmentPath(string directory, long segment) =>
        Path.Combine(directory, Device.DirectorySegmentStore.NameOf(segment));

    private static async Task AssertHarmlessAsync(LogFixture again, List<Stored> stored)
    {
        Dictionary<LogAddress, Stored> byAddress = stored.ToDictionary(one => one.Address);
        int wrong = 0;
        foreach ((RecoveredRecord record, byte[] key) in again.Recovered)
        {
            LogFixture.AssertSame([byAddress[record.Address]], [(record, key)]);
            LogReadStatus status = await again.ReadStatusAsync(byAddress[record.Address]);
            Assert.True(status is LogReadStatus.Ok or LogReadStatus.Corrupt, $"{status}");
            wrong += status == LogReadStatus.Ok ? 0 : 1;
        }

        int lost = stored.Count - again.Recovered.Count;
        Assert.True(lost + wrong <= 4, $"{lost} lost, {wrong} corrupt: {again.Summary}");
        if (lost > 0) Assert.True(again.Summary.CorruptRecords > 0, $"{again.Summary}");
        Stored more = await again.AppendAsync(LogFixture.Block(5000, 3000));
        Assert.Null(await again.Log.CommitAsync());
        await again.AssertReadsAsync([more]);
    }

    private async Task<(string Directory, List<Stored> Stored)> WriteAsync(int records, int lastLength, bool clean)
    {
        string directory = LogFixture.NewDirectory();
        directories.Add(directory);
        var stored = new List<Stored>();
        LogFixture fixture = LogFixture.Open(TinyOptions(directory));
        for (int i = 0; i < records - 1; i++) stored.Add(await fixture.AppendAsync(LogFixture.Block(i, i * 777, keyLength: i * 45 % 512)));
        stored.Add(await fixture.AppendAsync(LogFixture.Block(records, lastLength)));
        Assert.Null(await fixture.Log.CommitAsync());
        if (clean) await fixture.DisposeAsync();
        else await fixture.Log.AbandonAsync();
        return (directory, stored);
    }

    private string Copy(string original)
    {
        string copy = LogFixture.NewDirectory();
        directories.Add(copy);
        foreach (string path in Directory.EnumerateFiles(original)) File.Copy(path, Path.Combine(copy, Path.GetFileName(path)));
        return copy;
    }
}

namespace KvTier.Storage.Tests;

public sealed class RoundTripTests
{
    private static readonly int[] Sizes = [0, 1, 511, 512, 513, 4096, 65_024, 65_025, 65_536, 100_000, 300_000, 1 << 20];

    [Fact]
    public async Task Append_EverySizeThenCommit_ReadsTheSameBytes()
    {
        await using LogFixture fixture = LogFixture.Open();
        var stored = new List<Stored>();
        for (int i = 0; i < Sizes.Length; i++) stored.Add(await fixture.AppendAsync(LogFixture.Block(i, Sizes[i])));
        Assert.Null(await fixture.Log.CommitAsync());
        await fixture.AssertReadsAsync(stored);
    }

    [Fact]
    public async Task Recover_AfterCleanClose_FindsEveryRecordWithoutAScan()
    {
        LogOptions options = LogFixture.SmallOptions(LogFixture.NewDirectory());
        var stored = new List<Stored>();
        await using (LogFixture fixture = LogFixture.Open(options))
        {
            for (int i = 0; i < Sizes.Length; i++) stored.Add(await fixture.AppendAsync(LogFixture.Block(i, Sizes[i], keyLength: i * 40)));
        }

        await using (LogFixture again = LogFixture.Open(options))
        {
            LogFixture.AssertSame(stored, again.Recovered);
            Assert.True(again.Summary.Clean);
            Assert.Equal(0, again.Summary.BytesScanned);
            await again.AssertReadsAsync(stored);
        }

        Directory.Delete(options.Directory, recursive: true);
    }

    [Fact]
    public async Task Recover_AfterKill_FindsEveryCommittedRecord()
    {
        await using LogFixture fixture = LogFixture.Open();
        var stored = new List<Stored>();
        for (int i = 0; i < Sizes.Length; i++) stored.Add(await fixture.AppendAsync(LogFixture.Block(i, Sizes[i], keyLength: i * 40)));
        Assert.Null(await fixture.Log.CommitAsync());
        string copy = fixture.CopyFiles();
        await using (LogFixture again = LogFixture.Open(LogFixture.SmallOptions(copy)))
        {
            LogFixture.AssertSame(stored, again.Recovered);
            Assert.False(again.Summary.Clean);
            Assert.Equal(0, again.Summary.CorruptRecords);
            Assert.Equal(0, again.Summary.BytesCut);
            await again.AssertReadsAsync(stored);
            Stored more = await again.AppendAsync(LogFixture.Block(99, 5000));
            Assert.Null(await again.Log.CommitAsync());
            await again.AssertReadsAsync([more]);
        }

        Directory.Delete(copy, recursive: true);
    }
}

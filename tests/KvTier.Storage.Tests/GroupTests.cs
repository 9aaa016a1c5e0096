using System.Formats.Tar;
using System.IO.Compression;
using KvTier.Testing;

namespace KvTier.Storage.Tests;

/// <summary>The group of a block in the log, and data of before there were groups.</summary>
public sealed class GroupTests
{
    /// <summary>Records in <c>tests/golden/data-1.tar.gz</c>, which version 1 of the format wrote, before its tombstone.</summary>
    private const int OldRecords = 150;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Recover_RecordsWithGroups_HaveThem(bool isClean)
    {
        LogOptions options = LogFixture.SmallOptions(LogFixture.NewDirectory());
        var stored = new List<Stored>();
        LogFixture fixture = LogFixture.Open(options);
        for (int i = 0; i < 200; i++)
        {
            LogRecord record = LogFixture.Block(i, 1000 * (i % 50)) with { Group = i % 3 == 0 ? default : new BlockId(7, (ulong)i) };
            stored.Add(await fixture.AppendAsync(record));
        }

        Assert.Null(await fixture.Log.CommitAsync());
        if (isClean) await fixture.Log.DisposeAsync();
        else await fixture.Log.AbandonAsync();
        await using (LogFixture again = LogFixture.Open(options))
        {
            Assert.Equal(isClean, again.Summary.BytesScanned == 0);
            LogFixture.AssertSame(stored, again.Recovered);
            Assert.Equal(stored.Select(each => each.Record.Group), again.Recovered.Select(each => each.Record.Group));
        }

        Directory.Delete(options.Directory, recursive: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Recover_DataOfVersion1_HasEveryRecordWithoutGroup(bool withIndexes)
    {
        string root = Unpack();
        using (DataDirectory data = DataDirectory.Open(root).Value)
        {
            Assert.Equal("kvtier-data 2\n", File.ReadAllText(Path.Combine(root, "FORMAT")));
            Assert.Single(data.Namespaces.Load().Value);
            if (!withIndexes)
            {
                foreach (string index in Directory.EnumerateFiles(data.LogPath, "*.idx")) File.Delete(index);
            }

            LogOptions options = OptionsOf(data);
            List<Stored> stored = [];
            await using (LogFixture log = LogFixture.Open(options)) stored = await CheckOldAsync(log, withIndexes);

            // What the new version writes lies behind the old records, in a segment that has an index of version 1 so far.
            LogRecord more = LogFixture.Block(1000, 40) with { Group = new BlockId(5, 6) };
            await using (LogFixture log = LogFixture.Open(options))
            {
                stored.Add(await log.AppendAsync(more));
                Assert.Null(await log.Log.CommitAsync());
            }

            await using LogFixture last = LogFixture.Open(options);
            Assert.Equal(0, last.Summary.BytesScanned);
            Assert.Equal(OldRecords + 2, last.Recovered.Count);
            Assert.Equal(more.Group, last.Recovered[^1].Record.Group);
            Assert.All(last.Recovered.SkipLast(1), found => Assert.Equal(default, found.Record.Group));
            await last.AssertReadsAsync(stored);
        }

        Directory.Delete(root, recursive: true);
    }

    private static async Task<List<Stored>> CheckOldAsync(LogFixture log, bool withIndexes)
    {
        Assert.Equal(withIndexes, log.Summary.BytesScanned == 0);
        Assert.Equal(0, log.Summary.CorruptRecords);
        Assert.Equal(OldRecords + 1, log.Recovered.Count);
        Assert.Equal(LogRecordKind.Tombstone, log.Recovered[^1].Record.Kind);
        var stored = new List<Stored>();
        for (int i = 0; i < OldRecords; i++)
            stored.Add(new Stored(LogFixture.Block(i, i % 32, keyLength: i % 3 * 20, expiry: i), log.Recovered[i].Record.Address));
        LogFixture.AssertSame(stored, log.Recovered.SkipLast(1).ToList());
        Assert.All(log.Recovered, found => Assert.Equal(default, found.Record.Group));
        await log.AssertReadsAsync(stored);
        return stored;
    }

    private static LogOptions OptionsOf(DataDirectory data) => new()
    {
        Directory = data.LogPath,
        CapBytes = 1 << 20,
        PageBytes = 16 << 10,
        BufferBytes = 64 << 10,
        BlockBytesMax = 16 << 10,
        ReadDepth = 2,
    };

    private static string Unpack()
    {
        string root = LogFixture.NewDirectory();
        using FileStream file = File.OpenRead(RepositoryFiles.PathOf("tests", "golden", "data-1.tar.gz"));
        using var plain = new GZipStream(file, CompressionMode.Decompress);
        TarFile.ExtractToDirectory(plain, root, overwriteFiles: false);
        return root;
    }
}

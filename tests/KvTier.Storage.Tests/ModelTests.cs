namespace KvTier.Storage.Tests;

/// <summary>
/// Random work, kills and restarts against a plain list: what was committed is all there, in order, with the right bytes.
/// </summary>
public sealed class ModelTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 12)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Recover_RandomAppendsCommitsDropsAndKills_HasExactlyWhatWasCommitted(int seed)
    {
        var random = new Random(seed);
        string directory = LogFixture.NewDirectory();
        var directories = new List<string> { directory };
        LogOptions options = LogFixture.SmallOptions(directory, 4 << 20, 300 << 10);
        LogFixture fixture = LogFixture.Open(options);
        var appended = new List<Stored>();
        int committed = 0;
        for (int step = 0; step < 150; step++)
        {
            switch (random.Next(12))
            {
                case 0:
                    Assert.Null(await fixture.Log.CommitAsync());
                    committed = appended.Count;
                    break;
                case 1 when random.Next(3) == 0:
                    await fixture.DisposeAsync();
                    fixture = LogFixture.Open(options);
                    LogFixture.AssertSame(appended, fixture.Recovered);
                    Assert.True(fixture.Summary.Clean);
                    Assert.Equal(0, fixture.Summary.DamageEnd);
                    committed = appended.Count;
                    break;
                case 2 when random.Next(2) == 0:
                    options = options with { Directory = fixture.CopyFiles() };
                    directories.Add(options.Directory);
                    await fixture.Log.AbandonAsync();
                    fixture = LogFixture.Open(options);
                    appended = AssertPrefix(appended, committed, fixture);
                    Assert.Equal(0, fixture.Summary.DamageEnd);
                    committed = appended.Count;
                    break;
                default:
                    if (await AppendAsync(fixture, appended, Next(random, step))) committed = appended.Count - 1;
                    break;
            }
        }

        Assert.Null(await fixture.Log.CommitAsync());
        await fixture.AssertReadsAsync(appended.Where(stored => stored.Record.Kind == LogRecordKind.Block));
        await fixture.DisposeAsync();
        foreach (string one in directories) Directory.Delete(one, recursive: true);
    }

    private static LogRecord Next(Random random, int step)
    {
        int length = random.Next(4) == 0 ? random.Next(300 << 10) : random.Next(9000);
        LogRecord block = LogFixture.Block(
            (step * 31) + random.Next(30), length, random.Next(3) == 0 ? random.Next(513) : 20, random.Next(2) * 1_700_000_000_000);
        return random.Next(6) == 0 ? block with { Kind = (LogRecordKind)random.Next(2, 5), Payload = default, PayloadCrc = 0 } : block;
    }

    /// <summary>Appends, with room made by drops.</summary>
    /// <returns>True when a drop was needed, before which everything was committed.</returns>
    private static async Task<bool> AppendAsync(LogFixture fixture, List<Stored> appended, LogRecord record)
    {
        bool dropped = false;
        LogAppendResult result;
        while ((result = await fixture.Log.AppendAsync(record)).Status == LogAppendStatus.CapReached)
        {
            Assert.Null(await fixture.Log.CommitAsync());
            var listed = new ListSink();
            long count = fixture.Log.ListOldestSegment(listed);
            Assert.Equal(listed.Records.Count, count);
            LogFixture.AssertSame(appended[..(int)count], listed.Records);
            fixture.Log.DropOldestSegment();
            dropped = true;
            appended.RemoveRange(0, (int)count);
        }

        Assert.Equal(LogAppendStatus.Appended, result.Status);
        appended.Add(new Stored(record, result.Address));
        return dropped;
    }

    /// <summary>Everything committed is there; what was appended later may be, up to any of them and without a gap.</summary>
    private static List<Stored> AssertPrefix(List<Stored> appended, int committed, LogFixture fixture)
    {
        Assert.False(fixture.Summary.Clean);
        Assert.InRange(fixture.Recovered.Count, committed, appended.Count);
        List<Stored> kept = appended[..fixture.Recovered.Count];
        LogFixture.AssertSame(kept, fixture.Recovered);
        return kept;
    }
}

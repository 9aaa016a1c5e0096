using KvTier.Storage.Device;

namespace KvTier.Storage.Tests;

/// <summary>Recovery that is cut short, or whose changes the device lost: the next one finds the same records and no damage.</summary>
public sealed class CrashInRecoveryTests
{
    [Theory]
    [InlineData(Place.Middle, false)]
    [InlineData(Place.Middle, true)]
    [InlineData(Place.EndOfSegment, false)]
    [InlineData(Place.EndOfSegment, true)]
    [InlineData(Place.NextSegment, false)]
    [InlineData(Place.NextSegment, true)]
    [InlineData(Place.OverTheEdge, false)]
    [InlineData(Place.OverTheEdge, true)]
    public async Task Recover_KilledBeforeItsFirstCommit_RecoversTheSameAgain(Place place, bool commitRecordLost)
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(Tear.PayloadGarbled, place);
        await using (LogFixture first = LogFixture.Open(crashed.Options)) await first.Log.AbandonAsync();
        if (commitRecordLost) crashed.PutCommitRecordBack();
        await AssertGoesOnAsync(crashed, crashed.Before(place));
    }

    [Theory]
    [InlineData(Place.Middle)]
    [InlineData(Place.EndOfSegment)]
    [InlineData(Place.NextSegment)]
    [InlineData(Place.OverTheEdge)]
    public async Task Recover_ZeroingEndsHalfway_IsAFaultAndTheNextOneDoesItAgain(Place place)
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(Tear.HeaderMissing, place);
        byte[] commitRecord = crashed.ReadCommitRecord();
        var store = new FaultyStore(crashed.Directory) { OnZero = () => Native.Eio, OnDelete = () => Native.Eio };
        await using (LogFixture first = LogFixture.Open(crashed.Options, store))
        {
            Assert.Equal(ErrorCode.IoError, first.Log.Status.Fault!.Code);
            Assert.Equal(LogAppendStatus.IoError, (await first.Log.AppendAsync(LogFixture.Block(1, 10))).Status);
            await first.AssertReadsAsync(crashed.Before(place));
        }

        Assert.Equal(commitRecord, crashed.ReadCommitRecord());
        Assert.True(File.Exists(crashed.PathOf(2)));
        await AssertGoesOnAsync(crashed, crashed.Before(place));
    }

    [Theory]
    [InlineData(Place.Middle)]
    [InlineData(Place.EndOfSegment)]
    [InlineData(Place.NextSegment)]
    [InlineData(Place.OverTheEdge)]
    public async Task Recover_DeviceLostTheZerosAndTheDropsOfTheOneBefore_OldRecordsStayAway(Place place)
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(Tear.Missing, place);
        byte[][] segments = [.. Enumerable.Range(0, 3).Select(number => File.ReadAllBytes(crashed.PathOf(number)))];
        await using (LogFixture first = LogFixture.Open(crashed.Options)) await first.Log.AbandonAsync();
        for (int number = 0; number < 3; number++) File.WriteAllBytes(crashed.PathOf(number), segments[number]);

        // Nothing but the record at the hole lies between the log's end and the old ones; the log does not need it to see their age.
        Stored torn = crashed.Later[crashed.Before(place).Count - crashed.Committed.Count];
        Stored next = crashed.Later[crashed.Later.IndexOf(torn) + 1];
        await using (LogFixture second = LogFixture.Open(crashed.Options))
        {
            LogFixture.AssertSame(crashed.Before(place), second.Recovered);
            Assert.Equal(0, second.Summary.DamageEnd);
            Assert.True(next.Address.Value > second.Log.Status.TailAddress);
            await second.Log.AbandonAsync();
        }

        await AssertGoesOnAsync(crashed, crashed.Before(place));
    }

    [Fact]
    public async Task Recover_LaterSegmentsCantBeDeleted_TheyAreNeverReadAgain()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(Tear.HeaderMissing, Place.Middle);
        byte[] stale = File.ReadAllBytes(crashed.PathOf(1));
        var store = new FaultyStore(crashed.Directory) { OnDelete = () => Native.Eio };
        await using (LogFixture first = LogFixture.Open(crashed.Options, store)) await first.Log.AbandonAsync();
        Assert.Equal(stale, File.ReadAllBytes(crashed.PathOf(1)));
        await using (LogFixture second = LogFixture.Open(crashed.Options, store))
        {
            LogFixture.AssertSame(crashed.Before(Place.Middle), second.Recovered);
            List<Stored> kept = crashed.Before(Place.Middle);
            while (kept[^1].Address.Value < 64 << 10) kept.Add(await second.AppendAsync(LogFixture.Block(500 + kept.Count, 3000)));
            Assert.Null(await second.Log.CommitAsync());
            await second.Log.AbandonAsync();
            Assert.True(File.ReadAllBytes(crashed.PathOf(1)).AsSpan(16 << 10).IndexOfAnyExcept((byte)0) < 0);
            await AssertGoesOnAsync(crashed, kept);
        }
    }

    [Fact]
    public async Task Recover_SyncFails_IsAFaultAndLeavesTheCommitRecord()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        byte[] commitRecord = crashed.ReadCommitRecord();
        await using (LogFixture first = LogFixture.Open(crashed.Options, new FaultyStore(crashed.Directory) { OnSync = () => Native.Eio }))
            Assert.Equal(ErrorCode.IoError, first.Log.Status.Fault!.Code);
        Assert.Equal(commitRecord, crashed.ReadCommitRecord());
        Assert.Empty(Directory.EnumerateFiles(crashed.Directory, "*.idx"));
        await AssertGoesOnAsync(crashed, [.. crashed.Committed, .. crashed.Later]);
    }

    [Fact]
    public async Task Recover_AfterAKill_SyncsWhatItFoundAndAfterACleanCloseNothing()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        int syncs = 0;
        var store = new FaultyStore(crashed.Directory) { OnSync = () => Interlocked.Increment(ref syncs) * 0 };
        await using (LogFixture.Open(crashed.Options, store)) Assert.Equal(3, syncs);
        syncs = 0;
        await using LogFixture clean = LogFixture.Open(crashed.Options, store);
        Assert.Equal(0, syncs);
    }

    /// <summary>The records are there, nothing is damaged, and what is written on top of them comes back after one more kill.</summary>
    private static async Task AssertGoesOnAsync(CrashedLog crashed, List<Stored> kept)
    {
        await using (LogFixture again = LogFixture.Open(crashed.Options))
        {
            LogFixture.AssertSame(kept, again.Recovered);
            Assert.Equal(0, again.Summary.DamageEnd);
            kept = [.. kept];
            for (int i = 0; i < 25; i++) kept.Add(await again.AppendAsync(LogFixture.Block(1000 + i, 2500 + i)));
            Assert.Null(await again.Log.CommitAsync());
            await again.Log.AbandonAsync();
        }

        await using LogFixture last = LogFixture.Open(crashed.Options);
        LogFixture.AssertSame(kept, last.Recovered);
        Assert.Equal((0, 0L, 0L), (last.Summary.CorruptRecords, last.Summary.BytesCut, last.Summary.DamageEnd));
        await last.AssertReadsAsync(kept);
    }
}

namespace KvTier.Storage.Tests;

/// <summary>A record that a kill tore, with whole ones behind it, none of which was committed.</summary>
public sealed class HoleTests
{
    public static TheoryData<Tear, Place> Holes
    {
        get
        {
            var holes = new TheoryData<Tear, Place>();
            foreach (Tear tear in Enum.GetValues<Tear>())
            {
                foreach (Place place in Enum.GetValues<Place>()) holes.Add(tear, place);
            }

            return holes;
        }
    }

    [Theory]
    [MemberData(nameof(Holes))]
    public async Task Recover_HoleAfterWhatWasCommitted_EndsTheLogThere(Tear tear, Place place)
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(tear, place);
        await using LogFixture again = LogFixture.Open(crashed.Options);
        LogFixture.AssertSame(crashed.Before(place), again.Recovered);
        Assert.Equal(0, again.Summary.DamageEnd);
        Assert.False(again.Summary.Clean);
        await again.AssertReadsAsync(crashed.Before(place));
    }

    /// <summary>Whatever recovery keeps: from then on it is committed, and nothing of it may look damaged or be unreadable.</summary>
    [Theory]
    [MemberData(nameof(Holes))]
    public async Task Recover_CommittedPastAHole_NextRecoveryFindsNoDamage(Tear tear, Place place)
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(tear, place);
        List<Stored> kept = await RecoverAndAppendAsync(crashed, records: 3);

        // Only what a kill leaves: no index of the last segment, the newest commit record.
        kept = await AssertUndamagedAndAppendAsync(crashed, kept, records: 30);
        await AssertUndamagedAndAppendAsync(crashed, kept, records: 0);
    }

    [Theory]
    [MemberData(nameof(Holes))]
    public async Task Recover_SameRecordsWrittenAgainBesideAHole_OldOnesBehindThemStayAway(Tear tear, Place place)
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(tear, place);
        List<Stored> kept = crashed.Before(place);
        Stored torn = crashed.Later[kept.Count - crashed.Committed.Count];
        await using (LogFixture again = LogFixture.Open(crashed.Options))
        {
            Stored written = await again.AppendAsync(torn.Record);
            Assert.Equal(torn.Address, written.Address);
            kept.Add(written);
            Assert.Null(await again.Log.CommitAsync());
            await again.Log.AbandonAsync();
        }

        await AssertUndamagedAndAppendAsync(crashed, kept, records: 0);
    }

    [Fact]
    public async Task Recover_CommitRecordOlderThanWholeRecords_FindsThemAll()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        await AssertUndamagedAndAppendAsync(crashed, [.. crashed.Committed, .. crashed.Later], records: 0);
    }

    [Fact]
    public async Task Recover_CommitRecordOlderThanTheOldestSegment_FindsEverything()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        File.Delete(crashed.PathOf(0));
        await AssertUndamagedAndAppendAsync(crashed, crashed.Later.FindAll(stored => CrashedLog.SegmentOf(stored) > 0), records: 0);
    }

    [Fact]
    public async Task Recover_HoleWithoutACommitRecord_FindsWhatFollows()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(Tear.PayloadGarbled, Place.Middle);
        crashed.RemoveCommitRecord();
        await using LogFixture again = LogFixture.Open(crashed.Options);
        LogFixture.AssertSame([.. crashed.Committed, .. crashed.Later[..3], .. crashed.Later[4..]], again.Recovered);
        Assert.Equal(1, again.Summary.CorruptRecords);
    }

    [Fact]
    public async Task Recover_CommittedRecordAndALaterOneDamaged_ReportsTheFirstAndEndsAtTheSecond()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        crashed.Tear(Tear.HeaderGarbled, crashed.Committed[1]);
        crashed.Tear(Tear.HeaderGarbled, Place.Middle);
        await using LogFixture again = LogFixture.Open(crashed.Options);
        LogFixture.AssertSame([crashed.Committed[0], .. crashed.Committed[2..], .. crashed.Later[..3]], again.Recovered);
        Assert.InRange(again.Summary.DamageEnd, crashed.Committed[1].Address.Value + 1, crashed.Committed[2].Address.Value);
    }

    [Fact]
    public async Task Recover_SegmentMissing_IsDamageWhereItWasCommittedAndTheEndWhereNot()
    {
        using CrashedLog crashed = await CrashedLog.WriteAsync();
        File.Delete(crashed.PathOf(1));
        long missing = 64 << 10;
        await using (LogFixture again = LogFixture.Open(crashed.Options))
        {
            LogFixture.AssertSame(crashed.Before(Place.NextSegment), again.Recovered);
            Assert.Equal(0, again.Summary.DamageEnd);
            Assert.False(File.Exists(crashed.PathOf(2)));
            await again.Log.AbandonAsync();
        }

        using CrashedLog other = await CrashedLog.WriteAsync();
        await using (LogFixture all = LogFixture.Open(other.Options)) await all.Log.AbandonAsync();
        File.Delete(other.PathOf(1));
        await using LogFixture damaged = LogFixture.Open(other.Options);
        Assert.InRange(damaged.Summary.DamageEnd, missing + 1, 2 * missing);
        Assert.Contains(damaged.Recovered, found => found.Record.Address == other.Later[^1].Address);
    }

    /// <summary>Recovers, goes on, commits and is killed.</summary>
    /// <returns>All records that are there now.</returns>
    private static async Task<List<Stored>> RecoverAndAppendAsync(CrashedLog crashed, int records)
    {
        await using LogFixture again = LogFixture.Open(crashed.Options);
        Dictionary<LogAddress, Stored> byAddress = crashed.Committed.Concat(crashed.Later).ToDictionary(stored => stored.Address);
        List<Stored> kept = [.. again.Recovered.Select(found => byAddress[found.Record.Address])];
        await AppendAsync(again, kept, records);
        return kept;
    }

    private static async Task<List<Stored>> AssertUndamagedAndAppendAsync(CrashedLog crashed, List<Stored> kept, int records)
    {
        await using LogFixture again = LogFixture.Open(crashed.Options);
        LogFixture.AssertSame(kept, again.Recovered);
        Assert.Equal((0, 0L, 0L), (again.Summary.CorruptRecords, again.Summary.BytesCut, again.Summary.DamageEnd));
        await again.AssertReadsAsync(kept);
        await AppendAsync(again, kept, records);
        return kept;
    }

    private static async Task AppendAsync(LogFixture log, List<Stored> kept, int records)
    {
        for (int i = 0; i < records; i++) kept.Add(await log.AppendAsync(LogFixture.Block(1000 + kept.Count, 1000 + (i * 37))));
        Assert.Null(await log.Log.CommitAsync());
        await log.Log.AbandonAsync();
    }
}

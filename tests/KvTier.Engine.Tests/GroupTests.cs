namespace KvTier.Engine.Tests;

/// <summary>Groups of blocks, the walks over them, and blocks that are let go.</summary>
public sealed class GroupTests
{
    private static readonly BlockId Group = EngineHarness.IdOf(1000);

    [Fact]
    public async Task Put_GroupOrNone_IsDescribedAndReplacedWithTheBlock()
    {
        await using var harness = new EngineHarness();
        harness.Put(1);
        harness.PutInGroup(2, Group);
        Assert.Equal(EngineHarness.IdOf(1), harness.Describe(1).Group);
        Assert.Equal(Group, harness.Describe(2).Group);
        Assert.Equal(default, harness.Describe(3).Group);
        harness.PutInGroup(2, EngineHarness.IdOf(2), overwrite: true);
        Assert.Equal(EngineHarness.IdOf(2), harness.Describe(2).Group);
        Assert.Equal(0, harness.Engine.State.Groups.Count);
        Conservation.Check(harness.Engine);
    }

    [Fact]
    public async Task WalkGroups_BlocksComeAndGo_CountsThemWithTheOneThatNamesTheGroup()
    {
        await using var harness = new EngineHarness();
        harness.Put(1000, length: 100);
        Assert.Equal([new EngineGroup(harness.Namespace, Group, 1, 100)], WalkGroups(harness));
        harness.PutInGroup(1, Group, 200);
        harness.PutInGroup(2, Group, 300);
        harness.Put(3, length: 50);
        Assert.Equal(
            [new EngineGroup(harness.Namespace, EngineHarness.IdOf(3), 1, 50), new EngineGroup(harness.Namespace, Group, 3, 600)],
            WalkGroups(harness));
        harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1000));
        Assert.Contains(new EngineGroup(harness.Namespace, Group, 2, 500), WalkGroups(harness));
        harness.Put(1000, length: 7);
        Assert.Contains(new EngineGroup(harness.Namespace, Group, 3, 507), WalkGroups(harness));
        for (int number = 1; number <= 2; number++) harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(number));
        Assert.Contains(new EngineGroup(harness.Namespace, Group, 1, 7), WalkGroups(harness));
        Assert.Equal(57, harness.Engine.UsedBytes);
        harness.Engine.Clear(harness.Namespace);
        Assert.Empty(WalkGroups(harness));
        Assert.Equal(0, harness.Engine.UsedBytes);
    }

    [Fact]
    public async Task Walk_InternalNamespace_IsLeftOut()
    {
        await using var harness = new EngineHarness();
        var own = new NamespaceDescriptor("_silo", Profiles.Opaque);
        ushort ns = harness.Engine.OpenNamespace(own).Value;
        byte[] key = EngineHarness.KeyOf(5);
        BlockId id = BlockId.Compute(own.Id, key);
        var request = new PutRequest { Namespace = ns, Id = id, Key = key, Length = 10, Group = Group };
        Assert.True(harness.Engine.TryBeginPut(request, out _, out Reservation reservation));
        harness.Engine.Seal(reservation, 0, out _);
        harness.Put(1);
        var found = new EngineBlock[10];
        Assert.Equal(0, harness.Engine.Walk(0, found, out int count));
        Assert.Equal([new EngineBlock(harness.Namespace, EngineHarness.IdOf(1), EngineHarness.IdOf(1), 512)], found[..count]);
        Assert.Equal([new EngineGroup(harness.Namespace, EngineHarness.IdOf(1), 1, 512)], WalkGroups(harness));
    }

    [Fact]
    public async Task Walk_WhileOthersComeAndGo_SeesWhatStaysOnce()
    {
        await using var harness = new EngineHarness(arenaBytes: 8 << 20);
        var random = new Random(3);
        for (int number = 0; number < 2000; number++) harness.PutInGroup(number, EngineHarness.IdOf(number / 10), 64);
        var seen = new Dictionary<BlockId, int>();
        var found = new EngineBlock[33];
        long cursor = 0;
        do
        {
            cursor = harness.Engine.Walk(cursor, found, out int count);
            foreach (EngineBlock block in found.AsSpan(0, count)) seen[block.Id] = seen.GetValueOrDefault(block.Id) + 1;
            harness.Engine.Delete(harness.Namespace, EngineHarness.IdOf(1000 + random.Next(1000)));
            harness.Put(2000 + random.Next(1000), 64);
        }
        while (cursor != 0);

        for (int number = 0; number < 1000; number++) Assert.Equal(1, seen[EngineHarness.IdOf(number)]);
        Conservation.Check(harness.Engine);
    }

    [Fact]
    public async Task Recover_Groups_ComeBackAndAreKeptWhenTheirSegmentGoes()
    {
        var log = new FakeLog(32 << 10, 4 * (32 << 10));
        await using (var harness = new EngineHarness(log: log))
        {
            harness.PutInGroup(1, Group);
            harness.Put(1000);
            for (int number = 10; number < 200; number++)
            {
                harness.Engine.Pin(harness.Namespace, EngineHarness.IdOf(1), long.MaxValue);
                harness.Put(number, 1000);
                await harness.FlushAsync();
            }

            Assert.True(log.SegmentsDropped > 2);
            Conservation.Check(harness.Engine);
        }

        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(Group, again.Describe(1).Group);
        Assert.Equal(EngineHarness.IdOf(199), again.Describe(199).Group);
        Conservation.Check(again.Engine);
    }

    [Fact]
    public async Task Drop_BlockInTheLog_IsAMissOfThatReasonAndStaysAwayAfterARestart()
    {
        var log = new FakeLog();
        await using (var harness = new EngineHarness(log: log))
        {
            harness.Put(1);
            harness.Put(2);
            await harness.FlushAsync();
            Assert.True(harness.Engine.Drop(harness.Namespace, EngineHarness.IdOf(1), MissReason.Moved));
            Assert.False(harness.Engine.Drop(harness.Namespace, EngineHarness.IdOf(1), MissReason.Moved));
            Assert.Equal(MissReason.Moved, harness.Get(1));
            Assert.Equal(1, harness.Engine.Stats.Misses[(int)MissReason.Moved]);
            await harness.FlushAsync();
        }

        log.Crash();
        await using var again = new EngineHarness(log: log);
        again.Engine.Recover([EngineHarness.Opaque]);
        Assert.Equal(MissReason.Deleted, again.Describe(1).Reason);
        Assert.Equal(MissReason.None, again.Describe(2).Reason);
    }

    private static List<EngineGroup> WalkGroups(EngineHarness harness)
    {
        var all = new List<EngineGroup>();
        var found = new EngineGroup[1];
        long cursor = 0;
        do
        {
            cursor = harness.Engine.WalkGroups(cursor, found, out int count);
            all.AddRange(found.AsSpan(0, count));
        }
        while (cursor != 0);

        return all;
    }
}

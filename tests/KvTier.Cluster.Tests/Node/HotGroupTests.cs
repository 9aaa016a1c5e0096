namespace KvTier.Cluster.Tests.Node;

public sealed class HotGroupTests
{
    private static readonly TestBlock[] group = TestBlock.OfGroup(0, 20);
    private static readonly ClusterOptions options = new() { HotReadsPerSecond = 100 };

    [Fact]
    public void NoteRead_AboveTheRate_CopiesTheGroupOnceMore() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = await FillAsync(cluster);
        await ReadAsync(cluster, owner, perSecond: 150, seconds: 5);
        Assert.Equal(2, owner.Node.CopiesOf(group[0].Namespace, group[0].Group));
        Assert.All(group, block => Assert.Equal(2, cluster.HoldersOf(block).Length));
        Assert.Equal(1, owner.Node.Stats.HotGroups);
        TestBlock late = group[0] with { Number = 999 };
        await owner.PutAsync(late);
        await cluster.Loop.UntilAsync(() => cluster.HoldersOf(late).Length == 2, TimeSpan.FromSeconds(1));
    }, options);

    [Fact]
    public void NoteRead_BelowTheRate_CopiesNothing() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = await FillAsync(cluster);
        await ReadAsync(cluster, owner, perSecond: 80, seconds: 5);
        Assert.Equal(1, owner.Node.CopiesOf(group[0].Namespace, group[0].Group));
        Assert.All(group, block => Assert.Single(cluster.HoldersOf(block)));
    }, options);

    [Fact]
    public void HotCopy_WhileItIsRead_StaysThroughWalks() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = await FillAsync(cluster);
        Task reading = ReadAsync(cluster, owner, perSecond: 150, seconds: 70);
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(5));
        cluster.Change(settings: cluster.Map.Settings with { });
        cluster.Publish();
        await reading;
        Assert.All(group, block => Assert.Equal(2, cluster.HoldersOf(block).Length));
    }, options);

    [Fact]
    public void HotCopy_NotReadAnyMore_IsDropped() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = await FillAsync(cluster);
        await ReadAsync(cluster, owner, perSecond: 150, seconds: 5);
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(1, owner.Node.CopiesOf(group[0].Namespace, group[0].Group));
        await cluster.Loop.PauseAsync(HotHeld.Lasts + TimeSpan.FromSeconds(5));
        Assert.All(group, block => Assert.Equal([owner.Name], cluster.HoldersOf(block)));
        Assert.All(cluster.Members, silo => Assert.Equal(0, silo.Node.Stats.HotHeld));
    }, options);

    [Fact]
    public void HotCopy_GroupGetsAnotherOwner_IsDropped() => TestCluster.Run(3, 1, async cluster =>
    {
        TestSilo owner = await FillAsync(cluster);
        await ReadAsync(cluster, owner, perSecond: 150, seconds: 5);
        cluster.Drain(owner.Name);
        await cluster.Loop.PauseAsync(HotHeld.Lasts + TimeSpan.FromSeconds(10));
        Assert.All(group, block => Assert.Equal(cluster.AskedFor(block), cluster.HoldersOf(block)));
        Assert.Equal(0, owner.Node.Stats.HotGroups);
    }, options);

    [Fact]
    public void NoteRead_OneSilo_HasNobodyToCopyTo() => TestCluster.Run(1, 1, async cluster =>
    {
        TestSilo owner = await FillAsync(cluster);
        await ReadAsync(cluster, owner, perSecond: 150, seconds: 5);
        Assert.Equal(1, owner.Node.CopiesOf(group[0].Namespace, group[0].Group));
    }, options);

    [Fact]
    public void ReadRates_MoreGroupsThanThereIsRoomFor_KeepsTheBusiest()
    {
        var loop = new TestLoop();
        var rates = new ReadRates(loop.Time);
        BlockId hot = TestBlock.Of(1).Id;
        BlockId[] others = [.. Enumerable.Range(2, 20_000).Select(number => TestBlock.Of(number).Id)];
        double highest = 0;
        for (int i = 0; i < 40_000; i++)
        {
            rates.Note(others[i % others.Length]);
            if (i % 4 == 0) highest = Math.Max(highest, rates.Note(hot));
            if (i % 4 == 0) loop.Time.Advance(TimeSpan.FromMilliseconds(1));
        }

        Assert.InRange(highest, 700, 1300);
        Assert.InRange(rates.RateOf(hot), 500, 1300);
        loop.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.InRange(rates.RateOf(hot), 0, 50);
    }

    private static async Task<TestSilo> FillAsync(TestCluster cluster)
    {
        TestSilo owner = cluster.OwnerOf(group[0]);
        foreach (TestBlock block in group) Assert.Null(await owner.PutAsync(block));
        return owner;
    }

    private static async Task ReadAsync(TestCluster cluster, TestSilo owner, int perSecond, int seconds)
    {
        for (int i = 0; i < perSecond * seconds; i++)
        {
            owner.Node.NoteRead(0, group[0].Group);
            await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(1.0 / perSecond));
        }
    }
}

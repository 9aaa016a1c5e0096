namespace KvTier.Cluster.Tests.Node;

public sealed class ReadThroughTests
{
    private static readonly TestBlock[] blocks = [.. Enumerable.Range(0, 300).Select(number => TestBlock.Of(number))];

    [Fact]
    public void ReadThroughAsync_SiloHasJust_FindsEveryBlock() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Add("d", publish: true);
        await AssertFoundAsync(cluster);
    }, Slow);

    [Fact]
    public void ReadThroughAsync_TwoJoinOneAfterTheOther_FindsEveryBlock() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Add("d", publish: true);
        cluster.Add("e", publish: true);
        await AssertFoundAsync(cluster);
    }, Slow);

    [Fact]
    public void ReadThroughAsync_SiloDrains_FindsEveryBlock() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Drain("b");
        await AssertFoundAsync(cluster);
    }, Slow);

    [Fact]
    public void ReadThroughAsync_OwnerIsLostAndAnotherJoins_FindsEveryBlockAtItsReplica() => TestCluster.Run(4, 2, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Add("e");
        cluster.Crash("b");
        cluster.Remove("b");
        await AssertFoundAsync(cluster);
    }, Slow);

    [Fact]
    public void ReadThroughAsync_GroupMoved_FindsItAtItsOldOwner() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        foreach (TestBlock block in blocks)
        {
            TestSilo owner = cluster.OwnerOf(block);
            string other = cluster.Members.First(silo => silo != owner).Name;
            cluster.Change(changes: new Dictionary<BlockId, string?> { [block.Group] = other });
            cluster.Publish();
            Assert.Equal(block.Payload, await cluster[other].GetAsync(block));
        }
    }, Slow);

    [Fact]
    public void ReadThroughAsync_AllSettled_AsksNobody() => TestCluster.Run(3, 1, async cluster =>
    {
        TestBlock block = blocks[0];
        TestSilo owner = cluster.OwnerOf(block);
        Assert.False(owner.Node.MayBeElsewhere(block.Group));
        int before = owner.Peers.Calls.Values.Sum();
        Assert.Equal(0, await owner.Node.ReadThroughAsync(
            owner.HandleOf(block), new[] { block.Id }, new[] { block.Group }, TimeSpan.FromSeconds(1)));
        Assert.Equal(before, owner.Peers.Calls.Values.Sum());
    });

    [Fact]
    public void ReadThroughAsync_ManyAtOnce_FetchABlockOnce() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestSilo joined = cluster.Add("d", publish: true);
        TestBlock block = blocks.First(each => cluster.OwnerOf(each) == joined);
        byte[]?[] found = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => joined.GetAsync(block)));
        Assert.All(found, bytes => Assert.Equal(block.Payload, bytes));
        Assert.Equal(1, joined.Peers.Calls.GetValueOrDefault(BlockOps.Fetch));
    }, Slow);

    [Fact]
    public void ReadThroughAsync_BlockIsNowhere_IsAMissBeforeTheDeadline() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestSilo joined = cluster.Add("d", publish: true);
        TestBlock block = Enumerable.Range(1000, 1000).Select(number => TestBlock.Of(number))
            .First(each => cluster.OwnerOf(each) == joined);
        DateTimeOffset before = cluster.Loop.Time.GetUtcNow();
        Assert.Null(await joined.GetAsync(block));
        Assert.InRange(cluster.Loop.Time.GetUtcNow() - before, TimeSpan.Zero, TimeSpan.FromSeconds(1));
    }, Slow);

    [Fact]
    public void ReadThroughAsync_MoreThanOneAnswerHolds_FetchesAll() => TestCluster.Run(1, 1, async cluster =>
    {
        TestBlock[] large = [.. blocks.Take(20).Select(block => block with { PayloadBytes = 1 << 20 })];
        foreach (TestBlock block in large) cluster["a"].Seal(block);
        TestSilo joined = cluster.Add("b", publish: true);
        TestBlock[] own = [.. large.Where(block => cluster.OwnerOf(block) == joined)];
        int came = await joined.Node.ReadThroughAsync(
            joined.HandleOf(own[0]), own.Select(block => block.Id).ToArray(), own.Select(block => block.Group).ToArray(),
            TimeSpan.FromSeconds(10));
        Assert.Equal(own.Length, came);
        Assert.All(own, block => Assert.Equal(block.Payload, joined.Store.Get(joined.HandleOf(block), block.Id)));
    }, Slow);

    [Fact]
    public void ReadThroughAsync_HandedOverMeanwhile_CountsWhatIsHere() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestSilo joined = cluster.Add("d", publish: true);
        TestBlock block = blocks.First(each => cluster.OwnerOf(each) == joined);
        joined.Peers.OnCall = (_, request) =>
        {
            if (request.Op != BlockOps.Fetch) return Task.CompletedTask;
            joined.Seal(block);
            foreach (TestSilo silo in cluster.Members.Where(silo => silo != joined)) silo.Store.Remove(silo.HandleOf(block), block.Id);
            return Task.CompletedTask;
        };
        Assert.Equal(1, await joined.Node.ReadThroughAsync(
            joined.HandleOf(block), new[] { block.Id }, new[] { block.Group }, TimeSpan.FromSeconds(1)));
    }, Slow);

    [Fact]
    public void ReadThroughAsync_NoHolderAnyMoreWhenItComes_LeavesNothingBehind() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        var gate = new TaskCompletionSource();
        foreach (TestSilo silo in cluster.Members) silo.Peers.OnPush = (_, _) => gate.Task;
        TestSilo joined = cluster.Add("d", publish: true);
        TestBlock block = blocks.First(each => cluster.OwnerOf(each) == joined);
        joined.Peers.OnCall = async (_, request) =>
        {
            if (request.Op != BlockOps.Fetch || cluster.Map.Silos.Any(silo => silo.Draining)) return;
            cluster.Drain("d");
            await cluster.Loop.UntilAsync(() => joined.Node.SettledEpoch == cluster.Map.Epoch);
        };
        await joined.Node.ReadThroughAsync(
            joined.HandleOf(block), new[] { block.Id }, new[] { block.Group }, TimeSpan.FromSeconds(5));
        Assert.Contains("d", cluster.HoldersOf(block));
        joined.Peers.OnCall = null;
        gate.SetResult();
        await cluster.SettleAsync();
        await cluster.Loop.UntilAsync(() => cluster.HoldersOf(block).SequenceEqual(cluster.AskedFor(block)), TimeSpan.FromSeconds(30));
    });

    [Fact]
    public void ReasonOf_WhatALostSiloTookWithIt_IsOwnerLost() => TestCluster.Run(3, 1, async cluster =>
    {
        TestBlock lost = blocks.First(block => cluster.OwnerOf(block).Name == "b");
        TestBlock other = blocks.First(block => cluster.OwnerOf(block).Name == "a");
        cluster.Crash("b");
        cluster.Remove("b");
        Assert.Equal(MissReason.OwnerLost, cluster.OwnerOf(lost).Node.ReasonOf(lost.Group, MissReason.NeverStored));
        Assert.Equal(MissReason.NeverStored, cluster.OwnerOf(other).Node.ReasonOf(other.Group, MissReason.NeverStored));
        Assert.Equal(MissReason.Evicted, cluster.OwnerOf(lost).Node.ReasonOf(lost.Group, MissReason.Evicted));
        await cluster.Loop.PauseAsync(LostSilos.Remembered + TimeSpan.FromSeconds(1));
        Assert.Equal(MissReason.NeverStored, cluster.OwnerOf(lost).Node.ReasonOf(lost.Group, MissReason.NeverStored));
    });

    [Fact]
    public void ReasonOf_OneOfTwoHoldersLost_IsNotOwnerLost() => TestCluster.Run(3, 2, async cluster =>
    {
        cluster.Crash("b");
        cluster.Remove("b");
        foreach (TestBlock block in blocks)
        {
            ClusterNode owner = cluster.OwnerOf(block).Node;
            Assert.Equal(MissReason.NeverStored, owner.ReasonOf(block.Group, MissReason.NeverStored));
        }

        await Task.CompletedTask;
    });

    /// <summary>So that nothing is handed over while a test reads.</summary>
    private static ClusterOptions Slow => new() { CopyBytesPerSecond = 1 };

    private static async Task FillAsync(TestCluster cluster)
    {
        foreach (TestBlock block in blocks) await cluster.OwnerOf(block).PutAsync(block);
        await cluster.Loop.UntilAsync(() => cluster.Members.All(silo => silo.Node.Stats.QueuedBlocks == 0));
        await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(100));
    }

    private static async Task AssertFoundAsync(TestCluster cluster)
    {
        foreach (TestBlock block in blocks) Assert.Equal(block.Payload, await cluster.OwnerOf(block).GetAsync(block));
        Assert.Contains(cluster.Members, silo => silo.Node.Stats.ReadThroughBlocks > 0);
    }
}

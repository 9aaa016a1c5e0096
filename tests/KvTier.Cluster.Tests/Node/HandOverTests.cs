namespace KvTier.Cluster.Tests.Node;

public sealed class HandOverTests
{
    private static readonly TestBlock[] blocks = [.. Enumerable.Range(0, 1000).Select(number => TestBlock.Of(number))];

    [Fact]
    public void Walk_SiloJoins_GetsItsShareAndTheOthersDropIt() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Add("d", publish: true);
        await cluster.SettleAsync();
        AssertPlaced(cluster);
        Assert.InRange(cluster["d"].Store.Count, 150, 350);
        Assert.All(cluster.Members, silo => Assert.Equal(silo.Name == "d", silo.Store.Came > 0));
    });

    [Fact]
    public void Walk_SiloIsLost_CopiesWhatIsLeftOnceMore() => TestCluster.Run(4, 2, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Crash("b");
        cluster.Remove("b");
        await cluster.SettleAsync();
        AssertPlaced(cluster);
    });

    [Fact]
    public void Walk_EachLacksABlock_IsGivenItByOneOnly() => TestCluster.Run(4, 2, async cluster =>
    {
        await FillAsync(cluster);
        int before = cluster.Members.Sum(silo => silo.Peers.Pushed);
        cluster.Crash("b");
        int lost = cluster["b"].Store.Count;
        cluster.Remove("b");
        await cluster.SettleAsync();
        Assert.Equal(lost, cluster.Members.Sum(silo => silo.Peers.Pushed) - before + cluster["b"].Peers.Pushed);
    });

    [Fact]
    public void Walk_SiloDrains_GivesEverythingAway() => TestCluster.Run(3, 2, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Drain("a");
        await cluster.SettleAsync();
        AssertPlaced(cluster);
        Assert.Equal(0, cluster["a"].Store.Count);
    });

    [Fact]
    public void Walk_SiloComesBackWithItsBlocks_KeepsWhatItIsToHoldAndGetsTheRest() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestBlock[] lost = [.. blocks.Where(block => cluster.OwnerOf(block).Name == "b")];
        cluster.Crash("b");
        cluster.Remove("b");
        await cluster.SettleAsync();
        TestBlock again = lost[0];
        TestBlock young = TestBlock.Of(5000 + Enumerable.Range(0, 1000).First(i => cluster.OwnerOf(TestBlock.Of(5000 + i)).Name == "a"));
        await cluster.OwnerOf(again).PutAsync(again);
        await cluster.OwnerOf(young).PutAsync(young);
        int before = cluster["b"].Store.Came;
        cluster.Add("b", cluster["b"].Store, publish: true);
        await cluster.SettleAsync();
        AssertPlaced(cluster);
        Assert.Equal(before, cluster["b"].Store.Came);
        Assert.Equal(cluster.AskedFor(young), cluster.HoldersOf(young));
    });

    [Fact]
    public void Walk_MapChangesAgain_BeginsAnew() => TestCluster.Run(3, 2, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Add("d", publish: true);
        await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(1));
        cluster.Crash("a");
        cluster.Remove("a");
        cluster.Add("e", publish: true);
        await cluster.SettleAsync();
        AssertPlaced(cluster);
    });

    [Fact]
    public void Walk_HolderCutOff_DropsNothingBeforeItHasConfirmed() => TestCluster.Run(2, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestSilo joined = cluster.Add("c");
        cluster["a"].Peers.Cut.Add("c");
        cluster["b"].Peers.Cut.Add("c");
        cluster.Publish();
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(blocks.Length, cluster["a"].Store.Count + cluster["b"].Store.Count);
        Assert.Equal(0, joined.Store.Count);
        cluster["a"].Peers.Cut.Clear();
        cluster["b"].Peers.Cut.Clear();
        await cluster.SettleAsync();
        AssertPlaced(cluster);
    });

    [Fact]
    public void Walk_NewHolderHasNothingInItsLogYet_DropsNothingBeforeItHas() => TestCluster.Run(2, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestSilo joined = cluster.Add("c");
        joined.Store.IsLogStuck = true;
        cluster.Publish();
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(10));
        Assert.True(joined.Store.Count > 100);
        Assert.Equal(blocks.Length, cluster["a"].Store.Count + cluster["b"].Store.Count);
        joined.Store.IsLogStuck = false;
        await cluster.SettleAsync();
        AssertPlaced(cluster);
        Assert.True(joined.Store.Syncs > 0);
    });

    [Fact]
    public void Walk_GroupGoesThereAndBack_KeepsIt() => TestCluster.Run(2, 1, async cluster =>
    {
        TestBlock block = blocks[0];
        TestSilo first = cluster.OwnerOf(block);
        await first.PutAsync(block);
        string other = first.Name == "a" ? "b" : "a";
        for (int round = 0; round < 20; round++)
        {
            cluster.Change(changes: new Dictionary<BlockId, string?> { [block.Group] = round % 2 == 0 ? other : null });
            cluster.Members.ElementAt(round % 2).Membership.Take();
            await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(round));
            cluster.Publish();
        }

        await cluster.SettleAsync();
        Assert.Equal(cluster.AskedFor(block), cluster.HoldersOf(block));
    });

    [Fact]
    public void Walk_NothingConcernsASilo_AsksNobody() => TestCluster.Run(4, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestBlock block = blocks[0];
        string owner = cluster.OwnerOf(block).Name;
        foreach (TestSilo silo in cluster.Members) silo.Peers.Calls.Clear();
        string other = cluster.Members.First(silo => silo.Name != owner).Name;
        cluster.Change(changes: new Dictionary<BlockId, string?> { [block.Group] = other });
        cluster.Publish();
        await cluster.SettleAsync();
        Assert.All(cluster.Members, silo => Assert.Equal(silo.Name == owner ? 1 : 0, silo.Peers.Calls.GetValueOrDefault(BlockOps.Have)));
        AssertPlaced(cluster);
    });

    [Fact]
    public void Walk_SlowBudget_TakesAsLongAsItSays() => TestCluster.Run(2, 1, async cluster =>
    {
        await FillAsync(cluster, large: true);
        DateTimeOffset before = cluster.Loop.Time.GetUtcNow();
        long bytes = cluster["a"].Store.All.Count() * 100_000L;
        cluster.Drain("a");
        await cluster.SettleAsync(TimeSpan.FromMinutes(5));
        double seconds = (cluster.Loop.Time.GetUtcNow() - before).TotalSeconds;
        Assert.InRange(seconds, (bytes / (double)(1 << 20)) - 0.5, (bytes / (double)(1 << 20)) + 2);
    }, new ClusterOptions { CopyBytesPerSecond = 1 << 20 });

    [Fact]
    public void Walk_TargetIsFull_SettlesInTheEndAndDropsNothing() => TestCluster.Run(2, 1, async cluster =>
    {
        await FillAsync(cluster);
        TestSilo joined = cluster.Add("c");
        joined.Store.IsFull = true;
        cluster.Publish();
        await cluster.SettleAsync();
        Assert.Equal(blocks.Length, cluster["a"].Store.Count + cluster["b"].Store.Count);
        Assert.True(cluster["a"].Node.Stats.PushesRefused > 0);
    });

    [Fact]
    public void Walk_MoreReplicasAskedFor_MakesThem() => TestCluster.Run(3, 1, async cluster =>
    {
        await FillAsync(cluster);
        cluster.Change(settings: new ClusterSettings { Replicas = 3 });
        cluster.Publish();
        await cluster.SettleAsync();
        AssertPlaced(cluster);
        cluster.Change(settings: new ClusterSettings { Replicas = 2 });
        cluster.Publish();
        await cluster.SettleAsync();
        AssertPlaced(cluster);
    });

    [Fact]
    public void Walk_CopyLostWithoutAWord_IsFoundByTheSlowComparison() => TestCluster.Run(3, 2, async cluster =>
    {
        await FillAsync(cluster);
        TestBlock block = blocks[0];
        TestSilo replica = cluster[cluster.AskedFor(block)[1]];
        replica.Store.Remove(replica.HandleOf(block), block.Id);
        await cluster.Loop.PauseAsync(HandOverLoop.FullEvery + TimeSpan.FromSeconds(10));
        Assert.True(replica.Has(block));
    });

    [Fact]
    public void NoteStored_MapHasChangedSinceItWasAdmitted_IsHandedOver() => TestCluster.Run(3, 1, async cluster =>
    {
        TestBlock stray = Enumerable.Range(0, 100).Select(number => TestBlock.Of(number)).First(each => cluster.OwnerOf(each).Name != "a");
        ushort handle = cluster["a"].HandleOf(stray);
        cluster["a"].Seal(stray);
        cluster["a"].Node.NoteStored(handle, stray.Group, cluster.Map.Epoch, role: null);
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(["a"], cluster.HoldersOf(stray));
        cluster["a"].Node.NoteStored(handle, stray.Group, cluster.Map.Epoch - 1, role: null);
        await cluster.Loop.UntilAsync(() => cluster.HoldersOf(stray).SequenceEqual(cluster.AskedFor(stray)), TimeSpan.FromSeconds(30));
    });

    [Fact]
    public void NoteStored_HandedOverWhileOthersLackIt_IsGivenToThem() => TestCluster.Run(3, 3, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo first = cluster.OwnerOf(block);
        first.Seal(block);
        first.Node.NoteStored(first.HandleOf(block), block.Group, cluster.Map.Epoch, PushRole.Replica);
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(10));
        Assert.Single(cluster.HoldersOf(block));
        first.Node.NoteStored(first.HandleOf(block), block.Group, cluster.Map.Epoch, PushRole.HandOver);
        await cluster.Loop.UntilAsync(() => cluster.HoldersOf(block).Length == 3, TimeSpan.FromSeconds(30));
    });

    [Fact]
    public void Walk_MoreHoldersThanAreDealtWithAtATime_GivesEachWhatItLacks() => TestCluster.Run(1, 3, async cluster =>
    {
        TestBlock[] many = [.. Enumerable.Range(0, 200).Select(number => TestBlock.Of(number))];
        foreach (TestBlock block in many) cluster["a"].Seal(block);
        for (char name = 'b'; name <= 'm'; name++) cluster.Add(name.ToString());
        cluster.Publish();
        await cluster.SettleAsync();
        Assert.All(many, block => Assert.Equal(cluster.AskedFor(block).Order(), cluster.HoldersOf(block).Order()));
    });

    [Fact]
    public void DisposeAsync_WhileWalking_EndsSoon() => TestCluster.Run(2, 1, async cluster =>
    {
        await FillAsync(cluster);
        cluster["a"].Peers.OnPush = (_, _) => Task.Delay(TimeSpan.FromSeconds(30), cluster.Loop.Time);
        cluster.Drain("a");
        await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(50));
        DateTimeOffset before = cluster.Loop.Time.GetUtcNow();
        await cluster["a"].Node.DisposeAsync();
        Assert.InRange(cluster.Loop.Time.GetUtcNow() - before, TimeSpan.Zero, TimeSpan.FromSeconds(6));
    });

    internal static async Task FillAsync(TestCluster cluster, bool large = false)
    {
        foreach (TestBlock block in blocks.Take(large ? 40 : blocks.Length))
            await cluster.OwnerOf(block).PutAsync(large ? block with { PayloadBytes = 100_000 } : block);
        await cluster.Loop.UntilAsync(() => cluster.Members.All(silo => silo.Node.Stats.QueuedBlocks == 0));
        await cluster.Loop.PauseAsync(TimeSpan.FromMilliseconds(100));
    }

    private static void AssertPlaced(TestCluster cluster)
    {
        foreach (TestBlock block in blocks)
        {
            string[] holders = cluster.HoldersOf(block);
            if (holders.Length == 0)
            {
                Assert.True(cluster.Silos.Values.Any(silo => !silo.IsUp && silo.Has(block)), $"{block.Number} is lost");
                continue;
            }

            Assert.Equal(cluster.AskedFor(block).Order(), holders.Order());
        }
    }
}

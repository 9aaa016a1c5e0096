namespace KvTier.Cluster.Tests.Node;

public sealed class ReplicationTests
{
    [Fact]
    public void ReplicateAsync_AckReplica_EndsWhenAllHoldersHaveIt() => TestCluster.Run(4, 3, async cluster =>
    {
        for (int number = 0; number < 50; number++)
        {
            TestBlock block = TestBlock.Of(number);
            Assert.Null(await cluster.OwnerOf(block).PutAsync(block, AckLevel.Replica));
            Assert.Equal(cluster.AskedFor(block).Order(), cluster.HoldersOf(block).Order());
        }
    });

    [Fact]
    public void ReplicateAsync_AckReplica_IsOnePushToEachHolder_WithoutACallOrAPause() => TestCluster.Run(4, 3, async cluster =>
    {
        int pushes = 0;
        foreach (TestSilo silo in cluster.Members) silo.Peers.OnPush = (_, batch) => Task.FromResult(pushes += batch.Blocks.Count);
        foreach (TestSilo silo in cluster.Members) silo.Peers.Calls.Clear();
        for (int number = 0; number < 50; number++)
        {
            TestBlock block = TestBlock.Of(number);
            DateTimeOffset before = cluster.Loop.Time.GetUtcNow();
            Assert.Null(await cluster.OwnerOf(block).PutAsync(block, AckLevel.Replica));
            Assert.Equal(before, cluster.Loop.Time.GetUtcNow());
            Assert.Equal(2 * (number + 1), pushes);
        }

        Assert.All(cluster.Members, silo => Assert.Equal(0, silo.Peers.Calls.GetValueOrDefault(BlockOps.Have)));
    });

    [Fact]
    public void ReplicateAsync_AckMemory_CopiesAfterwards() => TestCluster.Run(3, 2, async cluster =>
    {
        TestBlock[] blocks = [.. Enumerable.Range(0, 200).Select(number => TestBlock.Of(number))];
        foreach (TestBlock block in blocks) Assert.Null(await cluster.OwnerOf(block).PutAsync(block));
        await cluster.Loop.UntilAsync(() => blocks.All(block => cluster.HoldersOf(block).Length == 2));
    });

    [Fact]
    public void ReplicateAsync_OneCopy_RefusesAckReplica() => TestCluster.Run(3, 1, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        KvError? error = await cluster.OwnerOf(block).PutAsync(block, AckLevel.Replica);
        Assert.Equal((ErrorCode.Unsupported, "ack"), (error!.Code, error.Field));
    });

    [Fact]
    public void ReplicateAsync_TooFewSilos_SaysAck() => TestCluster.Run(1, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        KvError? error = await cluster.OwnerOf(block).PutAsync(block, AckLevel.Replica);
        Assert.Equal((ErrorCode.Unavailable, "ack"), (error!.Code, error.Field));
    });

    [Fact]
    public void ReplicateAsync_ReplicaIsFull_SaysWhoRefused() => TestCluster.Run(2, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        string replica = cluster.AskedFor(block)[1];
        cluster[replica].Store.IsFull = true;
        KvError? error = await cluster.OwnerOf(block).PutAsync(block, AckLevel.Replica);
        Assert.Equal((ErrorCode.HostFull, "ack"), (error!.Code, error.Field));
        Assert.Contains(replica, error.Value);
    });

    [Fact]
    public void ReplicateAsync_ReplicaCutOff_EndsByItsDeadline() => TestCluster.Run(2, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        owner.Peers.Cut.Add(cluster.AskedFor(block)[1]);
        DateTimeOffset before = cluster.Loop.Time.GetUtcNow();
        KvError? error = await owner.PutAsync(block, AckLevel.Replica, TimeSpan.FromSeconds(1));
        Assert.Equal("ack", error!.Field);
        Assert.InRange(cluster.Loop.Time.GetUtcNow() - before, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1.5));
        owner.Peers.Cut.Clear();
        await cluster.Loop.UntilAsync(() => cluster.HoldersOf(block).Length == 2);
    });

    [Fact]
    public void ReplicateAsync_ReplicaDies_EndsWhenTheNextHasIt() => TestCluster.Run(3, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        string replica = cluster.AskedFor(block)[1];
        cluster.Crash(replica);
        Task<KvError?> put = owner.PutAsync(block, AckLevel.Replica);
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(1));
        Assert.False(put.IsCompleted);
        cluster.Remove(replica);
        Assert.Null(await put);
        Assert.Equal(2, cluster.HoldersOf(block).Length);
    });

    [Fact]
    public void ReplicateAsync_MapChangesWhileCopying_IsFoundAfterTheLossOfAnySilo() => TestCluster.Run(3, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        string replica = cluster.AskedFor(block)[1];
        owner.Peers.AfterPush = (_, batch) =>
        {
            if (batch.Role != PushRole.Replica) return Task.CompletedTask;
            owner.Peers.AfterPush = null;
            cluster.Crash(replica);
            cluster.Remove(replica);
            return Task.CompletedTask;
        };
        Assert.Null(await owner.PutAsync(block, AckLevel.Replica));
        Assert.Equal(2, cluster.HoldersOf(block).Length);
    });

    [Fact]
    public void ReplicateAsync_OwnerOfAnOldMap_IsNotAcknowledged() => TestCluster.Run(3, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        owner.Membership.IsFrozen = true;
        cluster.Remove(owner.Name);
        KvError? error = await owner.PutAsync(block, AckLevel.Replica, TimeSpan.FromSeconds(1));
        Assert.Equal((ErrorCode.Conflict, "ack"), (error!.Code, error.Field));
    });

    [Fact]
    public void ReplicateAsync_LeaseRunsOutMeanwhile_IsNotAcknowledged() => TestCluster.Run(2, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        owner.Peers.OnPush = (_, _) =>
        {
            owner.Membership.MayWrite = false;
            return Task.CompletedTask;
        };
        KvError? error = await owner.PutAsync(block, AckLevel.Replica);
        Assert.Equal((ErrorCode.Fenced, "ack"), (error!.Code, error.Field));
    });

    [Fact]
    public void ReplicateAsync_MoreThanTheQueueHolds_IsLeftToTheWalk() => TestCluster.Run(2, 2, async cluster =>
    {
        TestSilo silo = cluster["a"];
        TestBlock[] blocks =
        [
            .. Enumerable.Range(0, 200_000).Select(number => TestBlock.Of(number)).Where(block => cluster.OwnerOf(block) == silo)
                .Take(ReplicaQueue.EntriesMax + 500),
        ];
        silo.Peers.OnPush = (_, batch) => batch.Role == PushRole.Replica ? Task.Delay(Timeout.Infinite) : Task.CompletedTask;
        foreach (TestBlock block in blocks) Assert.Null(await silo.PutAsync(block));
        Assert.InRange(silo.Node.Stats.QueueOverflow, 400, 500);
        silo.Peers.OnPush = null;
        TestBlock[] overflow = blocks[^400..];
        await cluster.Loop.UntilAsync(() => overflow.All(block => cluster.HoldersOf(block).Length == 2), TimeSpan.FromMinutes(5));
    });

    [Fact]
    public void ReplicateAsync_PutOnASiloThatLostTheGroupMeanwhile_BringsTheBlockToItsOwner() => TestCluster.Run(2, 1, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        owner.Seal(block);
        string other = owner.Name == "a" ? "b" : "a";
        cluster.Change(changes: new Dictionary<BlockId, string?> { [block.Group] = other });
        cluster.Publish();
        await cluster.SettleAsync();
        TestBlock late = block with { Number = 2 };
        owner.Seal(late);
        Assert.Null(await owner.Node.ReplicateAsync(
            owner.HandleOf(late), new[] { late.Id }, new[] { late.Group }, AckLevel.Memory, TimeSpan.FromSeconds(1)));
        await cluster.Loop.UntilAsync(() => cluster.HoldersOf(late).SequenceEqual([other]));
    });

    [Fact]
    public void DeleteAsync_OfCopies_LeavesNone() => TestCluster.Run(3, 3, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        Assert.Null(await owner.PutAsync(block, AckLevel.Replica));
        Assert.Null(await owner.DeleteAsync(block));
        Assert.Empty(cluster.HoldersOf(block));
    });

    [Fact]
    public void DeleteAsync_HolderCutOff_SaysSo() => TestCluster.Run(2, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo owner = cluster.OwnerOf(block);
        Assert.Null(await owner.PutAsync(block, AckLevel.Replica));
        owner.Peers.Cut.Add(cluster.AskedFor(block)[1]);
        KvError? error = await owner.DeleteAsync(block);
        Assert.Equal((ErrorCode.Unavailable, "delete"), (error!.Code, error.Field));
    });

    [Fact]
    public void DeleteAsync_WhileASiloHasNotHandedOver_ReachesItToo() => TestCluster.Run(3, 1, async cluster =>
    {
        TestBlock[] blocks = [.. Enumerable.Range(0, 50).Select(number => TestBlock.Of(number))];
        foreach (TestBlock block in blocks) await cluster.OwnerOf(block).PutAsync(block);
        foreach (TestSilo silo in cluster.Members) silo.Peers.OnPush = (_, _) => Task.Delay(TimeSpan.FromSeconds(100), cluster.Loop.Time);
        cluster.Add("d", publish: true);
        foreach (TestBlock block in blocks) Assert.Null(await cluster.OwnerOf(block).DeleteAsync(block));
        Assert.All(blocks, block => Assert.Empty(cluster.HoldersOf(block)));
    });

    [Fact]
    public void ReplicateAsync_ReplicaRefusesOnce_IsTriedAgain() => TestCluster.Run(2, 2, async cluster =>
    {
        TestBlock block = TestBlock.Of(1);
        TestSilo replica = cluster[cluster.AskedFor(block)[1]];
        replica.Store.IsFull = true;
        Assert.Null(await cluster.OwnerOf(block).PutAsync(block));
        await cluster.Loop.PauseAsync(TimeSpan.FromSeconds(1));
        replica.Store.IsFull = false;
        await cluster.Loop.UntilAsync(() => replica.Has(block), TimeSpan.FromSeconds(20));
    });
}

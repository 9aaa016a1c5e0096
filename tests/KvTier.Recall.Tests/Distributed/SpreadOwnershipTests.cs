namespace KvTier.Recall.Tests.Distributed;

/// <summary>One owner for each sequence and epoch; nothing acknowledged is lost.</summary>
public class SpreadOwnershipTests : LeakGated
{
    [Fact]
    public async Task AnyCall_OfAnotherOwnersSequence_IsMoved()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        await cluster.AddAsync("s", new KvContext(Shapes.Gqa(), 700, seed: 1));
        PartSilo other = cluster.Silos.Find(silo => silo != cluster.Owner("s"))!;
        ushort ns = other.Store.Namespace;
        Assert.Equal(ErrorCode.Moved, other.Sequences.Describe(ns, "s").Error?.Code);
        Assert.Equal(ErrorCode.Moved, (await other.Sequences.CloseAsync(ns, "s", RecallHarness.Guard)).Error?.Code);
        RecallRequest request = Requests.Attend(other.Store, Shapes.All());
        Assert.Equal(ErrorCode.Moved, (await other.Sequences.RecallAsync(request, RecallHarness.Guard)).Error?.Code);
        Assert.Empty(other.Sequences.List(ns, "", 10));
        Assert.Equal(["s"], cluster.Owner("s").Sequences.List(cluster.Owner("s").Store.Namespace, "", 10).Select(info => info.Name));
    }

    [Fact]
    public async Task OpenAsync_WithoutAuthority_IsFenced()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(1);
        PartSilo silo = cluster.Silos[0];
        silo.Peers.HasAuthority = false;
        Result<SequenceInfo> opened = await silo.Sequences.OpenAsync(
            new SequenceOpen { Namespace = silo.Store.Namespace, Name = "s", Digests = [Shapes.Mean] }, TimeSpan.FromMilliseconds(200));
        Assert.Equal(ErrorCode.Fenced, opened.Error?.Code);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task MapChanges_OwnerMoves_TheNewOneGoesOnWithTheNewestManifest(int replicas)
    {
        await using PartCluster cluster = await PartCluster.StartAsync(4, replicas: replicas, durable: true);
        string[] all = [.. cluster.Silos.Select(silo => silo.Name)];
        cluster.Change(all[..3]);
        var context = new KvContext(Shapes.Gqa(), 900, seed: 2);
        List<BlockId> ids = await cluster.PutAsync(context);
        foreach (string name in Names) await OpenAndAppendAsync(cluster, name, ids[..20], 320);

        // A fourth silo joins; blocks that it owns now are put there as the hand-over would.
        cluster.Change(all);
        await cluster.PutAsync(context);
        foreach (string name in Names) await cluster.AppendAsync(name, ids.GetRange(20, ids.Count - 20), context.Tokens - 320);
        foreach (PartSilo silo in cluster.Silos) Assert.Equal(0, await silo.Sequences.SettleAsync(RecallHarness.Guard));
        Assert.Contains(Names, name => cluster.Owner(name).Name == all[3]);
        foreach (string name in Names)
        {
            RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.All(), name: name);
            using RecallAnswer answer = await cluster.RecallAsync(request);
            Assert.Empty(answer.Items[0].Missing);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
            Assert.Equal(replicas, cluster.Silos.Count(silo => silo.Store.Recall.Sequences.Find(silo.Store.Namespace,
                name)?.Info is not null));
        }
    }

    [Fact]
    public async Task OwnerIsLost_WithTwoReplicas_NothingAcknowledgedIsLost()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3, replicas: 2);
        var context = new KvContext(Shapes.Gqa(), 1500, seed: 2);
        await cluster.AddAsync("s", context);
        PartSilo lost = cluster.Owner("s");
        string[] left = [.. cluster.Silos.Where(silo => silo != lost).Select(silo => silo.Name)];
        cluster.Change(left);
        RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.All());
        using RecallAnswer answer = await cluster.RecallAsync(request);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
    }

    [Fact]
    public async Task AppendAsync_HolderIsAway_IsNotAcknowledged()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(2, replicas: 2);
        var context = new KvContext(Shapes.Gqa(), 64, seed: 2);
        List<BlockId> ids = await cluster.PutAsync(context);
        await cluster.OpenAsync("s");
        PartSilo owner = cluster.Owner("s");
        owner.Peers.Away.Add(cluster.Silos.Find(silo => silo != owner)!.Name);
        Result<SequenceInfo> appended = await owner.Sequences.AppendAsync(
            owner.Store.Namespace, "s", ids.ToArray(), 64, replaceLast: false, RecallHarness.Guard);
        Assert.NotNull(appended.Error);
        Assert.Equal(0, owner.Sequences.Describe(owner.Store.Namespace, "s").Value.Tokens);
        owner.Peers.Away.Clear();
        await cluster.AppendAsync("s", ids, 64);
    }

    [Fact]
    public async Task AppendAsync_AtAnOwnerOfAnOlderMap_IsRefusedByTheHolders()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3, replicas: 2);
        var context = new KvContext(Shapes.Gqa(), 64, seed: 2);
        List<BlockId> ids = await cluster.PutAsync(context);
        await cluster.OpenAsync("s");
        PartSilo old = cluster.Owner("s");
        ClusterMap before = cluster.Map;
        cluster.Change([.. cluster.Silos.Where(silo => silo != old).Select(silo => silo.Name)]);
        await cluster.PutAsync(context);
        await cluster.AppendAsync("s", ids[..2], 32);

        // It has not heard of the new map: it thinks that it owns the sequence, and that it may write.
        old.Peers.Map = before;
        Result<SequenceInfo> late = await old.Sequences.AppendAsync(
            old.Store.Namespace, "s", ids.ToArray(), 64, replaceLast: false, TimeSpan.FromSeconds(5));
        Assert.NotNull(late.Error);
        Assert.Equal(32, cluster.Owner("s").Sequences.Describe(cluster.Owner("s").Store.Namespace, "s").Value.Tokens);
    }

    [Fact]
    public async Task CloseAsync_AHolderMissedIt_TheSequenceDoesNotComeBack()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3, replicas: 2);
        await cluster.AddAsync("s", new KvContext(Shapes.Gqa(), 64, seed: 2));
        PartSilo owner = cluster.Owner("s");
        string[] all = [.. cluster.Silos.Select(silo => silo.Name)];
        int[] holders = new int[2];
        cluster.Map.FindHolders(BlockGroups.OfSequence(owner.Store.Descriptor.Id, "s"), holders);
        string stale = cluster.Map.Silos[holders[1]].Name;

        // The holder is out of the cluster while the sequence is closed, and comes back with its old manifest.
        cluster.Change([.. all.Where(name => name != stale)]);
        Assert.Null((await cluster.Owner("s").Sequences.CloseAsync(owner.Store.Namespace, "s", RecallHarness.Guard)).Error);
        cluster.Change(all);
        foreach (PartSilo silo in cluster.Silos) await silo.Sequences.SettleAsync(RecallHarness.Guard);
        PartSilo now = cluster.Owner("s");
        Result<SequenceInfo> found = await now.Sequences.DescribeAsync(now.Store.Namespace, "s", RecallHarness.Guard);
        Assert.Equal(ErrorCode.InvalidArgument, found.Error?.Code);
        cluster.Change([stale]);
        found = await cluster.Silo(stale).Sequences.DescribeAsync(now.Store.Namespace, "s", RecallHarness.Guard);
        Assert.Equal(ErrorCode.InvalidArgument, found.Error?.Code);
    }

    [Fact]
    public async Task ForkAsync_NameOfAnotherOwner_IsMadeThereAndSharesTheBlocks()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        var context = new KvContext(Shapes.Gqa(), 1500, seed: 2);
        await cluster.AddAsync("s", context);
        PartSilo owner = cluster.Owner("s");
        foreach (string name in Names)
        {
            Result<SequenceInfo> forked = await owner.Sequences.ForkAsync(owner.Store.Namespace, "s", name, 0, RecallHarness.Guard);
            Assert.Null(forked.Error);
            Assert.Equal(1500, forked.Value.Tokens);
            RecallRequest request = Requests.Attend(owner.Store, Shapes.Selector(200), name: name);
            using RecallAnswer answer = await cluster.RecallAsync(request);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
        }

        Assert.Equal(
            ErrorCode.InvalidArgument,
            (await owner.Sequences.ForkAsync(owner.Store.Namespace, "s", Names[0], 0, RecallHarness.Guard)).Error?.Code);
    }

    [Fact]
    public async Task AppendAsync_BlocksStoredAlone_AreFoundWhereTheyAre()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        var context = new KvContext(Shapes.Gqa(), 700, seed: 2);
        List<BlockId> ids = await cluster.PutAsync(context, alone: true);
        await cluster.OpenAsync("s");
        await cluster.AppendAsync("s", ids, 700);
        RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.All());
        using RecallAnswer answer = await cluster.RecallAsync(request);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
    }

    [Fact]
    public async Task AppendAsync_TokenByToken_ReplacesTheLastBlockWhereverItLies()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        await cluster.OpenAsync("s");
        var context = new KvContext(Shapes.Gqa(), 8, seed: 4);
        List<BlockId> ids = await cluster.PutAsync(context);
        await cluster.AppendAsync("s", ids, 8);
        for (int step = 0; step < 12; step++)
        {
            long kept = context.Tokens;
            context = context.Continue(kept, 24, seed: 50 + step);
            int first = (int)(kept / 16);
            ids = await cluster.PutAsync(context, kept: ids[..first]);
            await cluster.AppendAsync("s", ids[first..], context.Tokens - (first * 16), replaceLast: kept % 16 != 0);
            RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.Selector(8));
            using RecallAnswer answer = await cluster.RecallAsync(request);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
        }
    }

    private static readonly string[] Names = [.. Enumerable.Range(0, 8).Select(i => $"name-{i}")];

    private static async Task OpenAndAppendAsync(PartCluster cluster, string name, List<BlockId> ids, long tokens)
    {
        await cluster.OpenAsync(name);
        await cluster.AppendAsync(name, ids, tokens);
    }
}

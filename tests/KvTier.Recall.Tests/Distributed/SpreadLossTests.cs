namespace KvTier.Recall.Tests.Distributed;

/// <summary>What is missing is named, and the rest is exact.</summary>
public class SpreadLossTests : LeakGated
{
    [Theory]
    [InlineData(true, 1.0)]
    [InlineData(false, 1.0)]
    [InlineData(true, 0.2)]
    [InlineData(false, 0.2)]
    public async Task RecallAsync_PartGivesNoAnswer_ItsTokensAreNamedAndTheRestIsExact(bool hangs, double share)
    {
        var clock = new ManualTimeProvider();
        await using PartCluster cluster = await PartCluster.StartAsync(3, time: clock);
        var context = new KvContext(Shapes.Gqa(), 3001, seed: 2);
        List<BlockId> ids = await cluster.AddAsync("s", context);
        PartSilo owner = cluster.Owner("s");
        PartSilo lost = cluster.OwnerOf(ids[64]) != owner ? cluster.OwnerOf(ids[64]) : cluster.Silos.Find(silo => silo != owner)!;
        (hangs ? owner.Peers.Hang : owner.Peers.Away).Add(lost.Name);
        Selector selector = Shapes.All() with { Budget = new RecallBudget(BudgetKind.Share, share) };
        RecallRequest request = Requests.Attend(owner.Store, selector);
        owner.Peers.Sent.Clear();
        int timers = clock.PendingTimers;
        Task<RecallAnswer> recall = cluster.RecallAsync(request);
        if (hangs)
        {
            // Time passes only while nothing is waited for but the silo that hangs, so that no other one is late however slow it is.
            await UntilAsync(() => owner.Peers.HasAsked(lost.Name) && owner.Peers.Answering == 0 && clock.PendingTimers == timers + 1);
            while (clock.PendingTimers > timers) clock.Advance(TimeSpan.FromMilliseconds(100));
        }

        using RecallAnswer answer = await recall.WaitAsync(RecallHarness.Guard, TestContext.Current.CancellationToken);
        RecallItemAnswer item = answer.Items[0];
        MissReason reason = hangs ? MissReason.Deadline : MissReason.OwnerLost;
        Assert.All(item.Missing, run => Assert.Equal(reason, run.Reason));
        for (int block = 0; block < ids.Count; block++)
        {
            bool isLost = cluster.OwnerOf(ids[BlockGroups.HeadOf(block)]) == lost;
            Assert.Equal(isLost, Answers.IsMissing(item, block * 16));
        }

        Answers.AssertAttends(answer, item, request, request.Items[0], context, cluster.Layout);
    }

    [Fact]
    public async Task RecallAsync_BlockIsGoneAtItsSilo_IsNamedAndTheRestIsExact()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        var context = new KvContext(Shapes.Gqa(), 1500, seed: 2);
        List<BlockId> ids = await cluster.AddAsync("s", context);
        foreach (PartSilo silo in cluster.Silos) silo.Store.Engine.Delete(silo.Store.Namespace, ids[70]);
        foreach (RecallMode mode in new[] { RecallMode.Attend, RecallMode.Gather })
        {
            RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.All()) with { Mode = mode };
            using RecallAnswer answer = await cluster.RecallAsync(request);
            MissingTokens run = Assert.Single(answer.Items[0].Missing);
            Assert.Equal((70 * 16, 16, MissReason.Deleted), (run.FirstToken, run.Tokens, run.Reason));
            if (mode == RecallMode.Attend)
                Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
            else Answers.AssertGathers(answer, answer.Items[0], request.Items[0], context, cluster.Layout);
        }
    }

    [Fact]
    public async Task RecallAsync_PartWasDropped_IsBuiltAnew()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        var context = new KvContext(Shapes.Gqa(), 1500, seed: 2);
        await cluster.AddAsync("s", context);
        foreach (PartSilo silo in cluster.Silos)
        {
            await silo.Store.Recall.DropPartAsync(silo.Store.Namespace, "s", RecallHarness.Guard);
            Assert.Equal(0, silo.Store.Recall.PartCount);
        }

        RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.Selector(200));
        using RecallAnswer answer = await cluster.RecallAsync(request);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var late = new CancellationTokenSource(RecallHarness.Guard);
        while (!condition()) await Task.Delay(1, late.Token);
    }
}

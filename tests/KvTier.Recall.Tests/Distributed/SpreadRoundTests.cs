namespace KvTier.Recall.Tests.Distributed;

/// <summary>How often other silos are asked for one recall.</summary>
public class SpreadRoundTests : LeakGated
{
    /// <summary>Where a message to score a part says how: 1 to keep the scores, 2 to rank for each query head.</summary>
    private const int HowToScore = sizeof(int);

    [Theory]
    [InlineData(GroupReduction.Max, true, 1)]
    [InlineData(GroupReduction.Union, true, 1)]
    [InlineData(GroupReduction.Max, false, 3)]
    [InlineData(GroupReduction.Mean, false, 1)]
    public async Task RecallAsync_RanksOfOneQueryHeadOrRawScores_AskEachSiloTwice(GroupReduction reduction, bool softmax, int window)
    {
        Selector selector = Shapes.Selector(160) with { Reduction = reduction, Softmax = softmax };
        Assert.Equal([PartOps.Score, PartOps.Score, PartOps.Recall, PartOps.Recall], await OperationsAsync(selector, window));
    }

    [Theory]
    [InlineData(GroupReduction.Mean, 1)]
    [InlineData(GroupReduction.Max, 2)]
    public async Task RecallAsync_RanksOfSeveralShares_AskEachSiloThreeTimes(GroupReduction reduction, int window)
    {
        Selector selector = Shapes.Selector(160) with { Reduction = reduction };
        Assert.Equal(
            [PartOps.Score, PartOps.Score, PartOps.Rank, PartOps.Rank, PartOps.Recall, PartOps.Recall],
            await OperationsAsync(selector, window));
    }

    [Theory]
    [InlineData(GroupReduction.Max)]
    [InlineData(GroupReduction.Union)]
    public async Task RecallAsync_ASiloThatKnowsNoRanksByHeads_IsAskedToRankAndChoosesTheSame(GroupReduction reduction)
    {
        await using PartCluster cluster = await StartAsync();
        PartSilo owner = cluster.Owner("s");
        RecallRequest request = Requests.Attend(owner.Store, Shapes.Selector(160) with { Reduction = reduction });
        using RecallAnswer expected = await cluster.RecallAsync(request);
        int changed = 0;
        owner.Peers.Changed = message =>
        {
            // Both silos are asked at once.
            if (message.Op != PartOps.Score || Interlocked.Exchange(ref changed, 1) == 1) return message;
            byte[] body = message.Body.ToArray();
            Assert.Equal(2, body[HowToScore]);
            body[HowToScore] = 1;
            return message with { Body = body };
        };
        owner.Peers.Sent.Clear();
        using RecallAnswer got = await cluster.RecallAsync(request);
        Assert.Single(owner.Peers.Sent, sent => sent.Op == PartOps.Rank);
        Assert.Equal(expected.Items[0].Units.ToArray(), got.Items[0].Units.ToArray());
        Assert.Equal(expected.Payload.ToArray(), got.Payload.ToArray());
    }

    private static async Task<PartCluster> StartAsync()
    {
        PartCluster cluster = await PartCluster.StartAsync(3);
        await cluster.AddAsync("s", new KvContext(cluster.Silos[0].Store.Descriptor.Profile, 3000, seed: 1));
        return cluster;
    }

    private static async Task<IEnumerable<ushort>> OperationsAsync(Selector selector, int window)
    {
        await using PartCluster cluster = await StartAsync();
        PartSilo owner = cluster.Owner("s");
        owner.Peers.Sent.Clear();
        using RecallAnswer answer = await cluster.RecallAsync(Requests.Attend(owner.Store, selector, window: window));
        return [.. owner.Peers.Sent.Select(sent => sent.Op)];
    }
}

namespace KvTier.Recall.Tests.Distributed;

/// <summary>Attention over everything, from several silos.</summary>
public class SpreadFullBudgetTests : LeakGated
{
    [Theory]
    [InlineData("fp32", 1)]
    [InlineData("fp32", 27)]
    [InlineData("fp32", 3000)]
    [InlineData("bf16", 1500)]
    [InlineData("int8", 1500)]
    [InlineData("mla", 1500)]
    [InlineData("rope", 1500)]
    [InlineData("odd-dim", 777)]
    public async Task RecallAsync_FullBudgetOverThreeSilos_EqualsAttentionInDoublePrecision(string shape, int tokens)
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3, ShapeTests.ProfileOf(shape));
        var context = new KvContext(cluster.Silos[0].Store.Descriptor.Profile, tokens, seed: tokens);
        await cluster.AddAsync("s", context);
        RecallRequest request = Requests.Attend(cluster.Silos[0].Store, Shapes.All(), window: 2) with
        {
            Temperature = 0.9f,
            LseMultiplier = 1.25f,
        };
        using RecallAnswer answer = await cluster.RecallAsync(request);
        Assert.Empty(answer.Items[0].Missing);
        Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, cluster.Layout);
        Assert.True(tokens < 1000 || cluster.Silos.Count(silo => silo.Store.Recall.PartCount == 1) > 1, "the blocks lie on several silos");
    }

    [Fact]
    public async Task RecallAsync_FullBudget_AsksEachSiloOnce()
    {
        await using PartCluster cluster = await PartCluster.StartAsync(3);
        var context = new KvContext(cluster.Silos[0].Store.Descriptor.Profile, 3000, seed: 1);
        await cluster.AddAsync("s", context);
        PartSilo owner = cluster.Owner("s");
        owner.Peers.Sent.Clear();
        using RecallAnswer answer = await cluster.RecallAsync(Requests.Attend(owner.Store, Shapes.All()));
        Assert.Equal(2, owner.Peers.Sent.Count);
        Assert.All(owner.Peers.Sent, sent => Assert.Equal(PartOps.Recall, sent.Op));
    }
}

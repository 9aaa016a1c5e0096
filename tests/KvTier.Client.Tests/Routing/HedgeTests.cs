using KvTier.Client.Routing;
using KvTier.Protocol;

namespace KvTier.Client.Tests.Routing;

/// <summary>A get of which the owner is slow.</summary>
public sealed class HedgeTests
{
    [Fact]
    public async Task Get_FromASlowOwner_IsAnsweredByTheNextHolder()
    {
        await using DoubleCluster cluster = await StartAsync();
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        (DoubleSilo owner, DoubleSilo next) = HoldersOf(cluster, prompt);
        DoubleCluster.Give(prompt, owner, next);
        owner.Hold();
        Assert.True((await prompt.GetAsync(cluster.Namespace))[0].IsHit);
        Assert.Equal((1, 1), (cluster.Client.Figures.Hedges, cluster.Client.Figures.HedgesWon));
        Assert.Equal([(Opcode.Get, RouteRole.Hedge, 1)], next.Seen);

        // What the owner sends in the end is for nobody.
        owner.Release();
        Assert.True((await prompt.GetAsync(cluster.Namespace))[0].IsHit);
    }

    [Fact]
    public async Task Get_FromASlowOwnerAlone_WaitsForIt_AsAMissOfTheNextHolderSaysNothing()
    {
        await using DoubleCluster cluster = await StartAsync();
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        (DoubleSilo owner, DoubleSilo next) = HoldersOf(cluster, prompt);
        DoubleCluster.Give(prompt, owner);
        owner.Hold();
        Task<BlockResult[]> get = prompt.GetAsync(cluster.Namespace);
        await DoubleCluster.UntilAsync(() => !next.Seen.IsEmpty);
        Assert.False(get.IsCompleted);
        owner.Release();
        Assert.True((await get)[0].IsHit);
        Assert.Equal((1, 0), (cluster.Client.Figures.Hedges, cluster.Client.Figures.HedgesWon));
    }

    [Fact]
    public async Task Get_OfWhatHasOneHolder_IsAskedOnce()
    {
        await using DoubleCluster cluster = await StartAsync(replicas: 1);
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        (DoubleSilo owner, DoubleSilo next) = HoldersOf(cluster, prompt);
        DoubleCluster.Give(prompt, owner);
        owner.Hold();
        Task<BlockResult[]> get = prompt.GetAsync(cluster.Namespace);
        await DoubleCluster.UntilAsync(() => !owner.Seen.IsEmpty);
        await Task.Delay(100);
        owner.Release();
        Assert.True((await get)[0].IsHit);
        Assert.Empty(next.Seen);
    }

    [Fact]
    public async Task Get_OfManyBlocks_IsRightWhicheverSiloAnswers()
    {
        await using DoubleCluster cluster = await StartAsync(delay: TimeSpan.FromMilliseconds(1), share: 1);
        var prompt = new Prompt(cluster.Namespace, "p", 200, length: 20_000);
        DoubleCluster.Give(prompt, cluster.Silos);
        for (int i = 0; i < 60; i++)
        {
            DoubleSilo slow = cluster.Silos[i % 3];
            slow.Hold();
            Task<BlockResult[]> get = prompt.GetAsync(cluster.Namespace);
            if (i % 2 == 0) await Task.Delay(i % 5);
            else await get;
            slow.Release();
            Assert.All(await get, result => Assert.True(result.IsHit, $"{i}: {result}"));
        }

        Assert.InRange(cluster.Client.Figures.HedgesWon, 1, cluster.Client.Figures.Hedges);
    }

    [Fact]
    public void Budget_LetsAFewThroughAndThenItsShare()
    {
        var budget = new HedgeBudget(0.1);
        Assert.Equal(8, Enumerable.Range(0, 100).Count(_ => budget.TrySpend()));
        int spent = 0;
        for (int i = 0; i < 1000; i++)
        {
            budget.Earn();
            if (budget.TrySpend()) spent++;
        }

        Assert.InRange(spent, 98, 101);
    }

    [Fact]
    public void Latency_OfOneSize_IsItsPercentileAndThatOfNoOther()
    {
        var window = new LatencyWindow();
        for (int i = 1; i <= 64; i++) window.Add(1 << 20, TimeSpan.FromMilliseconds(i));
        Assert.InRange(window.SlowOf(1 << 20).TotalMilliseconds, 59, 62);
        Assert.Equal(TimeSpan.Zero, window.SlowOf(100));
        for (int i = 0; i < 64; i++) window.Add(1 << 20, TimeSpan.FromMilliseconds(2));
        Assert.Equal(TimeSpan.FromMilliseconds(2), window.SlowOf(1 << 20));
        foreach (long bytes in (long[])[0, 1, 4096, 1L << 20, 1L << 40]) window.Add(bytes, TimeSpan.Zero);
    }

    private static Task<DoubleCluster> StartAsync(int replicas = 2, TimeSpan? delay = null, double share = 0.05) =>
        DoubleCluster.StartAsync(3, replicas, options =>
        {
            options.HedgeEnabled = true;
            options.HedgeDelay = delay ?? TimeSpan.FromMilliseconds(20);
            options.HedgeShare = share;
            options.TryTimeout = TimeSpan.FromSeconds(60);
        });

    private static (DoubleSilo Owner, DoubleSilo Next) HoldersOf(DoubleCluster cluster, Prompt prompt) =>
        (cluster.HolderOf(prompt.Groups[0], 0), cluster.HolderOf(prompt.Groups[0], 1));
}

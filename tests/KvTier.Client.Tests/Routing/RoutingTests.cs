using System.Diagnostics;
using KvTier.Protocol;

namespace KvTier.Client.Tests.Routing;

/// <summary>Moves, maps that differ, and silos that are lost.</summary>
public sealed class RoutingTests
{
    [Fact]
    public async Task Put_WhenSilosHaveANewerMap_FollowsIt()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(3);
        DoubleSilo[] left = cluster.Silos[1..];
        ClusterMap newer = cluster.MapOf(2, left);
        foreach (DoubleSilo silo in cluster.Silos) silo.Map = newer;
        var prompt = new Prompt(cluster.Namespace, "p", 300, length: 100);
        var statuses = new PutStatus[300];
        Assert.Equal(new PutSummary(300, 0, 0, null), (await cluster.Namespace.PutAsync(prompt.Puts, statuses)).Value);
        Assert.All(statuses, status => Assert.Equal(PutStatus.Stored, status));
        Assert.Equal(300, left.Sum(silo => silo.Blocks.Count));
        Assert.Equal(2, cluster.Client.Map!.Epoch);
        Assert.True(cluster.Client.Figures.ReroutedBlocks > 0);
        Assert.All(await prompt.GetAsync(cluster.Namespace), result => Assert.True(result.IsHit));
    }

    [Fact]
    public async Task PutAndGet_ByTheSilosMap_AreOneRequestEachAndNoOther()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(
            3, replicas: 2, options => (options.HedgeEnabled, options.HedgeDelay) = (true, TimeSpan.FromMinutes(5)));
        int asked = cluster.Silos.Sum(silo => silo.MapsAsked);
        var prompts = Enumerable.Range(0, 60).Select(i => new Prompt(cluster.Namespace, $"p{i}", 1, length: 100)).ToArray();
        foreach (Prompt prompt in prompts) Assert.Equal(1, (await cluster.Namespace.PutAsync(prompt.Puts)).Value.Stored);
        foreach (Prompt prompt in prompts) Assert.True((await prompt.GetAsync(cluster.Namespace))[0].IsHit);
        Assert.All(cluster.Silos, silo => Assert.Equal(
            2 * prompts.Count(prompt => cluster.HolderOf(prompt.Groups[0], 0) == silo), silo.Seen.Count));
        Assert.All(cluster.Silos.SelectMany(silo => silo.Seen), seen => Assert.Equal((RouteRole.Client, 1), (seen.Role, seen.Count)));
        Assert.Equal(asked, cluster.Silos.Sum(silo => silo.MapsAsked));
        Assert.Equal((0, 0), (cluster.Client.Figures.ReroutedBlocks, cluster.Client.Figures.Hedges));
    }

    [Fact]
    public async Task Put_WhenSilosSendItInACircle_EndsAtTheDeadlineAndSaysWhy()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(2);

        // Each silo thinks that all is the other's.
        cluster.Silos[0].Map = cluster.MapOf(2, [cluster.Silos[1]]);
        cluster.Silos[1].Map = cluster.MapOf(3, [cluster.Silos[0]]);
        var watch = Stopwatch.StartNew();
        var prompt = new Prompt(cluster.Namespace, "p", 10, length: 100);
        Result<PutSummary> put = await cluster.Namespace.PutAsync(
            prompt.Puts, default, new PutOptions { Timeout = TimeSpan.FromMilliseconds(2500) });
        Assert.Equal((ErrorCode.DeadlineExceeded, "route"), (put.Error!.Code, put.Error.Field));
        Assert.Contains("10 of 10 blocks left after 2500 ms", put.Error.Value, StringComparison.Ordinal);
        Assert.Contains("Moved: silo", put.Error.Value, StringComparison.Ordinal);
        Assert.InRange(watch.Elapsed, TimeSpan.FromMilliseconds(2490), TimeSpan.FromSeconds(60));
        Result<GetSummary> get = await cluster.Namespace.GetAsync(
            new GetBlock[] { new(prompt.Ids[0], new byte[100]) }, new BlockResult[1], TimeSpan.FromMilliseconds(200));
        Assert.Equal(ErrorCode.DeadlineExceeded, get.Error!.Code);
        Assert.True(cluster.Silos.Sum(silo => silo.Seen.Count) < 200, "it asks again without a pause");
    }

    [Fact]
    public async Task Get_WhenTheOwnerIsLost_ComesFromTheNextHolderAtOnce()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(3, replicas: 2);
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        BlockId group = prompt.Groups[0];
        DoubleCluster.Give(prompt, cluster.HolderOf(group, 0), cluster.HolderOf(group, 1));
        Assert.True((await prompt.GetAsync(cluster.Namespace))[0].IsHit);
        await cluster.KillAsync(cluster.HolderOf(group, 0));
        for (int i = 0; i < 5; i++) Assert.True((await prompt.GetAsync(cluster.Namespace, TimeSpan.FromSeconds(60)))[0].IsHit);
        Assert.Contains((Opcode.Get, RouteRole.Hedge, 1), cluster.HolderOf(group, 1).Seen);
    }

    [Fact]
    public async Task Get_WhenNoHolderIsLeft_IsAMissWithItsReason_OrAnErrorWhereNobodyAnswered()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(3);
        var prompt = new Prompt(cluster.Namespace, "p", 300, length: 100);
        Assert.Equal(300, (await cluster.Namespace.PutAsync(prompt.Puts)).Value.Stored);
        DoubleSilo lost = cluster.HolderOf(prompt.Groups[0], 0);
        string[] owners = [.. prompt.Groups.Select(group => cluster.HolderOf(group, 0).Name)];
        await cluster.KillAsync(lost);
        BlockResult[] results = await prompt.GetAsync(cluster.Namespace);
        for (int i = 0; i < results.Length; i++)
        {
            Assert.Equal(owners[i] != lost.Name, results[i].IsHit);
            Assert.Equal(results[i].IsHit ? MissReason.None : MissReason.OwnerLost, results[i].Reason);
        }

        Result<GetSummary> alone = await cluster.Namespace.GetAsync(
            new GetBlock[] { new(prompt.Ids[0], new byte[100]) }, new BlockResult[1]);
        Assert.Equal(ErrorCode.Unavailable, alone.Error!.Code);
    }

    [Fact]
    public async Task Put_WhenTheOwnerIsLost_WaitsForTheMapWithoutIt()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(2);
        var prompt = new Prompt(cluster.Namespace, "p", 100, length: 100);
        DoubleSilo lost = cluster.HolderOf(prompt.Groups[0], 0), left = cluster.Silos.Single(silo => silo != lost);
        await cluster.KillAsync(lost);
        Task<Result<PutSummary>> put = cluster.Namespace.PutAsync(prompt.Puts).AsTask();
        await DoubleCluster.UntilAsync(() => cluster.Client.Figures.ReroutedBlocks > 0);
        Assert.False(put.IsCompleted);
        left.Map = cluster.MapOf(2, [left]);
        Assert.Equal(100, (await put).Value.Stored);
        Assert.Equal(100, left.Blocks.Count);
    }

    [Fact]
    public async Task Put_OnItsWayToASiloThatLeavesTheMap_IsSentToTheNextOwner()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(2, configure: options =>
        {
            options.TryTimeout = TimeSpan.FromMinutes(2);
            options.Silo.RequestTimeout = TimeSpan.FromMinutes(2);
        });
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        DoubleSilo stopped = cluster.HolderOf(prompt.Groups[0], 0), left = cluster.Silos.Single(silo => silo != stopped);
        stopped.Hold();
        Task<Result<PutSummary>> put = cluster.Namespace.PutAsync(prompt.Puts).AsTask();
        await DoubleCluster.UntilAsync(() => !stopped.Seen.IsEmpty);

        // The silo stands still with its connections open. Only the map tells that it is out.
        foreach (DoubleSilo silo in cluster.Silos) silo.Map = cluster.MapOf(2, [left]);
        Assert.Equal(2, (await cluster.Client.RefreshAsync()).Value.Epoch);
        Assert.Equal(1, (await put).Value.Stored);
        Assert.Single(left.Blocks);
    }

    [Fact]
    public async Task Get_OnItsWayToASiloThatLeavesTheMap_IsAskedOfTheNextOwner()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(2, configure: options =>
        {
            options.TryTimeout = TimeSpan.FromMinutes(2);
            options.Silo.RequestTimeout = TimeSpan.FromMinutes(2);
        });
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        DoubleSilo stopped = cluster.HolderOf(prompt.Groups[0], 0), left = cluster.Silos.Single(silo => silo != stopped);
        DoubleCluster.Give(prompt, left);
        stopped.Hold();
        Task<BlockResult[]> get = prompt.GetAsync(cluster.Namespace);
        await DoubleCluster.UntilAsync(() => !stopped.Seen.IsEmpty);
        foreach (DoubleSilo silo in cluster.Silos) silo.Map = cluster.MapOf(2, [left]);
        Assert.Equal(2, (await cluster.Client.RefreshAsync()).Value.Epoch);
        Assert.True((await get)[0].IsHit);
    }

    [Fact]
    public async Task Get_OfAHotGroup_IsSpreadOverItsCopies()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(3);
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        DoubleCluster.Give(prompt, cluster.Silos);
        foreach (DoubleSilo silo in cluster.Silos) silo.Copies = 3;
        for (int i = 0; i < 200; i++) Assert.True((await prompt.GetAsync(cluster.Namespace))[0].IsHit);
        Assert.All(cluster.Silos, silo => Assert.True(silo.Seen.Count > 20, $"{silo.Name}: {silo.Seen.Count}"));
    }

    [Fact]
    public async Task Get_OfACopyThatIsGone_ComesFromTheOwner()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(3);
        var prompt = new Prompt(cluster.Namespace, "p", 1);
        DoubleSilo owner = cluster.HolderOf(prompt.Groups[0], 0);
        DoubleCluster.Give(prompt, owner);
        owner.Copies = 3;
        for (int i = 0; i < 50; i++) Assert.True((await prompt.GetAsync(cluster.Namespace))[0].IsHit);
    }

    [Fact]
    public async Task Call_ThatIsCancelled_ThrowsAndLeavesTheClientInOrder()
    {
        await using DoubleCluster cluster = await DoubleCluster.StartAsync(2);
        var prompt = new Prompt(cluster.Namespace, "p", 50, length: 100);
        foreach (DoubleSilo silo in cluster.Silos) silo.Hold();
        using var source = new CancellationTokenSource();
        Task<Result<PutSummary>> put = cluster.Namespace.PutAsync(prompt.Puts, default, default, source.Token).AsTask();
        await DoubleCluster.UntilAsync(() => cluster.Silos.All(silo => !silo.Seen.IsEmpty));
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => put);
        foreach (DoubleSilo silo in cluster.Silos) silo.Release();
        Assert.True((await cluster.Namespace.PutAsync(prompt.Puts)).Value.AllAcknowledged);
    }

    [Fact]
    public async Task Connect_ToNobody_SaysSo()
    {
        Result<KvClusterClient> connected = await KvClusterClient.ConnectAsync(new KvClusterClientOptions
        {
            Endpoints = ["tcp://127.0.0.1:1"],
        });
        Assert.Equal(ErrorCode.Unavailable, connected.Error!.Code);
        Assert.Equal("Endpoints.Count", (await KvClusterClient.ConnectAsync(new KvClusterClientOptions())).Error!.Field);
    }
}

using KvTier.Silo;

namespace KvTier.ProcessTests.Cluster;

public sealed class OwnerLossTests
{
    [Fact]
    public async Task KillMinus9_AnOwnerUnderLoadWithTwoCopies_NothingAcknowledgedIsLostAndClientsAreBackInFiveSeconds()
    {
        // The lease of the one that is killed is the default; the others' outlast what a busy machine takes from them.
        string[] ofLast = ["--cluster-lease-ms", "3000"];
        await using LoadedCluster cluster = await LoadedCluster.StartAsync(replicas: 2, writers: 3, ofLast: ofLast);
        await cluster.Load.PassAsync(500);
        TestMember killed = cluster.Silos.Members[2];
        await using Stalls stalls = await Stalls.WatchAsync(cluster.Silos.Etcd, cluster.Silos.Members.Where(member => member != killed));
        await killed.Process.KillAsync();
        await TestCluster.WaitForMemberAsync(cluster.Silos.Members[0], killed.Name, isMember: false);
        await cluster.Load.PassAsync(1000);
        await cluster.AssertNothingWentWrongAsync();
        Assert.InRange(cluster.Load.Longest, TimeSpan.Zero, TimeSpan.FromSeconds(5) + stalls.Total);
        await cluster.Silos.WaitUntilSettledAsync();

        // It comes back with its data, and takes its groups again.
        await killed.StartAsync();
        await cluster.Silos.WaitUntilSettledAsync();
        Assert.Empty(await cluster.Blocks.MissingAsync(cluster.Load.Acknowledged));
    }

    [Fact]
    public async Task Sigterm_EverySiloInTurnUnderLoadWithTwoCopies_NoRequestFails()
    {
        await using LoadedCluster cluster = await LoadedCluster.StartAsync(replicas: 2);
        await cluster.Load.PassAsync(500);
        foreach (TestMember member in cluster.Silos.Members)
        {
            Assert.Equal(0, await member.Process.TerminateAsync());
            await cluster.Load.PassAsync(300);
            await member.StartAsync();
            await cluster.Silos.WaitUntilSettledAsync();
            await cluster.Load.PassAsync(300);
        }

        await cluster.AssertNothingWentWrongAsync();
    }

    [Fact]
    public async Task Join_AFourthSiloUnderLoad_TakesItsShareWithoutMisses()
    {
        await using LoadedCluster cluster = await LoadedCluster.StartAsync(replicas: 1);
        await cluster.Load.PassAsync(1500);
        TestMember fourth = await cluster.Silos.AddAsync();
        await cluster.Silos.WaitUntilSettledAsync();
        await cluster.Load.PassAsync(500);
        await cluster.AssertNothingWentWrongAsync();
        // Silos publish how many blocks they have from time to time.
        await TestCluster.WaitAsync(async () =>
        {
            ClusterStatus status = await TestCluster.StatusAsync(fourth);
            long total = status.Silos.Sum(silo => silo.Blocks);
            long its = status.Silos.Single(silo => silo.Name == fourth.Name).Blocks;
            return (its > total * 0.18 && its < total * 0.32 && total >= cluster.Load.Acknowledged.Count * 0.95, status.ToJson());
        });
    }

    [Fact]
    public async Task Sigterm_ADrainedSiloWithOneCopy_NothingIsMissed()
    {
        await using LoadedCluster cluster = await LoadedCluster.StartAsync(replicas: 1);
        await cluster.Load.PassAsync(500);
        TestMember drained = cluster.Silos.Members[1];
        KvtierRun drain = await KvtierRun.Async("cluster", "drain", drained.Name, "-e", cluster.Silos.Members[0].Endpoint);
        Assert.True(drain.ExitCode == 0, drain.Error);
        // Silos publish how many blocks they have from time to time.
        await TestCluster.WaitAsync(async () =>
        {
            ClusterStatus status = await TestCluster.StatusAsync(cluster.Silos.Members[0]);
            ClusterStatusSilo left = status.Silos.Single(silo => silo.Name == drained.Name);
            Assert.Equal((true, 0), (left.Draining, left.Share));
            return (left.Blocks == 0, status.ToJson());
        });
        Assert.Equal(0, await drained.Process.TerminateAsync());
        await cluster.Load.PassAsync(300);
        await cluster.AssertNothingWentWrongAsync();

        // It comes back as a silo that takes its share.
        await drained.StartAsync();
        await cluster.Silos.WaitUntilSettledAsync();
        Assert.All((await TestCluster.StatusAsync(drained)).Silos, silo => Assert.True(!silo.Draining && silo.Share > 0));
        Assert.Empty(await cluster.Blocks.MissingAsync(cluster.Load.Acknowledged));
    }
}

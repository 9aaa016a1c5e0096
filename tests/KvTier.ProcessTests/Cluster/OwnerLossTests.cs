using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

public sealed class OwnerLossTests
{
    [Fact]
    public async Task KillMinus9_AnOwnerUnderLoadWithTwoCopies_NothingAcknowledgedIsLostAndClientsAreBackInFiveSeconds()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
        await using var load = new SteadyLoad(blocks, AckLevel.Replica, writers: 3, readers: 3);
        await load.PassAsync(500);
        await cluster.Members[1].Process.KillAsync();
        await TestCluster.WaitForMemberAsync(cluster.Members[0], cluster.Members[1].Name, isMember: false);
        await load.PassAsync(1000);
        await load.StopAsync();
        Assert.Equal(0, load.Wrong);
        Assert.Empty(load.Missed);
        Assert.Empty(load.Failures);
        Assert.InRange(load.Longest, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        Assert.Empty(await blocks.MissingAsync(load.Acknowledged));
        await cluster.WaitUntilSettledAsync();

        // It comes back with its data, and takes its groups again.
        await cluster.Members[1].StartAsync();
        await cluster.WaitUntilSettledAsync();
        Assert.Empty(await blocks.MissingAsync(load.Acknowledged));
    }

    [Fact]
    public async Task Sigterm_EverySiloInTurnUnderLoadWithTwoCopies_NoRequestFails()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
        await using var load = new SteadyLoad(blocks, AckLevel.Replica, writers: 2, readers: 3);
        await load.PassAsync(500);
        foreach (TestMember member in cluster.Members)
        {
            Assert.Equal(0, await member.Process.TerminateAsync());
            await load.PassAsync(300);
            await member.StartAsync();
            await cluster.WaitUntilSettledAsync();
            await load.PassAsync(300);
        }

        await load.StopAsync();
        Assert.Empty(load.Failures);
        Assert.Empty(load.Missed);
        Assert.Equal(0, load.Wrong);
        Assert.Empty(await blocks.MissingAsync(load.Acknowledged));
    }

    [Fact]
    public async Task Join_AFourthSiloUnderLoad_TakesItsShareWithoutMisses()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
        await using var load = new SteadyLoad(blocks, AckLevel.Memory, writers: 2, readers: 3);
        await load.PassAsync(1500);
        TestMember fourth = await cluster.AddAsync();
        await cluster.WaitUntilSettledAsync();
        await load.PassAsync(500);
        await load.StopAsync();
        Assert.Empty(load.Failures);
        Assert.Empty(load.Missed);
        Assert.Equal(0, load.Wrong);
        Assert.Empty(await blocks.MissingAsync(load.Acknowledged));
        Silo.ClusterStatus status = await TestCluster.StatusAsync(fourth);
        long total = status.Silos.Sum(silo => silo.Blocks);
        Assert.InRange(status.Silos.Single(silo => silo.Name == fourth.Name).Blocks, total * 0.18, total * 0.32);
    }
}

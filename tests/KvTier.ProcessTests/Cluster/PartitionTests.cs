using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

public sealed class PartitionTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Partition_ASiloIsCutOff_TheOthersServeAndItComesBack(bool bothWays)
    {
        using var network = new NetworkOfSilos(3);
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2, network);
        await using KvClusterClient client = await cluster.ConnectAsync();
        ClusterBlocks blocks = await ClusterBlocks.OpenAsync(client);
        await using var load = new SteadyLoad(blocks, AckLevel.Replica, writers: 2, readers: 2);
        await load.PassAsync(300);
        if (bothWays) network.CutOff(2);
        else network.Silence(2);
        await TestCluster.WaitForMemberAsync(cluster.Members[0], cluster.Members[2].Name, isMember: false);
        await load.PassAsync(500);
        if (bothWays) network.Mend(2);
        else network.Unsilence(2);
        await cluster.WaitUntilSettledAsync();
        await load.PassAsync(300);
        await load.StopAsync();
        Assert.Equal(0, load.Wrong);
        Assert.Empty(load.Failures);
        Assert.Empty(load.Missed);
        Assert.Empty(await blocks.MissingAsync(load.Acknowledged));
    }
}

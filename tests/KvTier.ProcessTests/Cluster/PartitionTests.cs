namespace KvTier.ProcessTests.Cluster;

public sealed class PartitionTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Partition_ASiloIsCutOff_TheOthersServeAndItComesBack(bool bothWays)
    {
        using var network = new NetworkOfSilos(3);
        await using LoadedCluster cluster = await LoadedCluster.StartAsync(replicas: 2, readers: 2, network: network);
        await cluster.Load.PassAsync(300);
        if (bothWays) network.CutOff(2);
        else network.Silence(2);
        await TestCluster.WaitForMemberAsync(cluster.Silos.Members[0], cluster.Silos.Members[2].Name, isMember: false);
        await cluster.Load.PassAsync(500);
        if (bothWays) network.Mend(2);
        else network.Unsilence(2);
        await cluster.Silos.WaitUntilSettledAsync();
        await cluster.Load.PassAsync(300);
        await cluster.AssertNothingWentWrongAsync();
    }
}

using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A cluster of three silos that is written and read all the while.</summary>
internal sealed class LoadedCluster : IAsyncDisposable
{
    private readonly KvClusterClient client;

    private LoadedCluster(TestCluster silos, KvClusterClient client, ClusterBlocks blocks, SteadyLoad load)
    {
        (Silos, this.client, Blocks, Load) = (silos, client, blocks, load);
    }

    public TestCluster Silos { get; }

    public ClusterBlocks Blocks { get; }

    public SteadyLoad Load { get; }

    /// <summary>Starts silos and load. Puts wait for all holders, where there is more than one.</summary>
    /// <param name="replicas">Copies of each block.</param>
    /// <param name="writers">How many write.</param>
    /// <param name="readers">How many read.</param>
    /// <param name="network">Where the silos are; one of them may be cut off there.</param>
    /// <param name="ofLast">Arguments of the last silo.</param>
    public static async Task<LoadedCluster> StartAsync(
        int replicas, int writers = 2, int readers = 3, NetworkOfSilos? network = null, params string[] ofLast)
    {
        string[] ofAll = network is null ? [] : TestCluster.OfMuteSilos;
        TestCluster silos = await TestCluster.StartAsync(ofLast.Length > 0 ? 2 : 3, replicas, network, ofAll);
        try
        {
            if (ofLast.Length > 0)
            {
                await silos.AddAsync(ofLast);
                await silos.WaitUntilSettledAsync();
            }

            KvClusterClient connected = await silos.ConnectAsync();
            ClusterBlocks blocks = await ClusterBlocks.OpenAsync(connected);
            var load = new SteadyLoad(blocks, replicas > 1 ? AckLevel.Replica : AckLevel.Memory, writers, readers);
            return new LoadedCluster(silos, connected, blocks, load);
        }
        catch
        {
            await silos.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends the load: no request failed, no byte was wrong, and all that was acknowledged was found and is there.</summary>
    public async Task AssertNothingWentWrongAsync()
    {
        await Load.StopAsync();
        Assert.Equal(0, Load.Wrong);
        Assert.Empty(Load.Missed);
        Assert.Empty(Load.Failures);
        Assert.Empty(await Blocks.MissingAsync(Load.Acknowledged));
    }

    public async ValueTask DisposeAsync()
    {
        await Load.DisposeAsync();
        await client.DisposeAsync();
        await Silos.DisposeAsync();
    }
}

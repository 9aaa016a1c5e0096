using KvTier.Client;

namespace KvTier.Cli;

/// <summary>A plain client of each silo of a cluster, and whose each block is: what a caller would do that routes by hand.</summary>
internal sealed class OwnerClients : IAsyncDisposable
{
    private readonly List<BenchBlocks> clients = [];
    private readonly ClusterMap map;

    private OwnerClients(ClusterMap map) => this.map = map;

    /// <summary>The silos.</summary>
    public int Count => clients.Count;

    /// <summary>Connects to every silo.</summary>
    public static async Task<OwnerClients> ConnectAsync(ClusterSilos silos, ClusterMap map, CancellationToken cancel)
    {
        var made = new OwnerClients(map);
        try
        {
            foreach (SiloEntry silo in map.Silos)
                made.clients.Add(await BenchBlocks.ConnectAsync(silos.EndpointOf(silo.Name), TransportMode.Wire, cancel));
            return made;
        }
        catch
        {
            await made.DisposeAsync();
            throw;
        }
    }

    /// <summary>The place of a block's owner in the map.</summary>
    public int OwnerOf(BlockId id) => map.OwnerOf(id);

    /// <summary>The client of a silo.</summary>
    public BenchBlocks At(int silo) => clients[silo];

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (BenchBlocks client in clients) await client.DisposeAsync();
    }
}

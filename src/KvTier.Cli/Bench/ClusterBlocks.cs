using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Blocks that measurements put into a cluster and get from it: a client that routes, with one connection to each silo.</summary>
internal sealed class ClusterBlocks : IAsyncDisposable
{
    private readonly KvClusterClient client;

    private ClusterBlocks(KvClusterClient client, KvClusterNamespace ns)
    {
        this.client = client;
        Namespace = ns;
    }

    /// <summary>The namespace.</summary>
    public KvClusterNamespace Namespace { get; }

    /// <summary>The map by which it routes.</summary>
    public ClusterMap Map => client.Map!;

    /// <summary>Connects.</summary>
    public static async Task<ClusterBlocks> ConnectAsync(ClusterSilos silos, NamespaceDescriptor descriptor, CancellationToken cancel)
    {
        var options = new KvClusterClientOptions
        {
            Endpoints = [.. silos.Silos.Values.Select(silo => silo.Endpoints["tcp"])],
            Silo = new KvTierClientOptions
            {
                Transport = TransportMode.Wire,
                Connections = 1,
                ClientName = "kvtier-bench",
                RequestTimeout = TimeSpan.FromSeconds(60),
            },
        };
        KvClusterClient connected = (await KvClusterClient.ConnectAsync(options, cancel)).OrFail();
        return new ClusterBlocks(connected, (await connected.OpenNamespaceAsync(descriptor, cancel)).OrFail());
    }

    /// <summary>Name of the silo that owns a block which is a group of its own.</summary>
    public string OwnerOf(BlockId id) => Map.Silos[Map.OwnerOf(id)].Name;

    /// <summary>Puts a block.</summary>
    public async ValueTask PutAsync(byte[] key, ReadOnlyMemory<byte> payload, AckLevel ack = AckLevel.Memory, BlockId group = default)
    {
        PutBlock[] blocks = [new PutBlock(key, payload, Group: group)];
        PutSummary summary = (await Namespace.PutAsync(blocks, options: new PutOptions { Ack = ack })).OrFail();
        summary.Error.OrFail();
    }

    /// <summary>Gets a block, which must be there.</summary>
    public async ValueTask GetAsync(BlockId id, Memory<byte> destination, BlockId group = default)
    {
        GetBlock[] blocks = [new GetBlock(id, destination, Group: group)];
        var results = new BlockResult[1];
        (await Namespace.GetAsync(blocks, results)).OrFail();
        if (!results[0].IsHit)
            throw new CliException(ExitCodes.Fault, $"bench: a block that was put is not there: {results[0].Reason.Name()}");
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => client.DisposeAsync();
}

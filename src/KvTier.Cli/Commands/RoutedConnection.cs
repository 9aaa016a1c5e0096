using KvTier.Client;

namespace KvTier.Cli;

/// <summary>
/// How a command reaches blocks and sequences: the silo at its endpoint, and a client that sends each to its owner when that silo is in a
/// cluster. Outside of one the silo owns everything.
/// </summary>
internal sealed class RoutedConnection : IAsyncDisposable
{
    private readonly Func<string, KvTierClientOptions> optionsOf;

    private RoutedConnection(KvTierClient silo, KvClusterClient cluster, Func<string, KvTierClientOptions> optionsOf)
    {
        Silo = silo;
        Cluster = cluster;
        this.optionsOf = optionsOf;
    }

    /// <summary>The silo at the endpoint.</summary>
    public KvTierClient Silo { get; }

    /// <summary>The client that routes.</summary>
    public KvClusterClient Cluster { get; }

    /// <summary>Takes a silo's client over and asks it for the map.</summary>
    /// <param name="silo">The client; disposed with this, and when this fails.</param>
    /// <param name="options">How it was connected.</param>
    /// <param name="optionsOf">How another silo is connected, by its endpoint.</param>
    /// <param name="cancel">Ends the wait.</param>
    /// <exception cref="CliException">There is no map.</exception>
    public static async Task<RoutedConnection> OverAsync(
        KvTierClient silo, KvTierClientOptions options, Func<string, KvTierClientOptions> optionsOf, CancellationToken cancel)
    {
        var routed = new KvClusterClientOptions { Endpoints = [options.Endpoint], Silo = options };
        Result<KvClusterClient> connected = await KvClusterClient.ConnectAsync(routed, cancel);
        if (connected.TryGet(out KvClusterClient? cluster, out KvError? error)) return new RoutedConnection(silo, cluster, optionsOf);
        await silo.DisposeAsync();
        throw CliException.Of(error);
    }

    /// <summary>Finds a namespace by its name: at the silo, else at the others of its cluster that can be reached.</summary>
    /// <returns>Null when none of them knows it.</returns>
    public async Task<NamespaceDescriptor?> FindNamespaceAsync(string name, CancellationToken cancel)
    {
        if (await FindAtAsync(Silo, name, cancel) is { } known) return known;
        if (Cluster.Map is not { Epoch: > 0 } map) return null;
        foreach (SiloEntry other in map.Silos.Where(other => other.Name != Silo.Silo?.Name))
        {
            Result<KvTierClient> connected = await KvTierClient.ConnectAsync(optionsOf($"tcp://{other.Endpoint}"), cancel);
            if (!connected.TryGet(out KvTierClient? client, out _)) continue;
            await using (client)
            {
                if (await FindAtAsync(client, name, cancel) is { } found) return found;
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Cluster.DisposeAsync();
        await Silo.DisposeAsync();
    }

    private static async Task<NamespaceDescriptor?> FindAtAsync(KvTierClient silo, string name, CancellationToken cancel) =>
        Array.Find((await silo.ListNamespacesAsync(cancel)).OrFail(), info => info.Descriptor.Name == name)?.Descriptor;
}

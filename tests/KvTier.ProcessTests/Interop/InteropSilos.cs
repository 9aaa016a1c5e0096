using KvTier.Cli;
using KvTier.Client;
using KvTier.ProcessTests.Cluster;

namespace KvTier.ProcessTests.Interop;

/// <summary>Real silos on Unix sockets, with a client in .NET and one in Python that share their memory.</summary>
public abstract class InteropSilos : IAsyncLifetime
{
    /// <summary>Little host memory, so that it is soon full, and leases that outlast a test however slow the machine is.</summary>
    private protected static readonly string[] Small =
        ["--host-bytes", "32MiB", "--limits-lease-ms-max", "300000", "--put-wait-ms", "30000"];

    /// <summary>How many silos there are; one is in no cluster.</summary>
    public abstract int Count { get; }

    internal KvClusterClient Client { get; private set; } = null!;

    internal PythonPeer Peer { get; private set; } = null!;

    /// <summary>The silos' Unix sockets.</summary>
    internal abstract string[] Sockets { get; }

    public async ValueTask InitializeAsync()
    {
        await StartSilosAsync();
        var options = new KvClusterClientOptions
        {
            Endpoints = Sockets,
            Silo = new KvTierClientOptions { RequestTimeout = TimeSpan.FromSeconds(30), LeaseDuration = TimeSpan.FromMinutes(5) },
            TryTimeout = TimeSpan.FromSeconds(20),
        };
        Client = (await KvClusterClient.ConnectAsync(options, TestSilo.Cancel)).Value;
        Peer = await StartPeerAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (Peer is not null) await Peer.DisposeAsync();
        if (Client is not null) await Client.DisposeAsync();
        await StopSilosAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>A further client in Python.</summary>
    internal Task<PythonPeer> StartPeerAsync() => PythonPeer.StartAsync(Sockets);

    /// <summary>A client of one silo alone.</summary>
    internal async Task<KvTierClient> ConnectToAsync(string socket)
    {
        var options = new KvTierClientOptions { Endpoint = socket, RequestTimeout = TimeSpan.FromSeconds(30) };
        return (await KvTierClient.ConnectAsync(options, TestSilo.Cancel)).Value;
    }

    /// <summary>Slots of all silos that are leased now.</summary>
    internal async Task<long> LeasedSlotsAsync()
    {
        long leased = 0;
        foreach (string socket in Sockets)
        {
            await using KvTierClient client = await ConnectToAsync(socket);
            using JsonDocument stat = JsonDocument.Parse((await client.StatAsync(TestSilo.Cancel)).Value);
            leased += stat.RootElement.GetProperty("engine").GetProperty("leasedSlots").GetInt64();
        }

        return leased;
    }

    protected abstract Task StartSilosAsync();

    protected abstract Task StopSilosAsync();
}

/// <summary>One silo in no cluster.</summary>
public sealed class OneSilo : InteropSilos
{
    private readonly TempFolder folder = new();
    private SiloProcess? silo;

    /// <inheritdoc/>
    public override int Count => 1;

    internal override string[] Sockets => [silo!.Endpoints["unix"]];

    /// <inheritdoc/>
    protected override async Task StartSilosAsync() => silo = await SiloProcess.StartAsync(
        ["--tcp", "false", "--http-enabled", "false", "--unix-socket", folder.File("s"), "--data-directory", folder.File("data"),
            "--ssd-bytes", "1GiB", .. Small], TestSilo.Cancel);

    /// <inheritdoc/>
    protected override async Task StopSilosAsync()
    {
        if (silo is not null) await silo.DisposeAsync();
        folder.Dispose();
    }
}

/// <summary>A cluster of three.</summary>
public sealed class ThreeSilos : InteropSilos
{
    private TestCluster? cluster;

    /// <inheritdoc/>
    public override int Count => 3;

    internal override string[] Sockets => [.. cluster!.Members.Select(member => member.Socket)];

    /// <inheritdoc/>
    protected override async Task StartSilosAsync() => cluster = await TestCluster.StartAsync(Count, replicas: 1, null, Small);

    /// <inheritdoc/>
    protected override async Task StopSilosAsync()
    {
        if (cluster is not null) await cluster.DisposeAsync();
    }
}

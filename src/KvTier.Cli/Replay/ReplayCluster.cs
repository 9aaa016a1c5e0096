using System.Globalization;
using KvTier.Client;
using KvTier.Silo;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli;

/// <summary>A cluster for a replay: silos in this process over an etcd of its own, or one that runs already.</summary>
internal sealed class ReplayCluster : IAsyncDisposable
{
    /// <summary>Lease of a silo: no figure is to depend on whether this process stood still for a moment.</summary>
    private const int LeaseMs = 15_000;

    private static readonly TimeSpan startDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan stopDeadline = TimeSpan.FromSeconds(20);
    private readonly LocalClusterFolder? folder;
    private readonly LocalEtcd? etcd;
    private readonly List<SiloRunner> silos;
    private readonly KvClusterClient client;

    private ReplayCluster(LocalClusterFolder? folder, LocalEtcd? etcd, List<SiloRunner> silos, KvClusterClient client)
    {
        this.folder = folder;
        this.etcd = etcd;
        this.silos = silos;
        this.client = client;
    }

    /// <summary>Silos of the cluster.</summary>
    public int Silos => client.Map!.Silos.Count;

    /// <summary>Starts silos that share a room evenly.</summary>
    /// <param name="options">The room of all together.</param>
    /// <param name="count">How many silos.</param>
    /// <param name="path">A folder for their files; not removed.</param>
    /// <param name="logs">What they log to.</param>
    /// <param name="cancel">Ends the start.</param>
    public static async Task<ReplayCluster> StartAsync(
        ReplayOptions options, int count, string path, ILoggerFactory logs, CancellationToken cancel)
    {
        LocalClusterFolder place = LocalClusterFolder.Open(path);
        LocalEtcd? engine = null;
        var started = new List<SiloRunner>();
        try
        {
            await LocalEtcdStart.RunAsync(place, new LocalClusterOptions { Name = "replay" }, startDeadline, etcd => engine = etcd, cancel);
            for (int i = 0; i < count; i++)
                started.Add(await SiloRunner.StartAsync(SiloOf(options, count, i, engine!, path), logs, cancel));
            KvClusterClient connected = await ConnectAsync([.. started.Select(silo => silo.Endpoints["tcp"])], cancel);
            await SettleAsync(connected, count, cancel);
            return new ReplayCluster(place, engine, started, connected);
        }
        catch
        {
            await StopAsync(started, engine, place);
            throw;
        }
    }

    /// <summary>Connects to a cluster that runs.</summary>
    public static async Task<ReplayCluster> ConnectToAsync(IReadOnlyList<string> endpoints, CancellationToken cancel) =>
        new(null, null, [], await ConnectAsync(endpoints, cancel));

    /// <summary>Opens the namespace of replays.</summary>
    public async Task<IReplayTarget> OpenAsync(NamespaceDescriptor descriptor, CancellationToken cancel) =>
        new ClusterReplayTarget((await client.OpenNamespaceAsync(descriptor, cancel)).OrFail());

    /// <summary>Bytes of a namespace on each silo.</summary>
    public async Task<IReadOnlyList<ReplaySilo>> BytesAsync(NamespaceDescriptor descriptor, int blockBytes, CancellationToken cancel)
    {
        var found = new List<ReplaySilo>();
        foreach (SiloEntry silo in client.Map!.Silos)
        {
            await using KvTierClient one =
                (await KvTierClient.ConnectAsync(new KvTierClientOptions { Endpoint = $"tcp://{silo.Endpoint}" }, cancel)).OrFail();
            NamespaceInfo[] namespaces = (await one.ListNamespacesAsync(cancel)).OrFail();
            long blocks = namespaces.Where(info => info.Descriptor.Name == descriptor.Name).Sum(info => info.Blocks);
            found.Add(new ReplaySilo(silo.Name, blocks * blockBytes));
        }

        return found;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await client.DisposeAsync();
        await StopAsync(silos, etcd, folder);
    }

    private static async Task StopAsync(List<SiloRunner> silos, LocalEtcd? etcd, LocalClusterFolder? folder)
    {
        foreach (SiloRunner silo in silos) await silo.DisposeAsync();
        if (etcd is not null)
        {
            etcd.Process.Terminate();
            using var late = new CancellationTokenSource(stopDeadline);
            while (etcd.Process.IsAlive && !late.IsCancellationRequested) await Task.Delay(20, CancellationToken.None);
            etcd.Process.Kill();
        }

        folder?.Dispose();
    }

    private static SiloOptions SiloOf(ReplayOptions options, int count, int index, LocalEtcd etcd, string path)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"silo-{index + 1}");
        string own = Directory.CreateDirectory(Path.Combine(path, name)).FullName;
        ReplayOptions share = options with
        {
            HostBlocks = Share(options.HostBlocks, count, index),
            SsdBlocks = options.SsdBlocks == 0 ? 0 : Share(options.SsdBlocks, count, index),
        };

        // The weight of a silo in the placement is its room: the same for all, whatever the last block of an uneven split.
        long room = (options with { HostBlocks = Share(options.HostBlocks, count, 0) }).ToSiloOptions(own).HostBytes;
        return share.ToSiloOptions(own) with
        {
            Name = name,
            Tcp = true,
            Port = 0,
            HostBytes = room,
            Cluster = new SiloClusterSettings
            {
                Name = "replay",
                Etcd = [etcd.Endpoint.GetLeftPart(UriPartial.Authority)],
                LeaveGraceMs = 0,
                LeaseMs = LeaseMs,
            },
        };
    }

    private static long Share(long all, int count, int index) => (all / count) + (index < all % count ? 1 : 0);

    private static async Task<KvClusterClient> ConnectAsync(IReadOnlyList<string> endpoints, CancellationToken cancel) =>
        (await KvClusterClient.ConnectAsync(
            new KvClusterClientOptions
            {
                Endpoints = endpoints,
                Silo = new KvTierClientOptions
                {
                    Transport = TransportMode.Wire,
                    Connections = 1,
                    ClientName = "kvtier",
                    RequestTimeout = TimeSpan.FromSeconds(60),
                },
            },
            cancel)).OrFail();

    /// <summary>Waits until the map has all silos.</summary>
    private static async Task SettleAsync(KvClusterClient client, int count, CancellationToken cancel)
    {
        while ((await client.RefreshAsync(cancel)).OrFail().Silos.Count < count) await Task.Delay(20, cancel);
    }
}

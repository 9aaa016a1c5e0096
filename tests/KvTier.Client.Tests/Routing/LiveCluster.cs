using System.Diagnostics;
using KvTier.Client.Tests.Live;
using KvTier.Silo;
using KvTier.Testing;

namespace KvTier.Client.Tests.Routing;

/// <summary>Real silos in this process, in a cluster over a real etcd.</summary>
public sealed class LiveCluster : IAsyncDisposable
{
    private readonly TempDirectory folder = new();
    private readonly EtcdProcess etcd;
    private readonly List<SiloHost> hosts = [];
    private readonly Func<SiloOptions, SiloOptions>? configure;

    private LiveCluster(EtcdProcess etcd, Func<SiloOptions, SiloOptions>? configure)
    {
        this.etcd = etcd;
        this.configure = configure;
    }

    public static NamespaceDescriptor Opaque { get; } = new("test", Profiles.Opaque);

    public IReadOnlyList<SiloHost> Hosts => hosts;

    public static async Task<LiveCluster> StartAsync(int count, int replicas = 1, Func<SiloOptions, SiloOptions>? configure = null)
    {
        var cluster = new LiveCluster(await EtcdProcess.StartAsync(), configure);
        for (int i = 0; i < count; i++) await cluster.AddAsync(((char)('a' + i)).ToString(), replicas);
        await cluster.SettledAsync();
        return cluster;
    }

    /// <summary>Adds a silo.</summary>
    public async Task<SiloHost> AddAsync(string name, int replicas = 1, int port = 0)
    {
        SiloOptions options = SiloOptions.Default with
        {
            Name = name,
            Port = port,
            UnixSocket = folder[$"{name}{hosts.Count}"],
            HostBytes = 64 << 20,
            Http = new HttpOptions { Enabled = false },
            DrainSeconds = 20,
            Cluster = new SiloClusterSettings
            {
                Etcd = [etcd.Endpoint.GetLeftPart(UriPartial.Authority)],
                LeaveGraceMs = 100,
                Replicas = replicas,
            },
        };
        SiloHost host = (await SiloHost.StartAsync(configure?.Invoke(options) ?? options)).Value;
        hosts.Add(host);
        return host;
    }

    /// <summary>Has a silo leave in order.</summary>
    public async Task RemoveAsync(SiloHost host)
    {
        hosts.Remove(host);
        await host.DisposeAsync();
    }

    /// <summary>Waits until all silos have the same map and have handed over what there is.</summary>
    public async Task SettledAsync()
    {
        var watch = Stopwatch.StartNew();
        while (!hosts.Select(host => host.ClusterStatus!).All(status => status.Silos.Count(silo => silo.Member) == hosts.Count
            && status.Silos.All(silo => silo.Settled && silo.Alive)))
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(120), "waited 120 s for the silos to settle");
            await Task.Delay(10);
        }
    }

    public KvClusterClientOptions ClientOptions() => PatientOptions(
        hosts.Select(host => $"tcp://{host.Endpoints.Native}"), new KvTierClientOptions { Transport = TransportMode.Wire });

    /// <summary>A client that takes no silo for lost because the machine stands still, whose socket it would leave out for good and of
    /// whose blocks a get would be a miss.</summary>
    public static KvClusterClientOptions PatientOptions(IEnumerable<string> endpoints, KvTierClientOptions? silo = null)
    {
        silo ??= new KvTierClientOptions();
        (silo.RequestTimeout, silo.ConnectTimeout, silo.LeaseDuration) = (LiveSilo.Patience, LiveSilo.Patience, LiveSilo.Patience);
        return new KvClusterClientOptions
        {
            Endpoints = [.. endpoints],
            Silo = silo,
            MapTimeout = TimeSpan.FromSeconds(20),
            TryTimeout = TimeSpan.FromSeconds(20),
        };
    }

    public async Task<(KvClusterClient Client, KvClusterNamespace Namespace)> ConnectAsync(Action<KvClusterClientOptions>? configure = null)
    {
        KvClusterClientOptions options = ClientOptions();
        configure?.Invoke(options);
        KvClusterClient client = (await KvClusterClient.ConnectAsync(options)).Value;
        return (client, (await client.OpenNamespaceAsync(Opaque)).Value);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(hosts.Select(host => host.DisposeAsync().AsTask()));
        await etcd.DisposeAsync();
        folder.Dispose();
        LeakGate.AssertClean();
    }
}

using System.Diagnostics;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests.Clustering;

/// <summary>Base of tests that start several silos in this process over a real etcd.</summary>
public abstract class ClusterTest : IAsyncLifetime
{
    private readonly TempDirectory folder = new();
    private readonly List<SiloHost> hosts = [];
    private readonly List<IDisposable> clients = [];

    internal EtcdProcess Etcd { get; private set; } = null!;

    internal string Folder(string name) => folder[name];

    /// <summary>Options of a small silo of the cluster on ports that the system chooses. No silo loses its lease, and no call to another
    /// one ends too early, on a machine that is busy for some seconds.</summary>
    internal SiloOptions Options(string name) => new()
    {
        Name = name,
        Port = 0,
        HostBytes = 32 << 20,
        SocketBufferBytes = 256 << 10,
        GhostBlocks = 256,
        Http = new HttpOptions { Port = 0 },
        DrainSeconds = 60,
        PutWaitMs = 60_000,
        Cluster = new SiloClusterSettings
        {
            Etcd = [Etcd.Endpoint.GetLeftPart(UriPartial.Authority)],
            LeaseMs = 12_000,
            PeerDeadlineMs = 30_000,
            CatchUpMs = 30_000,
            LeaveGraceMs = 0,
            JoinDeadlineMs = 60_000,
        },
    };

    internal async Task<SiloHost> StartAsync(SiloOptions options)
    {
        SiloHost host = (await SiloHost.StartAsync(options)).Value;
        hosts.Add(host);
        return host;
    }

    /// <summary>Starts silos <c>a</c>, <c>b</c>, <c>c</c> and so on, and waits until all have handed over what there is.</summary>
    internal async Task<SiloHost[]> StartClusterAsync(int count, int replicas = 1, Func<SiloOptions, SiloOptions>? change = null)
    {
        var silos = new List<SiloHost>();
        for (int i = 0; i < count; i++)
        {
            SiloOptions options = Options(((char)('a' + i)).ToString());
            options = options with { Cluster = options.Cluster with { Replicas = replicas } };
            silos.Add(await StartAsync(change?.Invoke(options) ?? options));
        }

        await SettledAsync(silos);
        return [.. silos];
    }

    /// <summary>Waits until all silos have the same map and have settled.</summary>
    internal static Task SettledAsync(IEnumerable<SiloHost> silos) => UntilAsync(
        () => silos.Select(host => host.ClusterStatus!).All(status => status.Silos.Count(silo => silo.Member) == silos.Count()
            && status.Silos.All(silo => silo.Settled && silo.Alive)),
        "all silos to settle");

    /// <summary>Waits until something holds; the time is only a guard.</summary>
    internal static async Task UntilAsync(Func<bool> condition, string what, int seconds = 60)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(seconds), $"waited {seconds} s for: {what}");
            await Task.Delay(10);
        }
    }

    internal RawClient Connect(SiloHost host, NamespaceDescriptor? ns = null)
    {
        RawClient client = RawClient.Open(host.Endpoints.Native!, ns);
        clients.Add(client);
        return client;
    }

    /// <summary>Keys of which a silo is the owner.</summary>
    internal static string[] KeysOf(SiloHost owner, int count) => [.. Enumerable.Range(0, int.MaxValue).Select(i => $"key-{i}")
        .Where(key => OwnerOf(owner, key) == owner.Options.Name).Take(count)];

    /// <summary>Name of the silo that owns a key of the default namespace, as a silo sees it.</summary>
    internal static string OwnerOf(SiloHost seenBy, string key)
    {
        ClusterMap map = seenBy.Cluster!.Map;
        return map.Silos[map.OwnerOf(IdOf(key))].Name;
    }

    internal static BlockId IdOf(string key) =>
        BlockId.Compute(WireBounds.ProbeNamespace.Id, System.Text.Encoding.UTF8.GetBytes(key));

    /// <summary>True when a block of the default namespace is on a silo.</summary>
    internal static bool Has(SiloHost host, string key)
    {
        int ns = host.Engine.Namespaces.Index().FirstOrDefault(each => each.Item.Name == WireBounds.ProbeNamespace.Name, (-1, null!)).Item1;
        return ns >= 0 && host.Engine.Describe((ushort)ns, IdOf(key)).Reason == MissReason.None;
    }

    public async ValueTask InitializeAsync() => Etcd = await EtcdProcess.StartAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable client in clients) client.Dispose();
        await Task.WhenAll(hosts.Select(host => host.DisposeAsync().AsTask()));
        await Etcd.DisposeAsync();
        folder.Dispose();
        LeakGate.AssertClean();
        GC.SuppressFinalize(this);
    }
}

using KvTier.Client.Tests.Live;

namespace KvTier.Client.Tests.Routing;

/// <summary>Silos that are scripted, and a client of them.</summary>
public sealed class DoubleCluster : IAsyncDisposable
{
    private readonly List<DoubleSilo> gone = [];

    private DoubleCluster(DoubleSilo[] silos) => Silos = silos;

    public DoubleSilo[] Silos { get; }

    public KvClusterClient Client { get; private set; } = null!;

    public KvClusterNamespace Namespace { get; private set; } = null!;

    public static async Task<DoubleCluster> StartAsync(int count, int replicas = 1, Action<KvClusterClientOptions>? configure = null)
    {
        var cluster = new DoubleCluster([.. Enumerable.Range(0, count).Select(i => new DoubleSilo(((char)('a' + i)).ToString()))]);
        ClusterMap map = cluster.MapOf(1, cluster.Silos, replicas);
        foreach (DoubleSilo silo in cluster.Silos) silo.Map = map;
        KvClusterClientOptions options = LiveCluster.PatientOptions(cluster.Silos.Select(silo => $"tcp://127.0.0.1:{silo.Port}"));
        options.MapInterval = TimeSpan.FromHours(1);
        options.HedgeEnabled = false;
        configure?.Invoke(options);
        cluster.Client = (await KvClusterClient.ConnectAsync(options)).Value;
        cluster.Namespace = (await cluster.Client.OpenNamespaceAsync(LiveCluster.Opaque)).Value;
        return cluster;
    }

    public ClusterMap MapOf(long epoch, IEnumerable<DoubleSilo> silos, int replicas = 1) => new(
        "kvtier", epoch, epoch, silos.Select(silo => silo.Entry()), new ClusterSettings { Replicas = replicas },
        new Dictionary<BlockId, string>());

    /// <summary>The silo that comes first, second and so on among the holders of a group by the silos' first map.</summary>
    public DoubleSilo HolderOf(BlockId group, int place)
    {
        Span<int> found = stackalloc int[place + 1];
        ClusterMap map = Client.Map!;
        Assert.Equal(place + 1, map.FindHolders(group, found));
        string name = map.Silos[found[place]].Name;
        return Silos.Single(silo => silo.Name == name);
    }

    /// <summary>Gives a block of a prompt to silos that did not get it by a put.</summary>
    public static void Give(Prompt prompt, params DoubleSilo[] silos)
    {
        foreach (DoubleSilo silo in silos)
        {
            for (int i = 0; i < prompt.Ids.Length; i++) silo.Blocks[prompt.Ids[i]] = prompt.Puts[i].Payload.ToArray();
        }
    }

    /// <summary>Waits until something is so.</summary>
    public static Task UntilAsync(Func<bool> condition) => LocalTests.WaitUntilAsync(condition);

    /// <summary>Ends a silo as a crash does.</summary>
    public async Task KillAsync(DoubleSilo silo)
    {
        gone.Add(silo);
        await silo.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        foreach (DoubleSilo silo in Silos.Except(gone)) await silo.DisposeAsync();
    }
}

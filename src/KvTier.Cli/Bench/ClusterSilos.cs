using KvTier.Client;
using KvTier.Cluster;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>A cluster for measurements: an etcd and silos, each in a process of its own, on ports that the system chooses.</summary>
internal sealed class ClusterSilos : IAsyncDisposable
{
    /// <summary>Silos of the clusters that are compared with one silo.</summary>
    public const int Standard = 3;

    private static readonly TimeSpan deadline = TimeSpan.FromSeconds(120);
    private static int count;
    private readonly BenchContext context;
    private readonly long hostBytes;
    private readonly string[] arguments;
    private readonly LocalClusterFolder folder;
    private readonly LocalEtcd etcd;
    private readonly Dictionary<string, SiloProcess> silos = new(StringComparer.Ordinal);
    private KvTierClient? asked;

    private ClusterSilos(BenchContext context, long hostBytes, string[] arguments, LocalClusterFolder folder, LocalEtcd etcd)
    {
        this.context = context;
        this.hostBytes = hostBytes;
        this.arguments = arguments;
        this.folder = folder;
        this.etcd = etcd;
    }

    /// <summary>The silos that run, by name.</summary>
    public IReadOnlyDictionary<string, SiloProcess> Silos => silos;

    /// <summary>Arguments of a silo without SSD tier, in a cluster or not.</summary>
    public static string[] MemoryArguments(BenchContext context, long hostBytes) =>
    [
        "--port", "0", "--unix-socket", context.Folder.File($"c{Interlocked.Increment(ref count)}"), "--http-enabled", "false",
        "--host-bytes", $"{Math.Max(64L << 20, hostBytes) >> 20}MiB", "--prefault",
    ];

    /// <summary>Starts etcd and silos, and waits until all are in the map and none has anything to hand over.</summary>
    /// <param name="context">The run.</param>
    /// <param name="hostBytes">Host memory of each silo.</param>
    /// <param name="silos">How many.</param>
    /// <param name="arguments">Further arguments of <c>kvtier serve</c>.</param>
    public static async Task<ClusterSilos> StartAsync(BenchContext context, long hostBytes, int silos, params string[] arguments)
    {
        LocalClusterFolder place = LocalClusterFolder.Open(context.Folder.File($"cluster{Interlocked.Increment(ref count)}"));
        var options = new LocalClusterOptions { Name = "bench" };
        LocalEtcd engine;
        try
        {
            engine = await LocalEtcdStart.RunAsync(
                place, options, deadline, etcd => place.Save(new LocalCluster { Name = options.Name, Etcd = etcd }), context.Cancel);
        }
        catch
        {
            await LocalClusterStop.RunAsync(place);
            place.Dispose();
            throw;
        }

        var cluster = new ClusterSilos(context, hostBytes, arguments, place, engine);
        try
        {
            await Task.WhenAll(Enumerable.Range(1, silos).Select(number => cluster.AddAsync(number)));
            await cluster.WhenSettledAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a silo of the cluster.</summary>
    /// <returns>It, once it is ready.</returns>
    public async Task<SiloProcess> AddAsync(int number)
    {
        string name = NameOf(number);
        SiloProcess silo = await SiloProcess.StartAsync(
            [
                .. MemoryArguments(context, hostBytes), "--name", name, "--cluster-name", "bench",
                "--etcd", etcd.Endpoint.GetLeftPart(UriPartial.Authority), .. arguments,
            ],
            context.Cancel);
        lock (silos) silos.Add(name, silo);
        return silo;
    }

    /// <summary>Ends a silo as kill -9 does. Its end is not waited for.</summary>
    public void Kill(string name) => ProcessIdentity.Of(silos[name].Pid)?.Kill();

    /// <summary>Forgets a silo that was killed.</summary>
    public async Task RemoveAsync(string name)
    {
        await silos[name].DisposeAsync();
        silos.Remove(name);
        if (asked is not null) await asked.DisposeAsync();
        asked = null;
    }

    /// <summary>Name of a silo.</summary>
    public static string NameOf(int number) => $"silo-{number}";

    /// <summary>Where a silo listens for the native protocol.</summary>
    public string EndpointOf(string name) => silos[name].Endpoints["tcp"];

    /// <summary>The map as one of the silos knows it.</summary>
    public async Task<ClusterMap> MapAsync() =>
        (await (await AskedAsync()).ClusterMapAsync(cancellationToken: context.Cancel)).OrFail().Map!;

    /// <summary>Has one of the silos do what an operator asks.</summary>
    public async Task<KvError?> TryAdminAsync(string verb, params string[] of) =>
        (await (await AskedAsync()).ClusterAdminAsync(verb, of, deadline, context.Cancel)).Error;

    /// <summary>Waits until the map has all silos that run and no other, and all have handed over.</summary>
    public async Task WhenSettledAsync()
    {
        using var late = CancellationTokenSource.CreateLinkedTokenSource(context.Cancel);
        late.CancelAfter(deadline);
        while (true)
        {
            string json = (await (await AskedAsync()).ClusterStatusAsync(deadline, context.Cancel)).OrFail();
            ClusterStatusSilo[] members = [.. (ClusterStatus.Parse(json)?.Silos ?? []).Where(silo => silo.Member)];
            if (members.Length == silos.Count && members.All(silo => silo.Settled && silos.ContainsKey(silo.Name))) return;
            if (late.IsCancellationRequested)
            {
                context.Cancel.ThrowIfCancellationRequested();
                throw new CliException(ExitCodes.Unavailable, $"bench: the cluster did not settle in {deadline.TotalSeconds:0} s: {json}");
            }

            await Task.Delay(50, context.Cancel);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (asked is not null) await asked.DisposeAsync();
        foreach (SiloProcess silo in silos.Values) await silo.DisposeAsync();
        await LocalClusterStop.RunAsync(folder);
        folder.Dispose();
    }

    private async Task<KvTierClient> AskedAsync() => asked ??= (await KvTierClient.ConnectAsync(
        new KvTierClientOptions { Endpoint = silos.Values.First().Endpoints["tcp"], RequestTimeout = deadline }, context.Cancel)).OrFail();
}

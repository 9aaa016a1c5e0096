using System.Diagnostics;
using KvTier.Cli;
using KvTier.Client;
using KvTier.Silo;
using KvTier.Testing;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A real etcd and real silos, on loopback or in a network of namespaces.</summary>
internal sealed class TestCluster : IAsyncDisposable
{
    private static readonly TimeSpan longest = TimeSpan.FromSeconds(90);

    /// <summary>
    /// What a machine that stands still for two seconds does not break: leases that outlast it by far, and calls among silos that do not
    /// take one which is slow for one which is gone.
    /// </summary>
    private static readonly (string Option, string Value)[] patient =
        [("--cluster-lease-ms", "6000"), ("--cluster-peer-deadline-ms", "10000"), ("--host-bytes", "128MiB")];

    private readonly TempFolder folder = new();
    private readonly NetworkOfSilos? network;
    private readonly int replicas;
    private readonly string[] more;

    private TestCluster(EtcdProcess etcd, NetworkOfSilos? network, int replicas, string[] more)
    {
        Etcd = etcd;
        this.network = network;
        this.replicas = replicas;
        this.more = more;
    }

    public EtcdProcess Etcd { get; }

    public List<TestMember> Members { get; } = [];

    public TestMember Member(string name) => Members.Find(member => member.Name == name)!;

    /// <summary>Calls among silos that give up soon, for clusters in which one keeps its connections and says nothing.</summary>
    public static string[] OfMuteSilos => ["--cluster-peer-deadline-ms", "2000"];

    /// <summary>Starts etcd and silos, and waits until the map has them all and they have settled.</summary>
    public static async Task<TestCluster> StartAsync(int silos, int replicas, NetworkOfSilos? network = null, params string[] more)
    {
        EtcdProcess etcd = await EtcdProcess.StartAsync(new EtcdProcessOptions { Address = network?.Host ?? "127.0.0.1" });
        var cluster = new TestCluster(etcd, network, replicas, more);
        try
        {
            for (int i = 0; i < silos; i++) await cluster.AddAsync();
            await cluster.WaitUntilSettledAsync();
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts one more silo.</summary>
    /// <param name="own">Its own arguments.</param>
    public async Task<TestMember> AddAsync(params string[] own)
    {
        int number = Members.Count;
        string address = network?.Address(number) ?? "127.0.0.1";
        string[] arguments =
        [
            "--name", $"silo-{number}", "--address", address, "--port", "0", "--http-enabled", "false",
            .. patient.Where(each => !more.Contains(each.Option) && !own.Contains(each.Option))
                .SelectMany(each => new[] { each.Option, each.Value }),
            "--unix-socket", folder.File($"s{number}"),
            "--data-directory", folder.File($"data-{number}"), "--ssd-bytes", "1GiB", "--drain-seconds", "20",
            "--etcd", Etcd.Endpoint.ToString().TrimEnd('/'), "--cluster-replicas", $"{replicas}", "--log-level", "Information",
            .. more, .. own,
        ];
        var member = new TestMember($"silo-{number}", arguments, network?.Through(number) ?? []);
        Members.Add(member);
        await member.StartAsync();
        return member;
    }

    /// <summary>Ends a silo as kill -9 does, and its lease with it: the others need not wait until that has run out.</summary>
    public async Task KillAndLapseAsync(TestMember member)
    {
        await member.Process.KillAsync();
        await Etcd.RevokeLeaseOfAsync($"/kvtier/silos/{member.Name}");
    }

    /// <summary>A client that routes by itself.</summary>
    public async Task<KvClusterClient> ConnectAsync()
    {
        var options = new KvClusterClientOptions
        {
            Endpoints = [.. Members.Where(member => member.IsRunning).Select(member => member.Endpoint)],
            Silo = new KvTierClientOptions { RequestTimeout = TimeSpan.FromSeconds(30), Transport = TransportMode.Wire },
        };
        // Where only one silo has a block, nobody else can be asked: one that is slow is waited for.
        if (replicas == 1 && !more.Contains(OfMuteSilos[0])) options.TryTimeout = TimeSpan.FromSeconds(20);
        return (await KvClusterClient.ConnectAsync(options, TestSilo.Cancel)).Value;
    }

    /// <summary>What a silo says of the cluster.</summary>
    public static async Task<ClusterStatus> StatusAsync(TestMember member)
    {
        await using KvTierClient client = await member.ConnectAsync();
        return ClusterStatus.Parse((await client.ClusterStatusAsync(cancellationToken: TestSilo.Cancel)).Value)!;
    }

    /// <summary>Waits until all running silos know the same map, which has just them, and have handed over all that others own.</summary>
    public async Task WaitUntilSettledAsync()
    {
        string[] running = [.. Members.Where(member => member.IsRunning).Select(member => member.Name).Order(StringComparer.Ordinal)];
        await WaitAsync(async () =>
        {
            var states = new List<ClusterStatus>();
            foreach (TestMember member in Members.Where(member => member.IsRunning)) states.Add(await StatusAsync(member));
            bool settled = states.TrueForAll(state => MembersOf(state).SequenceEqual(running) && state.Silos.All(silo => silo.Settled))
                && states.Select(state => state.Epoch).Distinct().Count() == 1;
            return (settled, string.Join("\n", states.Select(state => state.ToJson())));
        });
    }

    /// <summary>Waits until a silo's map has another one, or has it no more.</summary>
    public static Task WaitForMemberAsync(TestMember asked, string name, bool isMember) => WaitAsync(async () =>
    {
        ClusterStatus status = await StatusAsync(asked);
        return (MembersOf(status).Contains(name) == isMember, status.ToJson());
    });

    public async ValueTask DisposeAsync()
    {
        foreach (TestMember member in Members) await member.DisposeAsync();
        await Etcd.DisposeAsync();
        folder.Dispose();
    }

    /// <summary>Waits until something is as it should be; fails with what was seen last when it does not become so.</summary>
    public static async Task WaitAsync(Func<Task<(bool Done, string Seen)>> look)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            (bool done, string seen) = await look();
            if (done) return;
            Assert.True(clock.Elapsed < longest, $"not reached in {longest}: {seen}");
            await Task.Delay(50, TestSilo.Cancel);
        }
    }

    private static string[] MembersOf(ClusterStatus status) => [.. status.Silos.Where(silo => silo.Member).Select(silo => silo.Name)];
}

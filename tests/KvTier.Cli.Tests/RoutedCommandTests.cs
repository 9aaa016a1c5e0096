using System.Diagnostics;
using System.Text.Json;
using KvTier.Silo;
using KvTier.Testing;

namespace KvTier.Cli.Tests;

/// <summary>Block and sequence verbs at any silo of a cluster, whoever owns what they are about.</summary>
public sealed class RoutedCommandTests : IAsyncLifetime
{
    private const int Keys = 12;
    private const string Llama = "acme/llama-3.1-8b";

    private readonly TempFolder folder = new();
    private readonly List<SiloHost> hosts = [];
    private EtcdProcess? etcd;

    public async ValueTask InitializeAsync()
    {
        etcd = await EtcdProcess.StartAsync();
        foreach (string name in (string[])["a", "b", "c"]) hosts.Add((await SiloHost.StartAsync(OptionsOf(name))).Value);
        var watch = Stopwatch.StartNew();
        while (!hosts.All(host => host.ClusterStatus!.Silos.Count(silo => silo is { Member: true, Settled: true }) == hosts.Count))
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), "waited 60 s for the silos to settle");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task BlockVerbs_AtAnySilo_AreDoneByTheOwner()
    {
        await File.WriteAllTextAsync(folder.File("f"), "some bytes", TestContext.Current.CancellationToken);
        string[] keys = [.. Enumerable.Range(0, Keys).Select(i => $"k{i}")];
        for (int i = 0; i < Keys; i++)
        {
            string[] ack = i % 2 == 0 ? ["--ack", "replica"] : [];
            CliRun put = await RunAsync(i, ["block", "put", keys[i], folder.File("f"), "--json", .. ack]);
            Assert.Equal((ExitCodes.Ok, ""), (put.ExitCode, put.Error));
            Assert.Equal("stored", put.Json().GetProperty("status").GetString());
        }

        for (int i = 0; i < Keys; i++)
        {
            CliRun get = await RunAsync(i + 1, "block", "get", keys[i], folder.File("out"), "--json");
            Assert.True(get.Json().GetProperty("hit").GetBoolean(), get.Out);
            Assert.Equal("some bytes", await File.ReadAllTextAsync(folder.File("out"), TestContext.Current.CancellationToken));
        }

        Assert.Equal(Keys, (await RunAsync(1, ["block", "prefix", "--json", .. keys])).Json().GetProperty("found").GetInt32());
        Assert.Equal(ExitCodes.Ok, (await RunAsync(2, ["block", "pin", .. keys])).ExitCode);
        JsonElement described = (await RunAsync(0, ["block", "describe", "--json", .. keys])).Json();
        Assert.All(described.EnumerateArray(), block => Assert.True(block.GetProperty("pinnedUntilUnixMs").GetInt64() > 0));
        Assert.Equal(Keys, (await RunAsync(1, ["block", "delete", "--json", .. keys])).Json().GetProperty("done").GetInt32());
        Assert.Equal(ExitCodes.Found, (await RunAsync(2, "block", "get", keys[0], folder.File("out"))).ExitCode);
    }

    [Fact]
    public async Task SequenceVerbs_AtAnySilo_AreDoneByTheOwner_InANamespaceThatOneSiloKnows()
    {
        Assert.Equal(ExitCodes.Ok, (await RunAsync(0, "namespace", "create", Llama)).ExitCode);
        for (int i = 0; i < Keys; i++)
        {
            CliRun open = await RunAsync(i, "sequence", "open", $"chat-{i:00}", "-n", Llama, "--json");
            Assert.Equal((ExitCodes.Ok, ""), (open.ExitCode, open.Error));
        }

        JsonElement list = (await RunAsync(1, "sequence", "list", "-n", Llama, "--json")).Json();
        Assert.Equal(Enumerable.Range(0, Keys).Select(i => $"chat-{i:00}"),
            list.EnumerateArray().Select(row => row.GetProperty("name").GetString()));
        Assert.Equal(ExitCodes.Ok, (await RunAsync(2, "sequence", "fork", "chat-00", "--as", "other", "-n", Llama)).ExitCode);
        for (int i = 0; i < Keys; i++)
            Assert.Equal(ExitCodes.Ok, (await RunAsync(i + 2, "sequence", "close", $"chat-{i:00}", "-n", Llama)).ExitCode);
        Assert.Single((await RunAsync(0, "sequence", "list", "-n", Llama, "--json")).Json().EnumerateArray());
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(hosts.Select(host => host.DisposeAsync().AsTask()));
        if (etcd is not null) await etcd.DisposeAsync();
        folder.Dispose();
    }

    private Task<CliRun> RunAsync(int silo, params string[] arguments) =>
        CliRun.Async([.. arguments, "--endpoint", $"tcp://{hosts[silo % hosts.Count].Endpoints.Native}", "--timeout-ms", "30000"]);

    private SiloOptions OptionsOf(string name) => SiloOptions.Default with
    {
        Name = name,
        Port = 0,
        UnixSocket = folder.File(name),
        Http = new HttpOptions { Enabled = false },
        HostBytes = 64 << 20,
        DrainSeconds = 20,
        Cluster = new SiloClusterSettings
        {
            Etcd = [etcd!.Endpoint.GetLeftPart(UriPartial.Authority)],
            // No silo is to lose its lease, and none is to be given up, because the machine stood still for a moment.
            LeaseMs = 6000,
            PeerDeadlineMs = 10_000,
            LeaveGraceMs = 100,
            Replicas = 2,
        },
    };
}

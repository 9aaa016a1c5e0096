using System.Diagnostics;
using System.Text.Json;
using KvTier.Client.Tests.Live;
using KvTier.Protocol;
using KvTier.Silo;

namespace KvTier.Client.Tests.Routing;

/// <summary>Hello, loadable blocks and event notes by the client of a cluster, at one silo and at three.</summary>
public sealed class EngineCallTests : IAsyncLifetime
{
    private const int BlockBytes = 10_000;
    private readonly List<IAsyncDisposable> started = [];
    private IReadOnlyList<SiloHost> hosts = [];
    private KvClusterClient client = null!;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Hello_OfEnginesThatDiffer_IsComparedAtTheHomeOfTheirNamespace(int silos)
    {
        await StartAsync(silos);
        var homes = new HashSet<string>();
        for (int i = 0; i < 6; i++)
        {
            KvClusterNamespace ns = await OpenAsync($"tenant-{i}");
            EngineHelloResponse first = (await ns.HelloAsync("vllm", "1", "node-1", Fields("0"))).Value;
            Assert.Equal((1, true, 0), (first.Engines, first.Complete, first.Differences.Count));
            EngineHelloResponse second = (await ns.HelloAsync("vllm", "1", "node-2", Fields("1"))).Value;
            Assert.Equal((2, true), (second.Engines, second.Complete));
            EngineDifference found = Assert.Single(second.Differences);
            Assert.Equal(("seed", "1", "0", "vllm 1 at node-1"), (found.Field, found.Mine, found.Theirs, found.Whose));

            string home = OwnerOf(BlockId.Compute(ns.Id, "engines"u8));
            homes.Add(home);
            foreach (SiloHost host in hosts)
                Assert.Equal(host.Options.Name == home || silos == 1 ? 2 : 0, await EnginesKnownAsync(host, ns.Descriptor.Name));
        }

        Assert.Equal(silos == 1, homes.Count == 1);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Hello_OfAFieldThatIsTooLong_IsRefused(int silos)
    {
        await StartAsync(silos);
        KvClusterNamespace ns = await OpenAsync("acme");
        var fields = new Dictionary<string, string> { ["seed"] = new('x', 100_000) };
        KvError? error = (await ns.HelloAsync("vllm", "1", "node-1", fields)).Error;
        Assert.Equal(ErrorCode.LimitExceeded, error?.Code);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Loadable_OfAPrefix_CountsWhatPaysOverAllSilosUpToTheFirstGap(int silos)
    {
        await StartAsync(silos);
        KvClusterNamespace ns = await OpenAsync("acme");
        Prompt prompt = PromptOnAll(ns);
        Assert.True((await ns.PutAsync(prompt.Puts.AsMemory(0, 140))).Value.AllAcknowledged);

        // 16 tokens at 1,000 a second are 16 ms; 10 kB at 10 MB/s are 1 ms, at 100 kB/s 100 ms.
        var fast = new LoadableTerms(PrefillTokensPerSecond: 1000, BytesPerSecond: 1e7, BlockTokens: 16, BlockBytes: BlockBytes);
        LoadableResponse worth = (await ns.LoadableAsync(prompt.Ids, prompt.Groups, fast)).Value;
        Assert.Equal((140, 140), (worth.Blocks, worth.Present));
        Assert.Equal((140.0, 2240.0), (Math.Round(worth.LoadMs, 3), Math.Round(worth.RecomputeMs, 3)));
        LoadableResponse slow = (await ns.LoadableAsync(prompt.Ids, prompt.Groups, fast with { BytesPerSecond = 1e5 })).Value;
        Assert.Equal((0, 140), (slow.Blocks, slow.Present));

        Assert.Equal(1, (await ns.DeleteAsync(prompt.Ids.AsMemory(70, 1), prompt.Groups.AsMemory(70, 1))).Value);
        LoadableResponse gap = (await ns.LoadableAsync(prompt.Ids, prompt.Groups, fast)).Value;
        Assert.Equal((70, 70), (gap.Blocks, gap.Present));
        LoadableResponse none = (await ns.LoadableAsync(new[] { new BlockId(1, 1) }, terms: fast)).Value;
        Assert.Equal((0, 0), (none.Blocks, none.Present));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task NoteEvents_WhereNoneArePublished_AreDroppedAndItIsSaid(int silos)
    {
        await StartAsync(silos);
        KvClusterNamespace ns = await OpenAsync("acme");
        var prompt = new Prompt(ns, "p", 20, BlockBytes);
        Assert.Equal(
            new EventNotesResponse(0, 20, Publishing: false), (await ns.NoteEventsAsync(NotesOf(prompt), prompt.Groups, 4)).Value);
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(3, true)]
    [InlineData(3, false)]
    public async Task NoteEvents_OfBlocks_GoToTheSilosThatOwnThemAndAreTold(int silos, bool byPrefix)
    {
        await StartAsync(silos, options => options with { Events = options.Events with { Endpoint = "tcp://127.0.0.1:0" } });
        KvClusterNamespace ns = await OpenAsync("acme");
        Prompt prompt = PromptOnAll(ns);
        BlockId[] groups = byPrefix ? prompt.Groups : [];
        EventNotesResponse taken = (await ns.NoteEventsAsync(NotesOf(prompt), groups, 4, "adapter")).Value;
        Assert.Equal(new EventNotesResponse(150, 0, Publishing: true), taken);
        PutBlock[] puts = byPrefix ? prompt.Puts : [.. prompt.Puts.Select(put => put with { Group = default })];
        Assert.True((await ns.PutAsync(puts)).Value.AllAcknowledged);

        // A silo tells of what it has and has notes of: each note must be where its block is.
        var watch = Stopwatch.StartNew();
        foreach (SiloHost host in hosts)
        {
            int owned = (byPrefix ? prompt.Groups : prompt.Ids).Count(group => silos == 1 || OwnerOf(group) == host.Options.Name);
            while (await EventsAsync(host) != (owned, owned))
            {
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), $"{owned} at {host.Options.Name}: {await EventsAsync(host)}");
                await Task.Delay(20);
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        for (int i = started.Count - 1; i >= 0; i--) await started[i].DisposeAsync();
    }

    private static Dictionary<string, string> Fields(string seed) => new() { ["seed"] = seed, ["dtype"] = "bf16" };

    private static EventNote[] NotesOf(Prompt prompt) => [.. prompt.Ids.Select((id, i) => new EventNote(
        id, BitConverter.GetBytes((long)i + 1), i == 0 ? default : BitConverter.GetBytes((long)i), new[] { i, i + 1, i + 2, i + 3 }))];

    private async Task StartAsync(int silos, Func<SiloOptions, SiloOptions>? configure = null)
    {
        string[] endpoints;
        if (silos == 1)
        {
            LiveSilo silo = await LiveSilo.StartAsync(configure);
            started.Add(silo);
            hosts = [silo.Host];
            endpoints = [$"unix://{silo.SocketPath}"];
        }
        else
        {
            LiveCluster cluster = await LiveCluster.StartAsync(silos, configure: configure);
            started.Add(cluster);
            hosts = cluster.Hosts;
            endpoints = [.. hosts.Select(host => $"unix://{host.Endpoints.UnixSocket}")];
        }

        client = (await KvClusterClient.ConnectAsync(LiveCluster.PatientOptions(endpoints))).Value;
        started.Add(client);
    }

    private async Task<KvClusterNamespace> OpenAsync(string tenant) =>
        (await client.OpenNamespaceAsync(new NamespaceDescriptor(tenant, Profiles.Opaque))).Value;

    /// <summary>The blocks of a prompt of which each silo owns some.</summary>
    private Prompt PromptOnAll(KvClusterNamespace ns) => Enumerable.Range(0, 1000)
        .Select(i => new Prompt(ns, $"prompt-{i}", 150, BlockBytes))
        .First(prompt => prompt.Groups.Select(OwnerOf).Distinct().Count() == hosts.Count);

    private string OwnerOf(BlockId group) => client.Map!.Silos[client.Map.OwnerOf(group)].Name;

    private static async Task<JsonElement> EnginesOfAsync(SiloHost host)
    {
        await using KvTierClient one = (await KvTierClient.ConnectAsync(new KvTierClientOptions
        {
            Endpoint = $"unix://{host.Endpoints.UnixSocket}",
            Transport = TransportMode.Wire,
            RequestTimeout = LiveSilo.Patience,
        })).Value;
        using JsonDocument stat = JsonDocument.Parse((await one.StatAsync()).Value);
        return stat.RootElement.GetProperty("engines").Clone();
    }

    /// <summary>How many engines of a namespace a silo knows.</summary>
    private static async Task<int> EnginesKnownAsync(SiloHost host, string ns) =>
        (await EnginesOfAsync(host)).GetProperty("namespaces").EnumerateArray()
            .Where(each => each.GetProperty("name").GetString() == ns).Sum(each => each.GetProperty("engines").GetArrayLength());

    /// <summary>Notes that a silo has, and blocks that it has told as stored.</summary>
    private static async Task<(long Notes, long Stored)> EventsAsync(SiloHost host)
    {
        JsonElement events = (await EnginesOfAsync(host)).GetProperty("events");
        return (events.GetProperty("notes").GetInt64(), events.GetProperty("stored").GetInt64());
    }
}

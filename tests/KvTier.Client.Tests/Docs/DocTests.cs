using System.Text.RegularExpressions;
using KvTier.Client.Tests.Live;
using Microsoft.Extensions.DependencyInjection;

namespace KvTier.Client.Tests.Docs;

/// <summary>What docs/how-to/dotnet-client.md shows is compiled, runs, and is what it shows.</summary>
public sealed partial class DocTests
{
    [Theory]
    [InlineData("Quickstart.cs", "dotnet-client.md", 5)]
    [InlineData("ClusterQuickstart.cs", "dotnet-client.md", 1)]
    [InlineData("RecallQuickstart.cs", "recall.md", 2)]
    public void HowTo_ForTheClient_ShowsTheSamplesThatAreCompiledHere(string file, string howTo, int count)
    {
        string root = Root();
        string source = File.ReadAllText(Path.Combine(root, "tests", "KvTier.Client.Tests", "Docs", file));
        string page = File.ReadAllText(Path.Combine(root, "docs", "how-to", howTo));
        MatchCollection regions = Region().Matches(source);
        Assert.Equal(count, regions.Count);
        foreach (Match region in regions)
        {
            string[] lines = region.Groups["code"].Value.TrimEnd().Split('\n');
            string code = string.Join('\n', lines.Select(line => line.StartsWith("    ", StringComparison.Ordinal) ? line[4..] : line));
            Assert.True(page.Contains(code, StringComparison.Ordinal),
                $"docs/how-to/{howTo} does not show region {region.Groups["name"].Value} as it is:\n{code}");
        }
    }

    [Fact]
    public async Task Samples_OfTheHowTo_Run()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        Assert.Equal([1, 2, 3], await Quickstart.PutAndGetAsync(silo.ClientOptions(Way.Tcp).Endpoint));
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Local);
        await using (client)
        {
            (byte[], byte[])[] blocks = [.. Enumerable.Range(0, 3).Select(i => Sample.Make(ns, i, 1000)).Select(s => (s.Key, s.Payload))];
            Assert.Equal(3, await Quickstart.BatchAsync(ns, blocks, CancellationToken.None));
            byte[] key = [9, 9];
            Assert.Equal(1, (await Quickstart.WriteInPlaceAsync(ns, key, 5000)).Stored);
            Assert.Equal(35_000, await Quickstart.SumInPlaceAsync(ns, ns.IdOf(key)));
        }
    }

    [Fact]
    public async Task ClusterSample_OfTheHowTo_Runs()
    {
        await using Routing.LiveCluster cluster = await Routing.LiveCluster.StartAsync(2);
        byte[][] blocks = [.. Enumerable.Range(0, 100).Select(i => new byte[100 + i])];
        Assert.Equal(100, await ClusterQuickstart.PromptAsync([.. cluster.ClientOptions().Endpoints], "prompt-1", blocks));
    }

    [Fact]
    public async Task RecallSamples_OfTheHowTo_Run()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await RecallTests.ConnectAsync(silo, Way.Local);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            KvSequence stored = await text.StoreAsync(ns);
            float[] queries = [.. KvText.Queries(1), .. KvText.Queries(2)];
            float[] output = await RecallQuickstart.AttendAsync(ns, text.Ids(ns), 100, queries, KvText.QueryHeads);
            (double[] expected, _) = text.Attend(1, 1, [.. Enumerable.Range(0, 100)], queries.AsSpan(7 * 8, 8));
            for (int d = 0; d < 8; d++) Assert.Equal(expected[d], output[(7 * 8) + d], 1e-4);
            Selector moments = Selectors.Moments with { Budget = RecallBudget.OfTokens(100) };
            RecallQuery gather = RecallTests.Query(RecallMode.Gather, [RecallTests.Item(0, 0)], moments);
            Assert.True(await RecallQuickstart.GatherInPlaceAsync(ns, gather) > 0);
            Assert.True((await stored.CloseAsync()).IsOk);
        }
    }

    [Fact]
    public async Task AddKvTierClient_InAContainer_GivesOneClientThatConnectsWhenItIsUsed()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        var services = new ServiceCollection();
        services.AddKvTierClient(options => options.Endpoint = silo.ClientOptions(Way.Tcp).Endpoint);
        await using ServiceProvider provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<KvTierClient>();
        Assert.Same(client, provider.GetRequiredService<KvTierClient>());
        Assert.Equal(0, client.ConnectionsOpen);
        Assert.Null(await client.PingAsync());
        Assert.Equal(1, client.ConnectionsOpen);
    }

    [Fact]
    public async Task AddKvTierClusterClient_InAContainer_GivesOneClientThatAsksForTheMapWhenItIsUsed()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        var services = new ServiceCollection();
        services.AddKvTierClusterClient(options => options.Endpoints = [silo.ClientOptions(Way.Tcp).Endpoint]);
        await using ServiceProvider provider = services.BuildServiceProvider();
        var client = provider.GetRequiredService<KvClusterClient>();
        Assert.Same(client, provider.GetRequiredService<KvClusterClient>());
        Assert.Null(client.Map);
        Assert.True((await client.OpenNamespaceAsync(LiveSilo.Opaque)).IsOk);
        Assert.Single(client.Map!.Silos);
    }

    [Fact]
    public void AddKvTierClient_WithAnOptionThatCanNotBe_ThrowsWhenTheClientIsAskedFor()
    {
        var services = new ServiceCollection();
        services.AddKvTierClient(options => options.Connections = 0);
        using ServiceProvider provider = services.BuildServiceProvider();
        KvException thrown = Assert.Throws<KvException>(() => provider.GetRequiredService<KvTierClient>());
        Assert.Equal("Connections", thrown.Error.Field);
    }

    private static string Root()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "KvTier.sln"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException("The repository's root is not above the test's folder.");
    }

    [GeneratedRegex(@"// <(?<name>[a-z-]+)>\n(?<code>.*?)// </\k<name>>", RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Region();
}

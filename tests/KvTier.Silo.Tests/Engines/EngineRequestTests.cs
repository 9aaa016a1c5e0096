using KvTier.Client;
using KvTier.Protocol;
using KvTier.Silo.Engines;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests.Engines;

/// <summary>Hello, loadable blocks and event notes through a silo, with the .NET client.</summary>
public sealed class EngineRequestTests : SiloTest
{
    private static readonly NamespaceDescriptor acme = new("acme", Profiles.Opaque);

    [Fact]
    public async Task Hello_OfTwoEnginesThatDiffer_IsAnsweredAndShownInStat()
    {
        SiloHost silo = await StartAsync();
        await using KvTierClient client = await ConnectAsync(silo);
        KvNamespace ns = (await client.OpenNamespaceAsync(acme)).Value;
        EngineHelloResponse first = (await ns.HelloAsync("vllm", "1", "node-1", Fields("0"))).Value;
        Assert.Empty(first.Differences);
        EngineHelloResponse second = (await ns.HelloAsync("vllm", "1", "node-2", Fields("1"))).Value;
        Assert.True(second.Complete);
        Assert.Equal((2, "seed", "vllm 1 at node-1"), (second.Engines, second.Differences[0].Field, second.Differences[0].Whose));
        string stat = (await client.StatAsync()).Value;
        Assert.Contains("\"differingFields\":[\"seed\"]", stat, StringComparison.Ordinal);
        Assert.Contains("node-2", stat, StringComparison.Ordinal);

        // Said again it is answered again, and not counted again.
        Assert.Single((await ns.HelloAsync("vllm", "1", "node-2", Fields("1"))).Value.Differences);
        Assert.Equal([("seed", 1)], silo.Desk.Differences);
        Assert.Equal(3, silo.Desk.Hellos);
    }

    [Fact]
    public async Task Loadable_OfBlocksThatAreHere_CountsWhatPays()
    {
        SiloHost silo = await StartAsync(Small with
        {
            Engines = new EngineSettings { PrefillOf = new Dictionary<string, long> { ["acme/opaque"] = 1000 } },
        });
        await using KvTierClient client = await ConnectAsync(silo);
        KvNamespace ns = (await client.OpenNamespaceAsync(acme)).Value;
        BlockId[] ids = await PutAsync(ns, 4, 100_000);
        BlockId[] all = [.. ids, new BlockId(1, 1)];

        // 16 tokens at 1,000 a second are 16 ms; 100 kB at 100 MB/s are 1 ms, at 1 MB/s 100 ms.
        var fast = new LoadableTerms(BytesPerSecond: 1e8, BlockTokens: 16);
        LoadableResponse worth = (await ns.LoadableAsync(all, fast)).Value;
        Assert.Equal((4, 4), (worth.Blocks, worth.Present));
        Assert.Equal((4.0, 64.0), (Math.Round(worth.LoadMs, 3), Math.Round(worth.RecomputeMs, 3)));
        LoadableResponse slow = (await ns.LoadableAsync(all, fast with { BytesPerSecond = 1e6 })).Value;
        Assert.Equal((0, 4), (slow.Blocks, slow.Present));
        var slowEngine = fast with { BytesPerSecond = 1e6, PrefillTokensPerSecond = 10 };
        Assert.Equal(4, (await ns.LoadableAsync(all, slowEngine)).Value.Blocks);

        // Where they are is told by the client, as in a cluster.
        LoadableResponse told = (await ns.LoadableAsync(
            all, fast with { BlockBytes = 1000 }, new[] { TierSet.Host, TierSet.Ssd, TierSet.None, TierSet.Host })).Value;
        Assert.Equal((2, 2), (told.Blocks, told.Present));
    }

    [Fact]
    public async Task Loadable_AfterGets_JudgesByWhatWasMeasured()
    {
        SiloHost silo = await StartAsync();
        await using KvTierClient client = await ConnectAsync(silo);
        KvNamespace ns = (await client.OpenNamespaceAsync(acme)).Value;
        BlockId[] ids = await PutAsync(ns, 1, 1 << 20);
        Assert.Equal(0, silo.Desk.Bandwidth.SamplesOf(LoadPath.Host));
        var buffer = new byte[1 << 20];
        var results = new BlockResult[1];
        Assert.True((await ns.GetAsync(new[] { new GetBlock(ids[0], buffer) }, results)).IsOk);

        // The client has the last byte of its answer a moment before the silo takes the time.
        await UntilAsync(() => silo.Desk.Bandwidth.SamplesOf(LoadPath.Host) == 1, "the get to be measured");
    }

    [Fact]
    public async Task Notes_WithoutEvents_AreDroppedAndSaidSo()
    {
        SiloHost silo = await StartAsync();
        await using KvTierClient client = await ConnectAsync(silo);
        KvNamespace ns = (await client.OpenNamespaceAsync(acme)).Value;
        var note = new EventNote(new BlockId(1, 1), new byte[] { 1 }, default, new[] { 1, 2 });
        Assert.Equal(new EventNotesResponse(0, 1, false), (await ns.NoteEventsAsync([note], 2)).Value);
    }

    private async Task<KvTierClient> ConnectAsync(SiloHost silo) =>
        (await KvTierClient.ConnectAsync(new KvTierClientOptions
        {
            Endpoint = $"tcp://{silo.Endpoints.Native}",
            Transport = TransportMode.Wire,
        })).Value;

    private static async Task<BlockId[]> PutAsync(KvNamespace ns, int count, int length)
    {
        PutBlock[] blocks = [.. Enumerable.Range(0, count).Select(i => new PutBlock(new[] { (byte)i }, new byte[length]))];
        Assert.True((await ns.PutAsync(blocks)).IsOk);
        return [.. blocks.Select(block => ns.IdOf(block.Key.Span))];
    }

    private static Dictionary<string, string> Fields(string seed) => new() { ["seed"] = seed, ["dtype"] = "bf16" };
}

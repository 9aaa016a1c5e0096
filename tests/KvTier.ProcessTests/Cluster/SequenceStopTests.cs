using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A sequence whose owner stops.</summary>
public sealed class SequenceStopTests
{
    private const int Blocks = 24;
    private const int BlockTokens = 16;

    private static readonly NamespaceDescriptor model = new("test", new ModelProfile
    {
        Name = "small",
        Kind = AttentionKind.Gqa,
        Layers = 1,
        KvHeads = 1,
        HeadDim = 16,
        Dtype = Dtype.Float32,
        BlockTokens = BlockTokens,
        Rope = new RopeParameters(0),
    });

    [Fact]
    public async Task KillMinus9_OfTheOwnerWithOneCopy_TheSequenceIsGoneUntilItIsBackAndWholeThen()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1);
        await using KvClusterClient client = await cluster.ConnectAsync();
        KvClusterNamespace ns = (await client.OpenNamespaceAsync(model, TestSilo.Cancel)).Value;
        KvClusterSequence chat = await FillAsync(ns, "chat");
        TestMember owner = OwnerOf(cluster, client, ns, "chat");
        await cluster.KillAndLapseAsync(owner);
        await cluster.WaitUntilSettledAsync();
        Result<KvClusterSequence> away = await ns.FindSequenceAsync("chat", cancellationToken: TestSilo.Cancel);
        Assert.Equal(ErrorCode.InvalidArgument, away.Error?.Code);

        await owner.StartAsync();
        await cluster.WaitUntilSettledAsync();
        await AssertWholeAsync(ns, "chat");
        SequenceDescription longer = (await chat.AppendAsync(await PutAsync(ns, Blocks, 1), BlockTokens)).Value;
        Assert.Equal((Blocks + 1) * BlockTokens, longer.Tokens);
    }

    [Fact]
    public async Task Sigterm_OfTheOwnerWithOneCopy_TheSequenceIsWholeWhenItIsBack()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 1);
        await using KvClusterClient client = await cluster.ConnectAsync();
        KvClusterNamespace ns = (await client.OpenNamespaceAsync(model, TestSilo.Cancel)).Value;
        await FillAsync(ns, "chat");
        TestMember owner = OwnerOf(cluster, client, ns, "chat");
        Assert.Equal(0, await owner.Process.TerminateAsync());
        await cluster.WaitUntilSettledAsync();

        // Its blocks are away with it; its manifest may have been handed over while the owner left.
        await owner.StartAsync();
        await cluster.WaitUntilSettledAsync();
        await AssertWholeAsync(ns, "chat");
    }

    [Fact]
    public async Task Sigterm_OfTheOwnerWithTwoCopies_TheNextOneServesAndTakesMore()
    {
        await using TestCluster cluster = await TestCluster.StartAsync(3, replicas: 2);
        await using KvClusterClient client = await cluster.ConnectAsync();
        KvClusterNamespace ns = (await client.OpenNamespaceAsync(model, TestSilo.Cancel)).Value;
        KvClusterSequence chat = await FillAsync(ns, "chat");
        TestMember owner = OwnerOf(cluster, client, ns, "chat");
        Assert.Equal(0, await owner.Process.TerminateAsync());
        await AssertWholeAsync(ns, "chat");
        SequenceDescription longer = (await chat.AppendAsync(await PutAsync(ns, Blocks, 1), BlockTokens)).Value;
        Assert.Equal((Blocks + 1) * BlockTokens, longer.Tokens);

        // What the first owner has is older: it must not win when it is back.
        await owner.StartAsync();
        await cluster.WaitUntilSettledAsync();
        Assert.Equal(longer.Tokens, (await ns.FindSequenceAsync("chat", cancellationToken: TestSilo.Cancel)).Value.Latest.Tokens);
    }

    private static async Task<KvClusterSequence> FillAsync(KvClusterNamespace ns, string name)
    {
        KvClusterSequence sequence = (await ns.OpenSequenceAsync(name, cancellationToken: TestSilo.Cancel)).Value;
        BlockId[] ids = await PutAsync(ns, 0, Blocks);
        Assert.Equal(Blocks * BlockTokens, (await sequence.AppendAsync(ids, Blocks * BlockTokens)).Value.Tokens);
        return sequence;
    }

    private static async Task<BlockId[]> PutAsync(KvClusterNamespace ns, int first, int count)
    {
        byte[][] keys = [.. Enumerable.Range(0, first + count).Select(i => NumberedBlocks.Key(i))];
        BlockId[] ids = [.. keys.Select(key => ns.IdOf(key))];
        var groups = new BlockId[ids.Length];
        BlockGroups.Fill(ids, groups);
        PutBlock[] puts = [.. Enumerable.Range(first, count).Select(i => new PutBlock(keys[i], BytesOf(i), Group: groups[i]))];
        Assert.True((await ns.PutAsync(puts, options: new PutOptions { Ack = AckLevel.Ssd })).Value.AllAcknowledged);
        return ids[first..];
    }

    private static byte[] BytesOf(int block)
    {
        var values = new float[model.Profile.BlockBytes / sizeof(float)];
        var random = new Random(block);
        for (int i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
        return System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values).ToArray();
    }

    /// <summary>The sequence has all its tokens, and a recall over all of them finds each chunk's bytes.</summary>
    private static async Task AssertWholeAsync(KvClusterNamespace ns, string name)
    {
        Assert.Equal(Blocks * BlockTokens, (await ns.FindSequenceAsync(name, cancellationToken: TestSilo.Cancel)).Value.Latest.Tokens);
        var output = new float[16];
        var query = new RecallQuery
        {
            Mode = RecallMode.Attend,
            Selector = Selectors.Moments with { Budget = RecallBudget.OfTokens(Blocks * BlockTokens) },
            QueryHeads = 1,
            Items = [new RecallQueryItem { Sequence = name, Layer = 0, Queries = new float[16], Output = output, Lse = new float[1] }],
        };
        // While owners change, what did not answer in time is named; the next one asks where it lies now.
        await TestCluster.WaitAsync(async () =>
        {
            RecallItemResult[] results = (await ns.RecallAsync(query, cancellationToken: TestSilo.Cancel)).Value;
            return (results[0].Missing.Count == 0, string.Join(", ", results[0].Missing));
        });
        float[] values = new float[16];
        for (int block = 0; block < Blocks; block++)
        {
            ReadOnlySpan<float> rows = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(BytesOf(block));
            for (int i = 0; i < BlockTokens * 16; i++) values[i % 16] += rows[(BlockTokens * 16) + i] / (Blocks * BlockTokens);
        }

        // A query of zeros weighs every token alike: the output is the mean of all values.
        for (int i = 0; i < 16; i++) Assert.Equal(values[i], output[i], 1e-4f);
    }

    private static TestMember OwnerOf(TestCluster cluster, KvClusterClient client, KvClusterNamespace ns, string name) =>
        cluster.Member(client.Map!.Silos[client.Map.OwnerOf(BlockGroups.OfSequence(ns.Id, name))].Name);
}

namespace KvTier.ProcessTests.Interop;

/// <summary>A client in .NET and one in Python at the same silos see each other's sequences.</summary>
public abstract class InteropSequenceTests
{
    private const int Blocks = 12;
    private const int BlockTokens = 16;
    private readonly InteropSilos silos;
    private readonly IPeer[] peers;

    protected InteropSequenceTests(InteropSilos silos)
    {
        this.silos = silos;
        peers = [new DotnetPeer(silos.Client), silos.Peer];
    }

    [Fact]
    public async Task Sequences_MadeByOneAndGoneOnWithByTheOther_AreTheSameForBoth()
    {
        const string tenant = "sequences";
        string[] names = [.. Enumerable.Range(0, 8).Select(i => $"chat-{i}")];
        foreach ((string name, int number) in names.Select((name, i) => (name, i)))
        {
            IPeer maker = peers[number % 2], other = peers[1 - (number % 2)];
            string[] keys = KeysOf(name);
            BlockSet all = new(tenant, keys, IsModel: true);

            // What one has put the other appends, so that neither knows all of it by itself. Half of them lie as prefixes do.
            all = all with { Prefix = number < 4 ? keys : null };
            AssertAll("stored", await other.PutAsync(all with { Keys = keys[..7] }));
            Assert.Equal("7 blocks, 112 tokens", await maker.AppendAsync(tenant, name, keys[..7], 7 * BlockTokens));
            Assert.Equal("7 blocks, 112 tokens", await other.SequenceAsync(tenant, name));
            AssertAll("stored", await maker.PutAsync(all with { Keys = keys[7..] }));
            Assert.Equal("12 blocks, 192 tokens", await other.AppendAsync(tenant, name, keys[7..], 5 * BlockTokens));
            Assert.Equal("12 blocks, 192 tokens", await maker.SequenceAsync(tenant, name));
            await AssertAttentionAsync(tenant, name, keys);
        }

        var owners = new HashSet<string>();
        foreach (string name in names) owners.Add(await peers[1].SequenceOwnerAsync(tenant, name));
        Assert.Equal(silos.Count, owners.Count);
        foreach (IPeer peer in peers) Assert.Equal(names, await peer.SequencesAsync(tenant));
    }

    [Fact]
    public async Task Sequence_ForkedByOne_IsTheOthersAndGoneWhenClosed()
    {
        const string tenant = "forks";
        string[] keys = KeysOf("trunk");
        AssertAll("stored", await peers[0].PutAsync(new BlockSet(tenant, keys, Prefix: keys, IsModel: true)));
        await peers[0].AppendAsync(tenant, "trunk", keys, Blocks * BlockTokens);
        for (int i = 0; i < 2; i++)
        {
            IPeer maker = peers[i], other = peers[1 - i];
            Assert.Equal("4 blocks, 64 tokens", await maker.ForkAsync(tenant, "trunk", $"twig-{i}", 4 * BlockTokens));
            Assert.Equal("4 blocks, 64 tokens", await other.SequenceAsync(tenant, $"twig-{i}"));
            await AssertAttentionAsync(tenant, $"twig-{i}", keys[..4]);
            await other.CloseAsync(tenant, $"twig-{i}");
            Assert.Equal(["trunk"], await maker.SequencesAsync(tenant));
        }
    }

    private static string[] KeysOf(string name) => [.. Enumerable.Range(0, Blocks).Select(i => $"{name}-{i}")];

    private static void AssertAll(string expected, string[] found) => Assert.All(found, each => Assert.Equal(expected, each));

    /// <summary>Both find what is right over all tokens, in each layer.</summary>
    private async Task AssertAttentionAsync(string tenant, string name, string[] keys)
    {
        float[][] blocks = [.. keys.Select(key => PeerBytes.FloatsOf(key, ""))];
        for (int layer = 0; layer < PeerBytes.Model.Layers; layer++)
        {
            float[] queries = Attention.QueriesOf(layer + 1);
            Attention right = Attention.Over(blocks, layer, queries);
            foreach (IPeer peer in peers)
                Attention.AssertSame(right, await peer.AttendAsync(tenant, name, layer, queries, blocks.Length * BlockTokens));
        }
    }
}

namespace KvTier.Client.Tests.Live;

/// <summary>Recall through the client, on every way to a real silo, against a reference.</summary>
public sealed class RecallTests
{
    private static readonly Selector some = Selectors.TriForce with { Budget = RecallBudget.OfTokens(32) };

    private static readonly SequenceOptions means = new() { Digests = [Selectors.TriForce.Digest] };

    public static TheoryData<Way> Ways => [Way.Tcp, Way.Unix, Way.Local];

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task RecallAsync_OfTwoSequencesAndLayers_AttendsOverWhatItNames(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, way);
        await using (client)
        {
            KvText[] texts = [new("a", 100, 1), new("b", 64, 2)];
            foreach (KvText text in texts) await text.StoreAsync(ns, means);
            foreach (double share in new[] { 0.25, 1.0 })
            {
                RecallQueryItem[] items = [.. from text in new[] { 0, 1 } from layer in new[] { 1, 0 } select Item(text, layer)];
                Selector selector = some with { Budget = new RecallBudget(BudgetKind.Share, share) };
                RecallItemResult[] answer = (await ns.RecallAsync(Query(RecallMode.Attend, items, selector))).Value;
                for (int i = 0; i < items.Length; i++)
                {
                    KvText text = texts[i / 2];
                    if (share == 1) Assert.Equal(text.Tokens, text.TokensOf(answer[i].UnitsOf(1), answer[i].UnitTokens).Length);
                    text.AssertAttends(answer[i], items[i].Layer, items[i].Queries.Span, items[i].Output.Span, items[i].Lse.Span);
                    Assert.True(answer[i].Cost.KvBytes > 0);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task RecallAsync_Gather_GivesTheRowsOfTheUnitsItNames(Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, way);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            await text.StoreAsync(ns, means);
            RecallQueryItem[] items = [Item(0, 0), Item(0, 1)];
            RecallItemResult[] answer = (await ns.RecallAsync(Query(RecallMode.Gather, items, some))).Value;
            for (int i = 0; i < 2; i++)
            {
                Assert.InRange(answer[i].PayloadLength, 1, 32 * 2 * 2 * 8 * 4);
                text.AssertRows(answer[i], i, items[i].Destination.Span[..answer[i].PayloadLength]);
            }

            RecallItemResult[] ids = (await ns.RecallAsync(Query(RecallMode.Ids, items, some))).Value;
            for (int i = 0; i < 2; i++) Assert.Equal(answer[i].Units.ToArray(), ids[i].Units.ToArray());
            Assert.All(ids, item => Assert.Equal(0, item.PayloadLength));
            await LocalTests.WaitUntilAsync(() => silo.Host.Engine.Stats.LeasedSlots == 0);
        }
    }

    [Fact]
    public async Task RecallAsync_WithSlots_SendsOnlyWhatIsNotHeld()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, Way.Unix);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            await text.StoreAsync(ns, means);
            RecallQueryItem first = Item(0, 0) with { Held = Enumerable.Repeat(-1, 2 * 6).ToArray() };
            RecallItemResult before = (await ns.RecallAsync(Query(RecallMode.Gather, [first], some))).Value[0];
            Assert.Equal(before.Units.ToArray().Order(), before.Sent.ToArray().Order());
            RecallQueryItem second = first with { Held = before.Slots };
            RecallItemResult after = (await ns.RecallAsync(Query(RecallMode.Gather, [second], some))).Value[0];
            Assert.Equal(before.Slots.ToArray(), after.Slots.ToArray());
            Assert.Equal((0, 0, 0), (after.Sent.Length, after.GatherRows, after.PayloadLength));
        }
    }

    [Theory]
    [InlineData(RecallMode.Gather)]
    [InlineData(RecallMode.Attend)]
    public async Task RecallLeaseAsync_LeavesThePayloadInTheArenaUntilItIsDisposed(RecallMode mode)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, Way.Local);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            await text.StoreAsync(ns, means);
            RecallQueryItem[] items = [Item(0, 1), Item(0, 0)];
            RecallLease lease = (await ns.RecallLeaseAsync(Query(mode, items, some))).Value;
            Assert.True(lease.IsValid && lease.Verify());
            Assert.Equal(1, client.LeasesHeld);
            Assert.Equal(1, silo.Host.Engine.Stats.ScratchSlots);
            for (int i = 0; i < 2; i++) AssertPayload(text, mode, items[i], lease.Items[i], lease.PayloadOf(i).Span);
            lease.Dispose();
            lease.Dispose();
            Assert.False(lease.IsValid || lease.Verify());
            Assert.Throws<ObjectDisposedException>(() => lease.PayloadOf(0));
            Assert.Equal(0, client.LeasesHeld);
            await LocalTests.WaitUntilAsync(() => silo.Host.Engine.Stats.ScratchSlots == 0);
        }
    }

    [Fact]
    public async Task RecallLeaseAsync_OfIds_HoldsNothing()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, Way.Local);
        await using (client)
        {
            await new KvText("a", 100, 1).StoreAsync(ns, means);
            using RecallLease lease = (await ns.RecallLeaseAsync(Query(RecallMode.Ids, [Item(0, 0)], some))).Value;
            Assert.True(lease.IsValid && lease.Verify() && lease.PayloadOf(0).IsEmpty);
            Assert.Equal((0, 0), (client.LeasesHeld, silo.Host.Engine.Stats.ScratchSlots));
        }
    }

    [Fact]
    public async Task RecallAsync_AfterARestart_FindsTheSequencesAgain()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync(options => options with
        {
            DataDirectory = Path.Combine(Path.GetDirectoryName(options.UnixSocket)!, "data"),
            SsdBytes = 256 << 20,
        });
        (KvTierClient client, KvNamespace ns) = await ConnectAsync(silo, Way.Tcp);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            KvSequence sequence = await text.StoreAsync(ns, means);
            await silo.RestartAsync();
            SequenceDescription found = (await sequence.DescribeAsync()).Value;
            Assert.Equal((7, 100L), (found.Blocks, found.Tokens));
            RecallQueryItem item = Item(0, 1);
            RecallItemResult answer = (await ns.RecallAsync(Query(RecallMode.Attend, [item], some))).Value[0];
            text.AssertAttends(answer, 1, item.Queries.Span, item.Output.Span, item.Lse.Span);
        }
    }

    internal static async Task<(KvTierClient Client, KvNamespace Namespace)> ConnectAsync(LiveSilo silo, Way way)
    {
        KvTierClient client = (await KvTierClient.ConnectAsync(silo.ClientOptions(way))).Value;
        return (client, (await client.OpenNamespaceAsync(KvText.Namespace)).Value);
    }

    internal static RecallQuery Query(RecallMode mode, RecallQueryItem[] items, Selector selector) => new()
    {
        Mode = mode,
        Selector = selector,
        QueryHeads = KvText.QueryHeads,
        Items = items,
    };

    internal static RecallQueryItem Item(int text, int layer) => new()
    {
        Sequence = $"{(char)('a' + text)}",
        Layer = layer,
        Queries = KvText.Queries((10 * text) + layer),
        Destination = new byte[1 << 16],
        Output = new float[KvText.QueryHeads * KvText.Profile.HeadDim],
        Lse = new float[KvText.QueryHeads],
    };

    private static void AssertPayload(
        KvText text, RecallMode mode, RecallQueryItem item, RecallItemResult answer, ReadOnlySpan<byte> payload)
    {
        if (mode == RecallMode.Gather)
        {
            text.AssertRows(answer, item.Layer, payload);
            return;
        }

        ReadOnlySpan<float> floats = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, float>(payload);
        int output = KvText.QueryHeads * KvText.Profile.HeadDim;
        text.AssertAttends(answer, item.Layer, item.Queries.Span, floats[..output], floats[output..]);
    }
}

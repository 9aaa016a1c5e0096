namespace KvTier.Client.Tests.Live;

/// <summary>Sequences through the client, and what recall refuses.</summary>
public sealed class SequenceTests
{
    private static readonly Selector few = Selectors.TriForce with { Budget = RecallBudget.OfTokens(32) };

    private static readonly SequenceOptions means = new() { Digests = [Selectors.TriForce.Digest] };

    private static readonly Dictionary<string, Func<RecallQuery, RecallQuery>> wrong = new()
    {
        ["items[0].queries.length"] = query => With(query, item => item with { Queries = new float[31] }),
        ["items[0].queries[3]"] = query => With(query, item => item with { Queries = Spoilt(3, float.NaN) }),
        ["items[0].queries[31]"] = query => With(query, item => item with { Queries = Spoilt(31, float.NegativeInfinity) }),
        ["items[0].layer"] = query => With(query, item => item with { Layer = 2 }),
        ["items[0].sequence"] = query => With(query, item => item with { Sequence = "nobody" }),
        ["items[0].held.length"] = query => With(query, item => item with { Held = new int[3] }),
        ["items[0].output.length"] = query => With(query, item => item with { Output = new float[31] }),
        ["items[0].lse.length"] = query => With(query, item => item with { Lse = new float[3] }),
        ["items[0].destination.length"] =
            query => With(query, item => item with { Destination = new byte[8] }) with { Mode = RecallMode.Gather },
        ["items.count"] = query => query with { Items = [] },
        ["queryHeads"] = query => query with { QueryHeads = 3 },
        ["window"] = query => query with { Window = 0 },
        ["mode"] = query => query with { Mode = (RecallMode)9 },
        ["temperature"] = query => query with { Temperature = 0 },
        ["lseMultiplier"] = query => query with { LseMultiplier = float.NaN },
        ["selector.budget"] = query => query with { Selector = few with { Budget = RecallBudget.OfTokens(0) } },
        ["selector.digest"] = query => query with { Selector = Selectors.Quest },
    };

    public static TheoryData<string, Way> Wrong
    {
        get
        {
            var rows = new TheoryData<string, Way>();
            foreach (string name in wrong.Keys)
            {
                rows.Add(name, Way.Tcp);
                rows.Add(name, Way.Local);
            }

            return rows;
        }
    }

    [Theory]
    [MemberData(nameof(Wrong))]
    public async Task RecallAsync_OfWhatCanNotBe_NamesTheField(string field, Way way)
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await RecallTests.ConnectAsync(silo, way);
        await using (client)
        {
            await new KvText("a", 100, 1).StoreAsync(ns, means);
            RecallQuery right = RecallTests.Query(RecallMode.Attend, [RecallTests.Item(0, 0)], few);
            KvError error = (await ns.RecallAsync(wrong[field](right))).Error!;
            Assert.Equal((ErrorCode.InvalidArgument, field), (error.Code, error.Field));
            Assert.True((await ns.RecallAsync(right)).IsOk);
            await LocalTests.WaitUntilAsync(() => silo.Host.Engine.Stats.LeasedSlots == 0);
        }
    }

    [Fact]
    public async Task RecallAsync_WithABudgetAboveTheLength_IsRefused()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await RecallTests.ConnectAsync(silo, Way.Tcp);
        await using (client)
        {
            await new KvText("a", 100, 1).StoreAsync(ns, means);
            Selector much = few with { Budget = RecallBudget.OfTokens(101) };
            KvError error = (await ns.RecallAsync(RecallTests.Query(RecallMode.Ids, [RecallTests.Item(0, 0)], much))).Error!;
            Assert.Equal("InvalidArgument: selector.budget is 101; allowed: 1 to the sequence's tokens, 100", error.Message);
        }
    }

    [Fact]
    public async Task RecallAsync_InAnOpaqueNamespace_IsRefused()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await silo.ConnectAsync(Way.Tcp);
        await using (client)
        {
            Assert.Equal("namespace",
                (await ns.RecallAsync(RecallTests.Query(RecallMode.Ids, [RecallTests.Item(0, 0)], few))).Error!.Field);
            Assert.Equal(ErrorCode.InvalidArgument, (await ns.OpenSequenceAsync("a")).Error!.Code);
        }
    }

    [Fact]
    public async Task AppendAsync_SentTwice_IsDoneOnce()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await RecallTests.ConnectAsync(silo, Way.Tcp);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            KvSequence stored = await text.StoreAsync(ns, means);
            Assert.True((await stored.CloseAsync()).IsOk);
            KvSequence first = (await ns.OpenSequenceAsync("a", means)).Value;
            KvSequence second = (await ns.OpenSequenceAsync("a", means)).Value;
            Assert.Equal(100, (await first.AppendAsync(text.Ids(ns), 100)).Value.Tokens);
            Assert.Equal(0, second.Latest.Tokens);
            Assert.Equal((7, 100L), Size((await second.AppendAsync(text.Ids(ns), 100)).Value));
            KvSequence third = (await ns.FindSequenceAsync("a")).Value;
            Assert.Equal((7, 100L), Size(third.Latest));
            KvError error = (await third.AppendAsync(text.Ids(ns).AsMemory(0, 1), 16)).Error!;
            Assert.Equal((ErrorCode.InvalidArgument, "replaceLast"), (error.Code, error.Field));
        }
    }

    [Fact]
    public async Task AppendAsync_AfterAnotherClientsAppend_IsRefusedAndDescribeAsyncTellsHowFarItIs()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await RecallTests.ConnectAsync(silo, Way.Tcp);
        await using (client)
        {
            var text = new KvText("a", 96, 1);
            KvSequence late = (await ns.OpenSequenceAsync("a", means)).Value;
            await text.StoreAsync(ns, means);
            BlockId[] ids = text.Ids(ns);
            KvError error = (await late.AppendAsync(ids.AsMemory(0, 1), 16)).Error!;
            Assert.Equal((ErrorCode.InvalidArgument, "expectedTokens"), (error.Code, error.Field));
            Assert.Equal((6, 96L), Size((await late.DescribeAsync()).Value));
            Assert.Equal((7, 105L), Size((await late.AppendAsync(ids.AsMemory(0, 1), 9)).Value));
            Assert.Equal((7, 112L), Size((await late.AppendAsync(ids.AsMemory(0, 1), 16, replaceLast: true)).Value));
        }
    }

    [Fact]
    public async Task Sequences_OpenForkListDescribeClose_AreWhatTheyWereMade()
    {
        await using LiveSilo silo = await LiveSilo.StartAsync();
        (KvTierClient client, KvNamespace ns) = await RecallTests.ConnectAsync(silo, Way.Unix);
        await using (client)
        {
            var text = new KvText("a", 100, 1);
            KvSequence whole = await text.StoreAsync(ns, means);
            Assert.Equal(means.Digests, whole.Latest.Digests);
            Assert.True(whole.Latest.DigestBytes > 0);
            Assert.Equal((2, 32L), Size((await whole.ForkAsync("b", 32)).Value.Latest));
            Assert.Equal(ErrorCode.InvalidArgument, (await whole.ForkAsync("b", 32)).Error!.Code);
            Assert.Equal((7, 100L), Size((await whole.ForkAsync("ö")).Value.Latest));
            SequenceDescription[] all = (await ns.ListSequencesAsync()).Value;
            Assert.Equal(["a", "b", "ö"], all.Select(each => each.Name));
            Assert.Equal(["b"], (await ns.ListSequencesAsync("a", max: 1)).Value.Select(each => each.Name));
            Assert.Equal((7, 100L), Size((await whole.CloseAsync()).Value));
            Assert.Equal(ErrorCode.InvalidArgument, (await whole.DescribeAsync()).Error!.Code);
            Assert.Equal(ErrorCode.InvalidArgument, (await ns.FindSequenceAsync("a")).Error!.Code);
            RecallQueryItem item = RecallTests.Item(0, 1) with { Sequence = "ö" };
            RecallItemResult answer = (await ns.RecallAsync(RecallTests.Query(RecallMode.Attend, [item], few))).Value[0];
            text.AssertAttends(answer, 1, item.Queries.Span, item.Output.Span, item.Lse.Span);
        }
    }

    private static (int Blocks, long Tokens) Size(SequenceDescription sequence) => (sequence.Blocks, sequence.Tokens);

    private static RecallQuery With(RecallQuery query, Func<RecallQueryItem, RecallQueryItem> change) =>
        query with { Items = [change(query.Items[0])] };

    private static float[] Spoilt(int index, float value)
    {
        float[] queries = KvText.Queries(0);
        queries[index] = value;
        return queries;
    }
}

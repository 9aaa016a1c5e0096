namespace KvTier.Recall.Tests;

/// <summary>Attention over the shapes and dtypes there are.</summary>
public class ShapeTests : LeakGated
{
    public static TheoryData<string, int, int, int> Cases()
    {
        var cases = new TheoryData<string, int, int, int>();
        foreach (string shape in new[] { "fp32", "fp16", "bf16", "int8", "mla", "mla-bf16", "rope", "rope-bf16", "odd-dim", "one-head" })
        {
            foreach (int tokens in new[] { 1, 27, 61, 113 })
            {
                cases.Add(shape, tokens, 1, tokens % 2);
                cases.Add(shape, tokens, 3, (tokens + 1) % 2);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task RecallAsync_Attend_EqualsAttentionInDoublePrecision(string shape, int tokens, int window, int fromSsd)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(ProfileOf(shape));
        var context = new KvContext(silo.Descriptor.Profile, tokens, seed: tokens);
        List<BlockId> ids = await silo.AddAsync("s", context);
        if (fromSsd == 1) await silo.DemoteAsync(ids);
        foreach (Selector selector in new[] { Shapes.All(), Shapes.Selector(Math.Max(1, tokens / 3)) })
        {
            RecallRequest request = Requests.Attend(silo, selector, window: window) with { Temperature = 0.9f, LseMultiplier = 1.25f };
            using RecallAnswer answer = await silo.RecallAsync(request);
            Assert.Empty(answer.Items[0].Missing);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout);
        }
    }

    [Theory]
    [InlineData("mla")]
    [InlineData("bf16")]
    [InlineData("rope-bf16")]
    public async Task RecallAsync_Gather_GivesStoredRowsOfAnyShape(string shape)
    {
        await using RecallHarness silo = await RecallHarness.StartAsync(ProfileOf(shape));
        var context = new KvContext(silo.Descriptor.Profile, 100, seed: 5);
        List<BlockId> ids = await silo.AddAsync("s", context);
        await silo.DemoteAsync(ids[..3]);
        foreach (GatherLayout order in Enum.GetValues<GatherLayout>())
        {
            RecallRequest request = Requests.Attend(silo, Shapes.Selector(40)) with { Mode = RecallMode.Gather, Layout = order };
            using RecallAnswer answer = await silo.RecallAsync(request);
            Answers.AssertGathers(answer, answer.Items[0], request.Items[0], context, silo.Layout, order);
        }
    }

    [Fact]
    public async Task RecallAsync_SeveralSequencesAndLayers_AreAnsweredInOrder()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var contexts = new Dictionary<string, KvContext>();
        foreach ((string name, int tokens) in new[] { ("a", 100), ("b", 57), ("c", 128) })
        {
            contexts[name] = new KvContext(silo.Descriptor.Profile, tokens, seed: tokens);
            List<BlockId> ids = await silo.AddAsync(name, contexts[name]);
            if (name != "a") await silo.DemoteAsync(ids);
        }

        RecallRequest request = Requests.Attend(silo, Shapes.Selector(16)) with
        {
            Items =
            [
                Requests.Item(silo, layer: 1, seed: 1, name: "b"), Requests.Item(silo, layer: 0, seed: 2, name: "a"),
                Requests.Item(silo, layer: 0, seed: 3, name: "c"), Requests.Item(silo, layer: 1, seed: 4, name: "a"),
                Requests.Item(silo, layer: 1, seed: 1, name: "b"),
            ],
        };
        using RecallAnswer answer = await silo.RecallAsync(request);
        using RecallAnswer gathered = await silo.RecallAsync(request with { Mode = RecallMode.Gather });

        for (int i = 0; i < request.Items.Count; i++)
        {
            KvContext context = contexts[request.Items[i].Sequence];
            Answers.AssertAttends(answer, answer.Items[i], request, request.Items[i], context, silo.Layout);
            Answers.AssertGathers(gathered, gathered.Items[i], request.Items[i], context, silo.Layout);
        }
    }

    [Fact]
    public async Task RecallAsync_Ids_GivesUnitsAndNoPayload()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        await silo.AddAsync("s", new KvContext(silo.Descriptor.Profile, 104, seed: 5));
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(24)) with { Mode = RecallMode.Ids };
        using RecallAnswer ids = await silo.RecallAsync(request);
        using RecallAnswer attended = await silo.RecallAsync(request with { Mode = RecallMode.Attend });
        Assert.Equal(0, ids.Payload.Length);
        Assert.Equal(attended.Items[0].Units.ToArray(), ids.Items[0].Units.ToArray());
        Assert.Equal(0, ids.Items[0].Cost.KvBytes);
        Assert.Equal(2 * 24 * 2 * 16 * 4, attended.Items[0].Cost.KvBytes);
    }

    [Fact]
    public async Task RecallAsync_InSharedMemory_PutsThePayloadIntoAnArenaSlot()
    {
        await using RecallHarness silo = await RecallHarness.StartAsync();
        var context = new KvContext(silo.Descriptor.Profile, 100, seed: 5);
        await silo.AddAsync("s", context);
        RecallRequest request = Requests.Attend(silo, Shapes.Selector(24)) with { Mode = RecallMode.Gather, InSharedMemory = true };
        using (RecallAnswer answer = await silo.RecallAsync(request))
        {
            Assert.Equal(1, silo.Engine.Stats.ScratchSlots);
            Assert.Equal(answer.Payload.ToArray(), silo.Engine.Arena.Slice(answer.Lease!.Value.Offset, answer.Payload.Length).ToArray());
            Answers.AssertGathers(answer, answer.Items[0], request.Items[0], context, silo.Layout);
        }

        Assert.Equal(0, silo.Engine.Stats.ScratchSlots);
        Assert.Equal(0, silo.Engine.Stats.LeasedSlots);
    }

    internal static ModelProfile ProfileOf(string shape) => shape switch
    {
        "fp32" => Shapes.Gqa(),
        "fp16" => Shapes.Gqa(Dtype.Float16),
        "bf16" => Shapes.Gqa(Dtype.BFloat16, headDim: 32),
        "int8" => Shapes.Gqa(Dtype.Int8),
        "mla" => Shapes.Mla(),
        "mla-bf16" => Shapes.Mla(Dtype.BFloat16),
        "rope" => Shapes.Gqa(preRotation: true),
        "rope-bf16" => Shapes.Gqa(Dtype.BFloat16, preRotation: true),
        "odd-dim" => Shapes.Gqa(headDim: 13),
        _ => Shapes.Gqa(kvHeads: 1, blockTokens: 64),
    };
}

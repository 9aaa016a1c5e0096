using KvTier.Engine;

namespace KvTier.Recall.Tests;

/// <summary>Random operations against a simple model: a dictionary of contexts.</summary>
public class ModelTests : LeakGated
{
    private static readonly DigestSpec minMax = new() { Kind = DigestKind.MinMax, ChunkTokens = 16, Form = DigestForm.Float32 };

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Sequences_RandomOperations_AnswerAsTheModel(int seed)
    {
        var device = new HostDevice(1 << 20);
        await using RecallHarness silo = await RecallHarness.StartAsync(
            options: new RecallOptions { HotSetBytes = 48 << 10, Workers = 2, DeviceBytes = seed == 3 ? 0 : 256 << 10 },
            engine: new EngineOptions { MissLedgerEntries = 4096 }, hostBytes: 768 << 10, device: device);
        var model = new Dictionary<string, KvContext>();
        var random = new Random(seed);
        for (int step = 0; step < 250; step++)
        {
            string name = $"s{random.Next(6)}";
            switch (random.Next(12))
            {
                case 0:
                    await OpenAsync(silo, model, name);
                    break;
                case 1 or 2:
                    await AppendAsync(silo, model, name, random);
                    break;
                case 3:
                    await ForkAsync(silo, model, name, $"s{random.Next(6)}", random);
                    break;
                case 4 when random.Next(3) == 0:
                    await CloseAsync(silo, model, name);
                    break;
                case 5 when random.Next(6) == 0:
                    await silo.FlushAsync();
                    await silo.RestartAsync(drain: random.Next(2) == 0);
                    Assert.Equal((model.Count, 0), silo.Restored);
                    break;
                default:
                    await RecallAsync(silo, model, name, random);
                    break;
            }

            AssertListed(silo, model);
        }

        Assert.Equal(0, silo.Engine.Stats.LeasedSlots);
        Assert.Equal(silo.Recall.Stats.DeviceBlocks, device.PlacesTaken);
    }

    private static async Task OpenAsync(RecallHarness silo, Dictionary<string, KvContext> model, string name)
    {
        await silo.OpenAsync(name, Shapes.Mean, minMax);
        model.TryAdd(name, new KvContext(silo.Descriptor.Profile, 0, 1));
    }

    private static async Task AppendAsync(RecallHarness silo, Dictionary<string, KvContext> model, string name, Random random)
    {
        if (!model.TryGetValue(name, out KvContext? before)) return;
        KvContext after = before.Continue(before.Tokens, random.Next(1, 60), random.Next());
        List<BlockId> ids = await silo.PutAsync(after.Blocks());
        int from = (int)(before.Tokens / silo.Layout.BlockTokens);
        await silo.AppendAsync(
            name, ids[from..], after.Tokens - ((long)from * silo.Layout.BlockTokens), before.Tokens % silo.Layout.BlockTokens != 0);
        model[name] = after;
    }

    private static async Task ForkAsync(
        RecallHarness silo, Dictionary<string, KvContext> model, string name, string newName, Random random)
    {
        bool can = model.TryGetValue(name, out KvContext? source) && !model.ContainsKey(newName) && name != newName;
        int blocks = source is null ? 0 : random.Next((int)(source.Tokens / silo.Layout.BlockTokens) + 1);
        long tokens = random.Next(2) * (long)blocks * silo.Layout.BlockTokens;
        Result<SequenceInfo> fork = await silo.Recall.ForkAsync(silo.Namespace, name, newName, tokens, RecallHarness.Guard);
        Assert.Equal(can, fork.IsOk);
        if (can) model[newName] = tokens == 0 ? source! : source!.Continue(tokens, 0, 1);
    }

    private static async Task CloseAsync(RecallHarness silo, Dictionary<string, KvContext> model, string name)
    {
        Result<SequenceInfo> closed = await silo.Recall.CloseAsync(silo.Namespace, name, RecallHarness.Guard);
        Assert.Equal(model.Remove(name), closed.IsOk);
    }

    private static async Task RecallAsync(RecallHarness silo, Dictionary<string, KvContext> model, string name, Random random)
    {
        bool known = model.TryGetValue(name, out KvContext? context);
        DigestSpec digest = random.Next(2) == 0 ? Shapes.Mean : minMax;
        Selector selector = known && context!.Tokens > 0 && random.Next(3) > 0
            ? Shapes.Selector(random.Next(1, (int)context.Tokens + 1), digest)
            : Shapes.All(digest);
        if (random.Next(3) == 0) selector = selector with { Reuse = new ReuseRule(ReuseKind.EverySteps, 2) };
        RecallMode mode = random.Next(3) == 0 ? RecallMode.Gather : RecallMode.Attend;
        RecallRequest request =
            Requests.Attend(silo, selector, layer: random.Next(2), seed: random.Next(), name: name) with { Mode = mode };
        Result<RecallAnswer> result = await silo.Recall.RecallAsync(request, RecallHarness.Guard);
        Assert.Equal(known, result.IsOk);
        if (!known) return;
        using RecallAnswer answer = result.Value;
        Assert.Empty(answer.Items[0].Missing);
        if (mode == RecallMode.Attend)
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context!, silo.Layout);
        else
            Answers.AssertGathers(answer, answer.Items[0], request.Items[0], context!, silo.Layout);
    }

    private static void AssertListed(RecallHarness silo, Dictionary<string, KvContext> model)
    {
        IReadOnlyList<SequenceInfo> listed = silo.Recall.List(silo.Namespace, "", 100);
        Assert.Equal(
            model.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => (pair.Key, pair.Value.Tokens)),
            listed.Select(info => (info.Name, info.Tokens)));
    }
}

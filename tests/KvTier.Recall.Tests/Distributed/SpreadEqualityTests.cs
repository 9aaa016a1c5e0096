using System.Runtime.InteropServices;

namespace KvTier.Recall.Tests.Distributed;

/// <summary>Several silos answer as one does.</summary>
public class SpreadEqualityTests : LeakGated
{
    public static TheoryData<string, int> Presets()
    {
        var cases = new TheoryData<string, int>();
        foreach (Selector selector in Selectors.BuiltIn)
        {
            foreach (int tokens in new[] { 300, 2501 }) cases.Add(selector.Name, tokens);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Presets))]
    public async Task RecallAsync_EveryPresetAndMode_AnswersAsOneSilo(string preset, int tokens)
    {
        Selector selector = Selectors.Find(preset)! with { Budget = RecallBudget.OfTokens(256) };
        await using Pair pair = await Pair.StartAsync(Shapes.Gqa(blockTokens: 64), tokens, selector.Digest);
        foreach (int window in new[] { 1, 3 })
        {
            RecallRequest request = Requests.Attend(pair.One, selector, window: window);
            foreach (RecallMode mode in Enum.GetValues<RecallMode>()) await pair.CompareAsync(request with { Mode = mode });
        }
    }

    [Theory]
    [InlineData("fp16")]
    [InlineData("bf16")]
    [InlineData("int8")]
    [InlineData("mla")]
    [InlineData("rope")]
    public async Task RecallAsync_EveryShape_AnswersAsOneSilo(string shape)
    {
        await using Pair pair = await Pair.StartAsync(ShapeTests.ProfileOf(shape), 1500, Shapes.Mean);
        foreach (RecallMode mode in Enum.GetValues<RecallMode>())
        {
            await pair.CompareAsync(Requests.Attend(pair.One, Shapes.Selector(160)) with { Mode = mode });
            await pair.CompareAsync(Requests.Attend(pair.One, Shapes.All()) with { Mode = mode });
        }
    }

    public static TheoryData<string, BudgetKind, double> Budgets() => new()
    {
        { "shadowkv", BudgetKind.Share, 0.11 },
        { "shadowkv", BudgetKind.Mass, 0.6 },
        { "shadowkv", BudgetKind.Threshold, 0.0005 },
        { "shadowkv", BudgetKind.Mass, 1 },
        { "quest", BudgetKind.Mass, 0.6 },
        { "quest", BudgetKind.Share, 0.05 },
        { "squeezed", BudgetKind.Threshold, 0.0005 },
        { "squeezed", BudgetKind.Mass, 0.6 },
        { "a2ats", BudgetKind.Share, 0.2 },
        { "retroinfer", BudgetKind.Tokens, 1 },
        { "leoam", BudgetKind.Tokens, 17 },
    };

    [Theory]
    [MemberData(nameof(Budgets))]
    public async Task RecallAsync_EveryBudget_AnswersAsOneSilo(string preset, BudgetKind kind, double value)
    {
        Selector selector = Selectors.Find(preset)! with { Budget = new RecallBudget(kind, value) };
        await using Pair pair = await Pair.StartAsync(Shapes.Gqa(), 2001, selector.Digest);
        await pair.CompareAsync(Requests.Attend(pair.One, selector, window: 2));
    }

    [Theory]
    [InlineData("moments", 0.3)]
    [InlineData("retroinfer", 0.5)]
    public async Task RecallAsync_SomeIsEstimated_AnswersAsOneSilo(string preset, double share)
    {
        Selector selector = Selectors.Find(preset)!;
        selector = selector with
        {
            Budget = RecallBudget.OfTokens(128),
            EstimateShare = share,
            Digest = selector.Digest with { ValueMap = false },
        };
        await using Pair pair = await Pair.StartAsync(Shapes.Gqa(), 2001, selector.Digest);
        await pair.CompareAsync(Requests.Attend(pair.One, selector));
    }

    [Fact]
    public async Task RecallAsync_BadKeysAndAbsentBlocks_AnswerAsOneSilo()
    {
        var context = new KvContext(Shapes.Gqa(), 1501, seed: 3);
        foreach (int token in new[] { 3, 400, 800, 801, 1200, 1500 }) context.SetKey(1, 1, token, float.NaN);
        Selector selector = Shapes.Selector(200) with { SinkChunks = 3, RecentChunks = 5 };
        await using Pair pair = await Pair.StartAsync(Shapes.Gqa(), context, selector.Digest);
        foreach (RecallMode mode in new[] { RecallMode.Ids, RecallMode.Gather })
            await pair.CompareAsync(Requests.Attend(pair.One, selector) with { Mode = mode });
    }

    [Fact]
    public async Task RecallAsync_Held_SendsWhatOneSiloSends()
    {
        Selector selector = Shapes.Selector(160);
        await using Pair pair = await Pair.StartAsync(Shapes.Gqa(), 1501, selector.Digest);
        var held = new int[2 * 24];
        held.AsSpan().Fill(-1);
        for (int step = 0; step < 3; step++)
        {
            RecallRequest request = Requests.Attend(pair.One, selector, seed: 100 + step) with { Mode = RecallMode.Gather };
            request = request with { Items = [request.Items[0] with { Held = held.ToArray() }] };
            RecallItemAnswer item = await pair.CompareAsync(request);
            item.Slots.CopyTo(held);
        }
    }

    /// <summary>One silo and a cluster with the same sequence.</summary>
    private sealed class Pair : IAsyncDisposable
    {
        private Pair(RecallHarness one, PartCluster cluster) => (One, Cluster) = (one, cluster);

        internal RecallHarness One { get; }

        internal PartCluster Cluster { get; }

        internal static Task<Pair> StartAsync(ModelProfile profile, int tokens, DigestSpec digest) =>
            StartAsync(profile, new KvContext(profile, tokens, seed: tokens), digest);

        internal static async Task<Pair> StartAsync(ModelProfile profile, KvContext context, DigestSpec digest)
        {
            RecallHarness one = await RecallHarness.StartAsync(
                profile, new RecallOptions { HotSetBytes = 1 << 20, Workers = 1, RunsEndAtGroups = true }, durable: false);
            PartCluster cluster = await PartCluster.StartAsync(3, profile);
            await one.AddAsync("s", context, digest);
            await cluster.AddAsync("s", context, digest);
            return new Pair(one, cluster);
        }

        internal async Task<RecallItemAnswer> CompareAsync(RecallRequest request)
        {
            using RecallAnswer expected = await One.RecallAsync(request);
            using RecallAnswer got = await Cluster.RecallAsync(request);
            RecallItemAnswer a = expected.Items[0];
            RecallItemAnswer b = got.Items[0];
            Assert.Equal(a.Counts.ToArray(), b.Counts.ToArray());
            Assert.Equal(a.Units.ToArray(), b.Units.ToArray());
            Assert.Equal(a.Slots.ToArray(), b.Slots.ToArray());
            Assert.Equal(a.Sent.ToArray(), b.Sent.ToArray());
            Assert.Equal(a.SentCounts.ToArray(), b.SentCounts.ToArray());
            Assert.Equal(a.Missing, b.Missing);
            Assert.Equal(a.GatherRows, b.GatherRows);
            Assert.Equal(a.PayloadLength, b.PayloadLength);
            if (request.Mode != RecallMode.Attend) Assert.Equal(expected.Payload.ToArray(), got.Payload.ToArray());
            else AssertClose(expected.Payload.Span, got.Payload.Span);
            return b;
        }

        public async ValueTask DisposeAsync()
        {
            await One.DisposeAsync();
            await Cluster.DisposeAsync();
        }

        private static void AssertClose(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> got)
        {
            ReadOnlySpan<float> a = MemoryMarshal.Cast<byte, float>(expected);
            ReadOnlySpan<float> b = MemoryMarshal.Cast<byte, float>(got);
            double error = 0;
            double norm = 0;
            for (int i = 0; i < a.Length; i++)
            {
                error += Math.Pow((double)a[i] - b[i], 2);
                norm += (double)a[i] * a[i];
            }

            Assert.True(Math.Sqrt(error) <= 1e-5 * Math.Sqrt(norm), $"relative error {Math.Sqrt(error / norm)}");
        }
    }
}

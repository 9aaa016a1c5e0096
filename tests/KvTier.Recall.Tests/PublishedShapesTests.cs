namespace KvTier.Recall.Tests;

/// <summary>The shapes that papers test with: full budget is full attention there too.</summary>
public class PublishedShapesTests : LeakGated
{
    /// <summary>Quest: pages of 16 and ragged lengths; as many KV heads as query heads (4 of its 32).</summary>
    [Theory]
    [InlineData("quest")]
    [InlineData("moments")]
    public Task Attend_LengthsOfQuest_EqualFullAttention(string name) =>
        CheckAsync(name, kvHeads: 4, queryHeads: 4, [27, 61, 113, 482, 577, 1110, 1541, 2047, 3330], Dtype.Float16, 2e-3);

    /// <summary>ShadowKV: 8 KV heads for 32 query heads, chunks of 8.</summary>
    [Theory]
    [InlineData("shadowkv")]
    [InlineData("moments-lean")]
    public Task Attend_HeadsOfShadowKv_EqualFullAttention(string name) =>
        CheckAsync(name, kvHeads: 8, queryHeads: 32, [1000, 2048], Dtype.BFloat16, 1.5e-2);

    private static async Task CheckAsync(string name, int kvHeads, int queryHeads, int[] lengths, Dtype dtype, double tolerance)
    {
        ModelProfile profile = Shapes.Gqa(dtype, layers: 1, kvHeads: kvHeads, headDim: 128, blockTokens: 64);
        await using RecallHarness silo = await RecallHarness.StartAsync(profile);
        foreach (int tokens in lengths)
        {
            var context = new KvContext(profile, tokens, seed: tokens);
            Selector selector = Selectors.Find(name)! with { Budget = RecallBudget.OfTokens(tokens) };
            await silo.AddAsync($"s{tokens}", context, selector.Digest);
            RecallRequest request = Requests.Attend(silo, selector, queryHeads, layer: 0, name: $"s{tokens}");
            using RecallAnswer answer = await silo.RecallAsync(request);
            Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout, tolerance);
        }
    }
}

namespace KvTier.Recall.Tests;

/// <summary>With all tokens as the budget every selector's attention is full attention.</summary>
public class FullBudgetTests : LeakGated
{
    public static TheoryData<string> Names() => [.. Selectors.BuiltIn.Select(selector => selector.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task RecallAsync_BudgetIsAllTokens_EqualsFullAttention(string name)
    {
        foreach ((Dtype dtype, double tolerance) in new[] { (Dtype.Float32, 1e-5), (Dtype.Float16, 2e-3), (Dtype.BFloat16, 1.5e-2) })
        {
            ModelProfile profile = Shapes.Gqa(dtype, blockTokens: 64);
            await using RecallHarness silo = await RecallHarness.StartAsync(profile);
            foreach (int tokens in new[] { 27, 113, 482 })
            {
                var context = new KvContext(profile, tokens, seed: tokens);
                Selector selector = Selectors.Find(name)! with { Budget = RecallBudget.OfTokens(tokens) };
                await silo.AddAsync($"s{tokens}", context, selector.Digest);
                RecallRequest request = Requests.Attend(silo, selector, name: $"s{tokens}");
                using RecallAnswer answer = await silo.RecallAsync(request);
                long[] chosen = [.. Answers.TokensOf(answer.Items[0], Answers.UnitsOf(answer.Items[0], 0), tokens)];
                Assert.Equal(tokens, chosen.Length);
                Answers.AssertAttends(answer, answer.Items[0], request, request.Items[0], context, silo.Layout, tolerance);
            }
        }
    }
}

namespace KvTier.Abstractions.Tests.Recall;

public class SelectorsTests
{
    private static readonly ModelProfile profile = Profiles.Llama31_8B with { BlockTokens = 64 };

    [Fact]
    public void BuiltIn_EveryPreset_IsValidAndFoundByItsName()
    {
        foreach (Selector selector in Selectors.BuiltIn)
        {
            Assert.Null(selector.Validate(profile));
            Assert.Same(selector, Selectors.Find(selector.Name));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-5)]
    [InlineData(2.5)]
    public void Validate_BudgetThatIsNoNumberOfTokens_IsNamed(double budget)
    {
        Selector selector = Selectors.Quest with { Budget = new RecallBudget(BudgetKind.Tokens, budget) };
        Assert.Equal("selector.budget", selector.Validate(profile)!.Field);
    }

    [Fact]
    public void Validate_ChunkThatDoesNotDivideTheBlock_IsNamed() =>
        Assert.Equal("digest.chunkTokens", Selectors.LServe.Validate(Profiles.Llama31_8B)!.Field);
}

namespace KvTier.Recall.Tests;

public class RecallOptionsTests
{
    [Fact]
    public void Validate_Defaults_AreValid() => Assert.Null(new RecallOptions().Validate());

    [Fact]
    public void Validate_NoWorkers_NamesTheField() =>
        Assert.Equal("recall.workers", (new RecallOptions { Workers = 0 }).Validate()!.Field);
}

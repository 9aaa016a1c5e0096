using KvTier.Testing;

namespace KvTier.Architecture.Tests;

public sealed class ContractTests
{
    [Fact]
    public void Contracts_EveryInvariant_NamesATestThatExists()
    {
        var wrong = new List<string>();
        foreach (string path in Directory.GetFiles(RepositoryFiles.PathOf("src"), "CONTRACT.md", SearchOption.AllDirectories))
        {
            string project = Path.GetFileName(Path.GetDirectoryName(path)!);
            wrong.AddRange(ContractRules.Check(File.ReadAllText(path), TestExists).Select(what => $"{project}: {what}"));
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void Check_BadSamples_AreFound()
    {
        static bool Known(string project, string type, string method) => (project, type, method) == ("KvTier.A.Tests", "T", "M");
        Assert.Empty(ContractRules.Check("# C\n\n1. One. `KvTier.A.Tests: T.M`\n2. Two,\n   more. `KvTier.A.Tests: T.M`\n", Known));
        Assert.Equal(["invariant 2 names no test"], ContractRules.Check("1. One. `KvTier.A.Tests: T.M`\n2. Two.\n", Known));
        Assert.Equal(["invariant 1: KvTier.A.Tests: T.Gone does not exist"],
            ContractRules.Check("1. One. `KvTier.A.Tests: T.Gone`\n", Known));
        Assert.Equal(["invariant 3 stands where 1 should"], ContractRules.Check("3. One. `KvTier.A.Tests: T.M`\n", Known));
        Assert.Equal(["no numbered invariants"], ContractRules.Check("# Nothing\n", Known));
    }

    [Fact]
    public void HasTest_Sources_NeedsClassMethodAndAttribute()
    {
        const string Good = "public class T\n{\n    [Theory]\n    [InlineData(\"a; {b}\")]\n    public void M(string s)\n    {\n    }\n}\n";
        Assert.True(ContractRules.HasTest([Good], "T", "M"));
        Assert.False(ContractRules.HasTest([Good], "U", "M"));
        Assert.False(ContractRules.HasTest([Good], "T", "N"));
        Assert.False(ContractRules.HasTest([Good.Replace("[Theory]", "", StringComparison.Ordinal)], "T", "M"));
        Assert.False(ContractRules.HasTest([], "T", "M"));
    }

    [Fact]
    public void TestExists_TestsOfThisFile_AreFoundAndOthersAreNot()
    {
        Assert.True(TestExists("KvTier.Architecture.Tests", nameof(ContractTests), nameof(Check_BadSamples_AreFound)));
        Assert.True(TestExists("KvTier.Architecture.Tests", nameof(TidyTests), nameof(TidyTests.SourceFiles_Rule_IsKept)));
        Assert.False(TestExists("KvTier.Architecture.Tests", nameof(ContractTests), nameof(TestExists)));
        Assert.False(TestExists("KvTier.Architecture.Tests", nameof(TidyTests), nameof(Check_BadSamples_AreFound)));
        Assert.False(TestExists("KvTier.Nowhere.Tests", nameof(ContractTests), nameof(Check_BadSamples_AreFound)));
    }

    private static bool TestExists(string project, string type, string method)
    {
        string folder = RepositoryFiles.PathOf("tests", project);
        if (!Directory.Exists(folder)) return false;
        IEnumerable<string> files = Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories);
        return ContractRules.HasTest(files.Select(File.ReadAllText), type, method);
    }
}

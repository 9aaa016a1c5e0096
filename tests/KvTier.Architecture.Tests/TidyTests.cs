using KvTier.Testing;

namespace KvTier.Architecture.Tests;

public sealed class TidyTests
{
    public static TheoryData<string> Rules => [.. ByName.Keys];

    private static Dictionary<string, Func<string, IEnumerable<string>>> ByName { get; } = new(StringComparer.Ordinal)
    {
        ["FileLength"] = TidyRules.FileLength,
        ["LineLength"] = TidyRules.LineLength,
        ["MethodLength"] = TidyRules.MethodLength,
        ["LineEndings"] = TidyRules.LineEndings,
        ["UnfinishedWords"] = TidyRules.UnfinishedWords,
        ["FileScopedNamespace"] = TidyRules.FileScopedNamespace,
    };

    [Theory]
    [MemberData(nameof(Rules))]
    public void SourceFiles_Rule_IsKept(string rule)
    {
        string[] files = [.. SourceFiles()];
        Assert.True(files.Length > 50, $"only {files.Length} files found");
        var violations = new List<string>();
        foreach (string file in files)
            violations.AddRange(ByName[rule](File.ReadAllText(file)).Select(
                what => $"{Path.GetRelativePath(RepositoryFiles.Root, file)}:{what}"));
        if (violations.Count > 0) Assert.Fail($"{violations.Count} violations:\n{string.Join('\n', violations)}");
    }

    [Fact]
    public void Rules_BadSamples_AreFound()
    {
        Assert.Single(TidyRules.FileLength(string.Concat(Enumerable.Repeat("x\n", 501))));
        Assert.Empty(TidyRules.FileLength(string.Concat(Enumerable.Repeat("x\n", 500))));
        Assert.Equal(["2: 141 characters, at most 140"],
            TidyRules.LineLength("x\n" + new string('y', 141) + "\n" + new string('y', 140) + "\n"));
        Assert.Single(TidyRules.LineEndings("a\r\nb\n"));
        Assert.Single(TidyRules.LineEndings("a"));
        Assert.Equal(["1: " + "TO" + "DO"], TidyRules.UnfinishedWords("// " + "TO" + "DO: later\nint TO" + "DOs;\n"));
        Assert.Single(TidyRules.UnfinishedWords("throw new NotImplemented" + "Exception();\n"));
        Assert.Single(TidyRules.FileScopedNamespace("namespace A.B\n{\n}\n"));
        Assert.Empty(TidyRules.FileScopedNamespace("namespace A.B;\n"));
    }

    [Theory]
    [InlineData(66, false)]
    [InlineData(67, false)]
    [InlineData(68, true)]
    [InlineData(200, true)]
    public void MethodLength_BodyOfSomeLines_IsJudgedByHeaderAndBraces(int bodyLines, bool tooLong)
    {
        string body = string.Concat(Enumerable.Repeat("        x++;\n", bodyLines));
        string file = $"namespace A;\n\npublic class C\n{{\n    void M()\n    {{\n{body}    }}\n\n    int x;\n}}\n";
        Assert.Equal(tooLong, TidyRules.MethodLength(file).Any());
    }

    [Fact]
    public void MethodLength_LongTypeOfShortMethods_IsAllowed()
    {
        string methods = string.Concat(Enumerable.Repeat("    void M(\n        int a)\n    {\n        x++;\n    }\n\n", 40));
        Assert.Empty(TidyRules.MethodLength($"namespace A;\n\npublic sealed class C(\n    int a)\n    : B\n{{\n{methods}}}\n"));
    }

    private static IEnumerable<string> SourceFiles()
    {
        foreach (string folder in (string[])["src", "tests"])
        {
            foreach (string path in Directory.EnumerateFiles(RepositoryFiles.PathOf(folder), "*.cs", SearchOption.AllDirectories))
            {
                string[] parts = Path.GetRelativePath(RepositoryFiles.Root, path).Split(Path.DirectorySeparatorChar);
                if (!parts.Contains("obj") && !parts.Contains("bin")) yield return path;
            }
        }
    }
}

using KvTier.Testing;

namespace KvTier.Architecture.Tests;

public sealed class DocsTests
{
    [Fact]
    public void Pages_Links_LeadSomewhere() => AssertNone(page => DocsRules.Links(page, File.ReadAllText(page), Read));

    [Fact]
    public void Pages_CodeBlocks_NameTheirLanguage() => AssertNone(page => DocsRules.UnnamedFences(File.ReadAllText(page)));

    [Fact]
    public void Index_OfTheDocumentation_ListsEveryPage()
    {
        string index = RepositoryFiles.PathOf("docs", "README.md");
        string[] pages = Directory.GetFiles(RepositoryFiles.PathOf("docs"), "*.md", SearchOption.AllDirectories);
        Assert.Empty(DocsRules.Unlisted(index, File.ReadAllText(index), pages).Select(
            page => Path.GetRelativePath(RepositoryFiles.Root, page)));
    }

    [Fact]
    public void Links_BadSamples_AreFound()
    {
        static string? Other(string path) => path switch { "/r/b.md" => "# One two\n", "/r/folder" => "", _ => null };
        static List<string> Check(string text) => DocsRules.Links("/r/docs/a.md", text, Other);
        Assert.Equal(["3: ../c.md is not there"], Check("# A\n\nSee [b](../b.md), [c](../c.md), [d](../folder).\n"));
        Assert.Equal(["1: ../b.md#two has no such heading"], Check("[b](../b.md#two) [b](../b.md#one-two)\n"));
        Assert.Equal(["2: #b has no such heading"], Check("# A's `x`, y\n[a](#as-x-y) [b](#b)\n"));
        Assert.Empty(Check("[x](https://example.org/none) `[a](b)`\n```sh\n[a](b)\n```\n"));
    }

    [Fact]
    public void UnnamedFences_BadSamples_AreFound()
    {
        Assert.Empty(DocsRules.UnnamedFences("```sh\nx\n```\n"));
        Assert.Equal(["1: a code block without a language"], DocsRules.UnnamedFences("```\nx\n```\n```sh\n```"));
        Assert.Equal(["2: a code block that does not end"], DocsRules.UnnamedFences("```sh\nx"));
    }

    [Fact]
    public void Unlisted_PageThatTheIndexLacks_IsFound() =>
        Assert.Equal(["/d/c.md"],
            DocsRules.Unlisted("/d/README.md", "[a](a.md) [b](x/b.md)", ["/d/README.md", "/d/a.md", "/d/x/b.md", "/d/c.md"]));

    private static string? Read(string path) => Directory.Exists(path) ? "" : File.Exists(path) ? File.ReadAllText(path) : null;

    private static void AssertNone(Func<string, List<string>> rule)
    {
        string[] pages =
        [
            .. Directory.GetFiles(RepositoryFiles.Root, "*.md"),
            .. Directory.GetFiles(RepositoryFiles.PathOf("docs"), "*.md", SearchOption.AllDirectories),
            .. Directory.GetFiles(RepositoryFiles.PathOf("src"), "CONTRACT.md", SearchOption.AllDirectories),
        ];
        Assert.True(pages.Length > 20, $"only {pages.Length} pages found");
        IEnumerable<string> wrong =
            pages.SelectMany(page => rule(page).Select(what => $"{Path.GetRelativePath(RepositoryFiles.Root, page)}:{what}"));
        Assert.Empty(wrong);
    }
}

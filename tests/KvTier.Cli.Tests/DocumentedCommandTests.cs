using KvTier.Testing;

namespace KvTier.Cli.Tests;

public class DocumentedCommandTests
{
    private static readonly HashSet<string> knownVerbs = ["demo", "kvtier", "test", "bench", "build", "fmt", "help"];

    [Fact]
    public async Task Pages_Commands_AreTakenByTheCommandLine()
    {
        HashSet<string> verbs = DocumentedCommands.Verbs(await File.ReadAllTextAsync(
            RepositoryFiles.PathOf("dev"), TestContext.Current.CancellationToken));
        string[] pages =
        [
            .. Directory.GetFiles(RepositoryFiles.Root, "*.md"),
            .. Directory.GetFiles(RepositoryFiles.PathOf("docs"), "*.md", SearchOption.AllDirectories),
        ];
        int seen = 0;
        var wrong = new List<string>();
        foreach (string page in pages)
        {
            foreach (string[] command in DocumentedCommands.Find(await File.ReadAllTextAsync(page, TestContext.Current.CancellationToken)))
            {
                seen++;
                if (await ErrorOfAsync(command, verbs) is { } error)
                    wrong.Add($"{Path.GetRelativePath(RepositoryFiles.Root, page)}: {string.Join(' ', command)}: {error}");
            }
        }

        Assert.True(seen > 20, $"only {seen} commands found");
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("```sh\n./dev kvtier serve --data here\n```", "--data")]
    [InlineData("```sh\n./dev kvtier serve --host-bytes lots\n```", "hostBytes")]
    [InlineData("```sh\nx=$(kvtier blocks get k)\n```", "Required command")]
    [InlineData("```sh\ncat f | ./dev kvtier block put k --acks ssd\n```", "Unrecognized")]
    [InlineData("Run `./dev launch`.", "launch")]
    public async Task Pages_BadSamples_AreFound(string page, string said) =>
        Assert.Contains(said, await ErrorOfAsync(Assert.Single(DocumentedCommands.Find(page)), knownVerbs), StringComparison.Ordinal);

    [Fact]
    public void Find_Page_GivesTheWordsOfEachCommand()
    {
        const string Page = """
            Run `./dev test A`, or `./dev kvtier …`.
            ```sh
            ./dev kvtier block get "a key" > /dev/null; echo done
            kvtier stat --json | \
              grep pid
            sudo systemctl start kvtier
            ```
            ```text
            kvtier: miss
            ```
            """;
        string[] found = [.. DocumentedCommands.Find(Page).Select(words => string.Join(',', words))];
        Assert.Equal(["./dev,test,A", "./dev,kvtier,block,get,a key", "kvtier,stat,--json"], found);
    }

    [Fact]
    public void Verbs_OfTheScript_AreItsLabels() =>
        Assert.Superset(knownVerbs, DocumentedCommands.Verbs(File.ReadAllText(RepositoryFiles.PathOf("dev"))));

    /// <summary>What the command line has against a command; null for nothing. Options of <c>serve</c> are also checked by value.</summary>
    private static async Task<string?> ErrorOfAsync(string[] command, HashSet<string> known)
    {
        string[]? arguments;
        try
        {
            arguments = DocumentedCommands.Arguments(command, known);
        }
        catch (ArgumentException error)
        {
            return error.Message;
        }

        if (arguments is null) return null;
        using var writer = new StringWriter();
        System.CommandLine.ParseResult parsed = CommandTree.Create(new CliOutput(writer, writer)).Parse(arguments);
        if (parsed.Errors.Count > 0) return parsed.Errors[0].Message;
        if (arguments is not ["serve", ..] || arguments.Contains("--config")) return null;
        CliRun run = await CliRun.Async([.. arguments, "--check-config"]);
        return run.ExitCode == ExitCodes.Ok ? null : run.Error;
    }
}

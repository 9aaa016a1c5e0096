using System.Text.Json;
using Spectre.Console;

namespace KvTier.Cli.Tests;

/// <summary>One run of the command line inside the test process.</summary>
internal sealed record CliRun(int ExitCode, string Out, string Error)
{
    public static async Task<CliRun> Async(params string[] arguments)
    {
        using var stdout = new StringWriter();
        using var stderr = new StringWriter();
        int code = await CommandTree.RunAsync(arguments, new CliOutput(stdout, stderr), TestContext.Current.CancellationToken);
        return new CliRun(code, stdout.ToString(), stderr.ToString());
    }

    /// <summary>Stdout as exactly one JSON document.</summary>
    public JsonElement Json()
    {
        using JsonDocument document = JsonDocument.Parse(Out);
        return document.RootElement.Clone();
    }

    /// <summary>The error is one line that begins with the program's name and has no stack trace.</summary>
    public string OneErrorLine()
    {
        string line = Assert.Single(Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("kvtier: ", line, StringComparison.Ordinal);
        return line;
    }
}

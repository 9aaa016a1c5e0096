using System.Diagnostics;
using KvTier.Cli;
using KvTier.Testing;

namespace KvTier.ProcessTests;

public class CommandProcessTests
{
    [Fact]
    public async Task Demo_AsJson_StdoutIsOneObjectWithTheFiguresThatArePromised()
    {
        (int code, string text) = await RunAsync("demo", "--json", "--chats", "4", "--turns", "2", "--host-mib", "128");
        Assert.Equal(0, code);
        JsonElement report = Parse(text);
        Assert.Equal(0, report.GetProperty("wrongBlocks").GetInt64());
        foreach (string name in (string[])["blocksWritten", "blocksRead", "hostHits", "ssdHits"]) Assert.True(
            report.GetProperty(name).GetInt64() > 0, name);
    }

    [Theory]
    [InlineData(10_000, 0.2112)]
    [InlineData(1_000, 0.0445)]
    public async Task Replay_ProductionTrace_HitsAsItsReadmeSays(int hostBlocks, double ratio)
    {
        using var folder = new TempFolder();
        if (FindTrace() is not { } trace)
        {
            // The production trace lies beside the repository, not in it; without it the same run is judged on requests of which the
            // hits are known.
            (trace, ratio) = (folder.File("t.jsonl"), 0.5);
            IEnumerable<int> firsts = Enumerable.Range(0, 2000).Select(i => i / 2 * 3);
            IEnumerable<string> lines = firsts.Select(id => $$"""{"hash_ids":[{{id}},{{id + 1}},{{id + 2}}]}""");
            await File.WriteAllLinesAsync(trace, lines, TestSilo.Cancel);
        }

        (int code, string text) = await RunAsync(
            "replay", trace, "--policy", "lru", "--host-blocks", $"{hostBlocks}", "--ssd-blocks", "0", "--block-bytes", "4096", "--only",
                "--json");
        Assert.Equal(0, code);
        JsonElement report = Parse(text);
        Assert.Equal(0, report.GetProperty("wrongBlocks").GetInt64());
        Assert.InRange(report.GetProperty("prefixHitRatio").GetDouble(), ratio - 0.0005, ratio + 0.0005);
    }

    [Fact]
    public async Task Block_PutAndGetThroughPipes_KeepTheBytes()
    {
        using var folder = new TempFolder();
        await using SiloProcess silo = await SiloProcess.StartAsync(TestSilo.Arguments(folder), TestSilo.Cancel);
        string kvtier = Path.Combine(AppContext.BaseDirectory, "kvtier");
        await File.WriteAllBytesAsync(folder.File("in"), NumberedBlocks.Bytes(4711), TestSilo.Cancel);
        string put = $"'{kvtier}' block put k -e \"$0\" < '{folder.File("in")}' > /dev/null";
        string script = $"set -e; {put}; '{kvtier}' block get k -e \"$0\" > '{folder.File("out")}'";
        using Process shell = Process.Start(
            new ProcessStartInfo("sh", ["-c", script, silo.Endpoints["unix"]]) { UseShellExecute = false })!;
        await shell.WaitForExitAsync(TestSilo.Cancel);
        Assert.Equal(0, shell.ExitCode);
        Assert.Equal(NumberedBlocks.Bytes(4711), await File.ReadAllBytesAsync(folder.File("out"), TestSilo.Cancel));
    }

    private static JsonElement Parse(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }

    private static string? FindTrace()
    {
        for (DirectoryInfo? at = new(RepositoryFiles.Root); at is not null; at = at.Parent)
        {
            string path = Path.Combine(at.FullName, "shared", "traces", "conversation_trace.jsonl");
            if (File.Exists(path)) return path;
        }

        return null;
    }

    private static async Task<(int Code, string Out)> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "kvtier"), arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true
        };
        using Process process = Process.Start(start)!;
        string text = await process.StandardOutput.ReadToEndAsync(TestSilo.Cancel);
        await process.WaitForExitAsync(TestSilo.Cancel);
        return (process.ExitCode, text);
    }
}

using System.Text.Json;

namespace KvTier.Cli.Tests;

/// <summary>A replay on several silos against one on a single silo.</summary>
public sealed class ReplayClusterTests : IDisposable
{
    private readonly TempFolder folder = new();

    [Fact]
    public async Task Replay_OnThreeSilos_HitsAsOftenAsOnOneWithTheSameRoom_AndSpreadsEvenly()
    {
        string trace = Trace();
        JsonElement one = (await RunAsync(trace, 1200)).Json();
        CliRun run = await RunAsync(trace, 1200, "--cluster", "3", "--data-folder", folder.File("p"));
        Assert.Equal(ExitCodes.Ok, run.ExitCode);
        JsonElement three = run.Json();
        Assert.Equal(0, three.GetProperty("wrongBlocks").GetInt64());
        Assert.Equal(one.GetProperty("prefixHitRatio").GetDouble(), three.GetProperty("prefixHitRatio").GetDouble(), 0.03);
        Assert.Equal(3, three.GetProperty("silos").GetArrayLength());
        Assert.InRange(three.GetProperty("bytesDeviation").GetDouble(), 0, 0.15);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.File("p")));
    }

    [Fact]
    public async Task Replay_OnSilosThatHaveRoomForAll_HitsAllThatWasSeenBefore()
    {
        string trace = Trace();
        JsonElement one = (await RunAsync(trace, 50_000)).Json();
        JsonElement two = (await RunAsync(trace, 50_000, "--cluster", "2")).Json();
        Assert.Equal(one.GetProperty("prefixHits").GetInt64(), two.GetProperty("prefixHits").GetInt64());
        Assert.Equal(one.GetProperty("blocksWritten").GetInt64(), two.GetProperty("blocksWritten").GetInt64());
        Assert.Equal(JsonValueKind.Null, one.GetProperty("silos").ValueKind);
    }

    [Theory]
    [InlineData("--cluster is 33; allowed: 0 to 32", "--cluster", "33")]
    [InlineData("--endpoints is tcp://a:1; allowed: either this or --cluster", "--cluster", "2", "--endpoints", "tcp://a:1")]
    public async Task Replay_OfOptionsThatDoNotFit_SaysWhich(string expected, params string[] arguments)
    {
        CliRun run = await RunAsync(Trace(), 100, arguments);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains(expected, run.OneErrorLine(), StringComparison.Ordinal);
    }

    public void Dispose() => folder.Dispose();

    private static Task<CliRun> RunAsync(string trace, int hostBlocks, params string[] more) =>
        CliRun.Async(["replay", trace, "--host-blocks", $"{hostBlocks}", "--block-bytes", "512", "--only", "--json", .. more]);

    /// <summary>Chats that come back with longer prompts, among prompts that come once.</summary>
    private string Trace()
    {
        var random = new Random(11);
        int[] lengths = new int[30];
        string path = folder.File("trace.jsonl");
        using StreamWriter file = File.CreateText(path);
        for (int i = 0; i < 300; i++)
        {
            int chat = random.Next(2 * lengths.Length);
            long head = chat < lengths.Length ? chat : 1000 + i;
            int length = chat < lengths.Length ? lengths[chat] += random.Next(1, 12) : random.Next(1, 100);
            IEnumerable<long> ids = Enumerable.Range(0, length).Select(block => (head * 10_000) + block);
            file.WriteLine(JsonSerializer.Serialize(new { timestamp = i, input_length = 1, output_length = 1, hash_ids = ids }));
        }

        return path;
    }
}

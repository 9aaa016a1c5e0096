using System.Text.Json;

namespace KvTier.Cli.Tests;

public class DemoTests
{
    [Fact]
    public async Task Demo_SmallAsJson_ChecksEveryByteAndUsesBothTiers()
    {
        using var folder = new TempFolder();
        CliRun run = await CliRun.Async(
            "demo", "--json", "--chats", "3", "--turns", "2", "--host-mib", "128", "--data-folder", folder.Path);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement report = run.Json();
        // 64 blocks of the system prompt and 3 x 2 x 12 of the chats; then all are read once more.
        Assert.Equal(64 + 72, report.GetProperty("blocksWritten").GetInt64());
        Assert.Equal(0, report.GetProperty("wrongBlocks").GetInt64());
        Assert.Equal(0, report.GetProperty("lostBlocks").GetInt64());
        Assert.True(report.GetProperty("hostHits").GetInt64() > 0);
        Assert.True(report.GetProperty("ssdHits").GetInt64() > 0);
        Assert.Equal(report.GetProperty("hostHits").GetInt64() + report.GetProperty("ssdHits").GetInt64(),
            report.GetProperty("blocksRead").GetInt64());
        Assert.Equal(24, report.GetProperty("misses").GetProperty("deleted").GetInt64());
        Assert.True(report.GetProperty("needleFound").GetBoolean());
        Assert.Equal("ssd", report.GetProperty("needleTier").GetString());
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task Demo_ForPeople_ShowsTiersAndMisses()
    {
        CliRun run = await CliRun.Async("demo", "--chats", "1", "--turns", "1", "--host-mib", "256");
        Assert.Equal(ExitCodes.Ok, run.ExitCode);
        foreach (string word in (string[])["host", "ssd", "never_stored", "wrong blocks", "get rate", "p99", "needle", "found in"])
            Assert.Contains(word, run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public void Requests_OfAWorkload_EachBeginWithTheSystemPromptAndTheChatSoFar()
    {
        var shape = new ChatShape(Chats: 3, Turns: 4, SystemBlocks: 5, TurnBlocks: 2);
        List<long[]> requests = [.. ChatWorkload.Requests(shape)];
        Assert.Equal(12, requests.Count);
        Assert.Equal(shape.DistinctBlocks, requests.SelectMany(blocks => blocks).Distinct().Count());
        Assert.All(requests, blocks => Assert.Equal([0, 1, 2, 3, 4], blocks[..5]));
        for (int i = 3; i < requests.Count; i++) Assert.Equal(requests[i - 3], requests[i][..^2]);
    }
}

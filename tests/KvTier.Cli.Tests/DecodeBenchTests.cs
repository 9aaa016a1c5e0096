using System.Text.Json;

namespace KvTier.Cli.Tests;

public class DecodeBenchTests
{
    [Fact]
    public async Task Decode_SmallAsJson_HasEveryRowAndReuseReadsLess()
    {
        using var folder = new TempFolder();
        CliRun run = await CliRun.Async(
            "bench", "decode", "--tokens", "8192", "--steps", "12", "--full-steps", "2", "--layers", "1", "--json",
            "--data-folder", folder.Path);
        Assert.Equal((ExitCodes.Ok, ""), (run.ExitCode, run.Error));
        JsonElement report = run.Json();
        Assert.Equal(2L * 8 * 8192 * 128 * 2, report.GetProperty("kvBytes").GetInt64());
        JsonElement[] rows = [.. report.GetProperty("rows").EnumerateArray()];
        Assert.Equal(
            ["full attention", "recall + gather", "recall + attend", "recall + gather", "recall + attend"],
            rows.Select(row => row.GetProperty("name").GetString()!));
        Assert.All(rows, row => Assert.True(row.GetProperty("stepMsP50").GetDouble() > 0, row.ToString()));
        double Figure(int row, string name) => rows[row].GetProperty(name).GetDouble();
        // Full attention reads all K and V; a recall at 4 % reads about as much of them.
        Assert.Equal(report.GetProperty("kvBytes").GetInt64(), Figure(0, "kvBytesPerStep"));
        Assert.InRange(Figure(1, "kvBytesPerStep"), 1, 0.05 * Figure(0, "kvBytesPerStep"));
        Assert.Equal(Figure(1, "kvBytesPerStep"), Figure(1, "sentBytesPerStep"), 1);
        Assert.True(Figure(3, "sentBytesPerStep") < Figure(1, "sentBytesPerStep"));
        Assert.InRange(Figure(3, "hotHitRatio"), 0.01, 1);
        Assert.InRange(Figure(4, "reusedShare"), 0.01, 1);
        Assert.Equal((0, 0, 0), (Figure(1, "reusedShare"), Figure(2, "reusedShare"), Figure(3, "reusedShare")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("--tokens is 100; allowed: 512", "--tokens", "100")]
    [InlineData("--steps is 1; allowed: 2", "--steps", "1")]
    [InlineData("--full-steps is 300; allowed: 2 to the steps, 200", "--full-steps", "300")]
    [InlineData("--layers is 0; allowed: 1", "--layers", "0")]
    [InlineData("--selector is nosuch; allowed: moments", "--selector", "nosuch")]
    public async Task Decode_ValueNotAllowed_NamesFieldAndValue(string expected, params string[] arguments)
    {
        CliRun run = await CliRun.Async(["bench", "decode", .. arguments]);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains(expected, run.OneErrorLine(), StringComparison.Ordinal);
    }
}

namespace KvTier.Cli.Tests;

public sealed class TraceReaderTests : IDisposable
{
    private readonly TempFolder folder = new();

    [Fact]
    public void Read_GoodLines_GivesTheIdsInOrder()
    {
        List<TraceRequest> requests = TraceReader.Read(Trace("""{"timestamp":0,"hash_ids":[3,1,2]}""", "", """{"hash_ids":[]}"""));
        Assert.Equal([[3, 1, 2], []], requests.Select(request => request.HashIds));
    }

    [Theory]
    [InlineData("not json", "line")]
    [InlineData("[1]", "line")]
    [InlineData("""{"timestamp":0}""", "hash_ids is missing")]
    [InlineData("""{"hash_ids":7}""", "hash_ids is 7")]
    [InlineData("""{"hash_ids":[1,"x"]}""", "hash_ids[1] is \"x\"")]
    [InlineData("""{"hash_ids":[1.5]}""", "hash_ids[0] is 1.5")]
    [InlineData("""{"hash_ids":[99999999999999999999]}""", "hash_ids[0]")]
    [InlineData("""{"hash_ids":[1],"timestamp":"now"}""", "timestamp is \"now\"")]
    [InlineData("""{"hash_ids":[1],"input_length":-1}""", "input_length is -1")]
    public async Task Replay_BadLine_NamesFileLineAndField(string line, string expected)
    {
        string path = Trace("""{"hash_ids":[1]}""", line);
        CliRun run = await CliRun.Async("replay", path);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains($"{path}:2: ", run.OneErrorLine(), StringComparison.Ordinal);
        Assert.Contains(expected, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    [Fact]
    public async Task Replay_FileMissing_IsUsage()
    {
        CliRun run = await CliRun.Async("replay", folder.File("none"));
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains("none", run.OneErrorLine(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--policy", "fifo", "lru or s3fifo")]
    [InlineData("--host-blocks", "0", "1 to")]
    [InlineData("--ssd-blocks", "-1", "0 to")]
    [InlineData("--block-bytes", "67108865", "1 to 67108864")]
    public async Task Replay_BadOption_NamesOptionValueAndLimit(string option, string value, string limit)
    {
        CliRun run = await CliRun.Async("replay", Trace("""{"hash_ids":[1]}"""), option, value);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains($"{option} is {value}; allowed: {limit}", run.OneErrorLine(), StringComparison.Ordinal);
    }

    public void Dispose() => folder.Dispose();

    private string Trace(params string[] lines)
    {
        string path = folder.File("t.jsonl");
        File.WriteAllLines(path, lines);
        return path;
    }
}

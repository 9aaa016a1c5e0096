using System.Text.Json;

namespace KvTier.Cli.Tests;

public class CommandLineTests
{
    [Theory]
    [InlineData("nosuch")]
    [InlineData("stat", "--nosuch")]
    [InlineData("block", "get")]
    [InlineData("block", "put", "k", "--ttl-ms", "x")]
    [InlineData("serve", "--host-bytes")]
    public async Task Run_NotACommandLine_IsUsageOnOneLine(params string[] arguments)
    {
        CliRun run = await CliRun.Async(arguments);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        run.OneErrorLine();
        Assert.Empty(run.Out);
    }

    [Theory]
    [InlineData("port is 99999", "serve", "--check-config", "--port", "99999")]
    [InlineData("hostBytes is many", "serve", "--check-config", "--host-bytes", "many")]
    [InlineData("policy is mru", "serve", "--check-config", "--policy", "mru")]
    [InlineData("/no/such/file.yaml", "serve", "--check-config", "--config", "/no/such/file.yaml")]
    [InlineData("--transport is pigeon; allowed: auto, wire or local", "stat", "--transport", "pigeon")]
    [InlineData("Endpoint", "stat", "--endpoint", "ftp://x")]
    [InlineData("key is zz", "block", "get", "zz", "--hex")]
    [InlineData("--ack is disk; allowed: memory, ssd or replica", "block", "put", "k", "--ack", "disk")]
    [InlineData("--offset is -1", "block", "get", "k", "--offset=-1")]
    [InlineData("--chats is 0", "demo", "--chats", "0")]
    [InlineData("--host-mib is 1", "demo", "--host-mib", "1")]
    [InlineData("name is nosuch", "bench", "nosuch")]
    [InlineData("namespace.profile is gpt-9", "namespace", "create", "acme/gpt-9")]
    public async Task Run_ValueNotAllowed_NamesFieldAndValue(string expected, params string[] arguments)
    {
        CliRun run = await CliRun.Async(arguments);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains(expected, run.OneErrorLine(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("stat")]
    [InlineData("namespace", "list")]
    [InlineData("block", "describe", "k")]
    public async Task Run_NoSiloThere_IsUnavailable(params string[] arguments)
    {
        CliRun run = await CliRun.Async([.. arguments, "--endpoint", "unix:///tmp/kvtier-nobody-listens-here"]);
        Assert.Equal(ExitCodes.Unavailable, run.ExitCode);
        Assert.Contains("Unavailable", run.OneErrorLine(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Help_EveryCommand_ExitsWithZero()
    {
        string[][] paths =
        [
            [], ["serve"], ["demo"], ["replay"], ["bench"], ["eval"], ["eval", "recall"],
            ["stat"], ["block"], ["block", "put"], ["namespace"],
        ];
        foreach (string[] path in paths)
            Assert.Equal(ExitCodes.Ok, (await CliRun.Async([.. path, "--help"])).ExitCode);
    }

    [Fact]
    public async Task CheckConfig_OptionsOfTheCommandLine_AreShownAndSecretsAreNot()
    {
        CliRun run = await CliRun.Async(
            "serve", "--check-config", "--json", "--host-bytes", "64MiB", "--resp.port", "0", "--resp-enabled", "--token", "hush");
        Assert.Equal(ExitCodes.Ok, run.ExitCode);
        JsonElement options = run.Json();
        Assert.Equal("64MiB", options.GetProperty("hostBytes").GetString());
        Assert.Equal("0", options.GetProperty("resp.port").GetString());
        Assert.Equal("true", options.GetProperty("resp.enabled").GetString());
        Assert.Equal("(set)", options.GetProperty("token").GetString());
        Assert.DoesNotContain("hush", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CheckConfig_ConfigFile_IsReadAndTheCommandLineWins()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder.File("c.yaml"), "hostBytes: 128MiB\npolicy: s3fifo\n", TestContext.Current.CancellationToken);
        CliRun run = await CliRun.Async("serve", "--check-config", "--json", "--config", folder.File("c.yaml"), "--policy", "lru");
        Assert.Equal("128MiB", run.Json().GetProperty("hostBytes").GetString());
        Assert.Equal("lru", run.Json().GetProperty("policy").GetString());
    }

    [Fact]
    public async Task NamespaceList_Profiles_ShowsTheBuiltInOnes()
    {
        CliRun run = await CliRun.Async("namespace", "list", "--profiles", "--json");
        JsonElement llama = run.Json().EnumerateArray().Single(row => row.GetProperty("name").GetString() == "llama-3.1-8b");
        Assert.Equal(131_072, llama.GetProperty("bytesPerToken").GetInt64());
        Assert.Equal(2 << 20, llama.GetProperty("blockBytes").GetInt64());
        JsonElement deepSeek = run.Json().EnumerateArray().Single(row => row.GetProperty("name").GetString() == "deepseek-v3");
        Assert.Equal(70_272, deepSeek.GetProperty("bytesPerToken").GetInt64());
    }

    [Fact]
    public void ExitCodes_EveryErrorCode_HasOne()
    {
        foreach (ErrorCode code in Enum.GetValues<ErrorCode>())
            Assert.InRange(ExitCodes.Of(code), code == ErrorCode.None ? 0 : 2, code == ErrorCode.None ? 0 : 5);
    }
}

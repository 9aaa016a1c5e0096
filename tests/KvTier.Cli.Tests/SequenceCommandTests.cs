using System.Text.Json;
using KvTier.Silo;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli.Tests;

/// <summary>The <c>sequence</c> verbs against a silo inside the test process.</summary>
public sealed class SequenceCommandTests : IAsyncLifetime
{
    private const string Namespace = "acme/tiny";

    private static readonly ModelProfile profile = new()
    {
        Name = "tiny",
        Kind = AttentionKind.Gqa,
        Layers = 1,
        KvHeads = 1,
        HeadDim = 8,
        Dtype = Dtype.Float16,
        BlockTokens = 16,
        Rope = new RopeParameters(10_000),
    };

    private readonly TempFolder folder = new();
    private ILoggerFactory? logs;
    private SiloRunner? silo;

    public async ValueTask InitializeAsync()
    {
        logs = SiloRunner.Logs(LogLevel.Error);
        SiloOptions options = SiloOptions.Default with
        {
            Tcp = false,
            UnixSocket = folder.File("s"),
            Http = new HttpOptions { Enabled = false },
            HostBytes = 16 << 20,
            Namespaces = [new NamespaceDescriptor("acme", profile)],
        };
        silo = await SiloRunner.StartAsync(options, logs, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(folder.File("zeros"), new byte[profile.BlockBytes], TestContext.Current.CancellationToken);
        foreach (string key in new[] { "k0", "k1", "k2" })
            Assert.Equal(ExitCodes.Ok, (await RunAsync("block", "put", key, folder.File("zeros"))).ExitCode);
    }

    [Fact]
    public async Task Verbs_OverStoredBlocks_DoWhatTheySay()
    {
        string[] two = ["--selector", "quest", "--selector", "moments"];
        AssertRow(await RunAsync(["sequence", "open", "chat", "k0", .. two, "--json"]), "chat", 1, 16);
        AssertRow(await RunAsync("sequence", "append", "chat", "k1", "--tokens", "9", "--json"), "chat", 2, 25);
        AssertRow(await RunAsync("sequence", "append", "chat", "k1", "k2", "--replace-last", "--json"), "chat", 3, 48);
        AssertRow(await RunAsync("sequence", "fork", "chat", "--as", "branch", "--tokens", "32", "--json"), "branch", 2, 32);
        JsonElement described = (await RunAsync("sequence", "describe", "chat", "--json")).Json()[0];
        Assert.Equal(["minmax/16", "moments/16"], described.GetProperty("digests").EnumerateArray().Select(each => each.GetString()));
        Assert.Equal(2, (await RunAsync("sequence", "list", "--json")).Json().GetArrayLength());
        AssertRow(await RunAsync("sequence", "close", "chat", "--json"), "chat", 3, 48);
        CliRun list = await RunAsync("sequence", "list");
        Assert.Contains("branch", list.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("chat", list.Out, StringComparison.Ordinal);
        CliRun stat = await RunAsync("stat");
        Assert.Contains("recall.sequences", stat.Out, StringComparison.Ordinal);
        Assert.Contains("recall.hotHits", stat.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--selector", "open", "chat", "--selector", "best")]
    [InlineData("--tokens", "append", "chat", "k0", "--tokens", "0")]
    [InlineData("sequence", "describe", "nobody")]
    [InlineData("sequence", "append", "nobody", "k0")]
    [InlineData("blocks[0]", "open", "chat", "nothing-there")]
    public async Task Verbs_OfWhatCanNotBe_NameItAndExitWithTwo(string field, params string[] arguments)
    {
        CliRun run = await RunAsync(["sequence", .. arguments]);
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains(field, run.OneErrorLine(), StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await silo!.DisposeAsync();
        logs!.Dispose();
        folder.Dispose();
    }

    private static void AssertRow(CliRun run, string name, int blocks, long tokens)
    {
        Assert.True(run.ExitCode == ExitCodes.Ok, run.Error);
        JsonElement row = Assert.Single(run.Json().EnumerateArray());
        Assert.Equal((name, blocks, tokens),
            (row.GetProperty("name").GetString(), row.GetProperty("blocks").GetInt32(), row.GetProperty("tokens").GetInt64()));
    }

    private Task<CliRun> RunAsync(params string[] arguments)
    {
        string[] ns = arguments[0] == "stat" ? [] : ["--namespace", Namespace];
        return CliRun.Async([.. arguments, .. ns, "--endpoint", silo!.Endpoints["unix"]]);
    }
}

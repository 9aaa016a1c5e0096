using System.Text.Json;
using KvTier.Silo;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli.Tests;

/// <summary>The admin verbs against a silo inside the test process.</summary>
public sealed class BlockCommandTests : IAsyncLifetime
{
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
            HostBytes = 64 << 20,
            DataDirectory = folder.File("data"),
            SsdBytes = 256 << 20,
        };
        silo = await SiloRunner.StartAsync(options, logs, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task PutThenGet_File_GivesTheSameBytes()
    {
        byte[] bytes = new byte[100_000];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(folder.File("in"), bytes, TestContext.Current.CancellationToken);
        CliRun put = await RunAsync("block", "put", "a key", folder.File("in"), "--ack", "ssd", "--json");
        Assert.Equal(("stored", 100_000), (put.Json().GetProperty("status").GetString(), put.Json().GetProperty("bytes").GetInt32()));
        Assert.Equal("present",
            (await RunAsync("block", "put", "a key", folder.File("in"), "--json")).Json().GetProperty("status").GetString());

        CliRun get = await RunAsync("block", "get", "a key", folder.File("out"), "--json");
        Assert.Equal((ExitCodes.Ok, true), (get.ExitCode, get.Json().GetProperty("hit").GetBoolean()));
        Assert.Equal(bytes, await File.ReadAllBytesAsync(folder.File("out"), TestContext.Current.CancellationToken));

        Assert.Equal(ExitCodes.Ok, (await RunAsync("block", "get", "a key", folder.File("part"), "--offset", "99990")).ExitCode);
        Assert.Equal(bytes[99_990..], await File.ReadAllBytesAsync(folder.File("part"), TestContext.Current.CancellationToken));
        CliRun outside = await RunAsync("block", "get", "a key", folder.File("no"), "--offset", "99990", "--length", "100");
        Assert.Equal(ExitCodes.Usage, outside.ExitCode);
        Assert.Contains("ranges", outside.OneErrorLine(), StringComparison.Ordinal);
        Assert.False(File.Exists(folder.File("no")));
    }

    [Fact]
    public async Task Get_NotThere_SaysWhyAndExitsWithOne()
    {
        CliRun get = await RunAsync("block", "get", "nobody", "--json");
        Assert.Equal((ExitCodes.Found, "never_stored"), (get.ExitCode, get.Json().GetProperty("reason").GetString()));
        Assert.Contains("never_stored", (await RunAsync("block", "get", "nobody", folder.File("o"))).OneErrorLine(),
            StringComparison.Ordinal);
        Assert.False(File.Exists(folder.File("o")));
    }

    [Fact]
    public async Task PinDescribeUnpinDelete_ABlock_AreSeen()
    {
        await PutAsync("k1", "k2");
        Assert.Equal(ExitCodes.Ok, (await RunAsync("block", "pin", "k1", "--for-ms", "100000")).ExitCode);
        JsonElement described = (await RunAsync("block", "describe", "k1", "k3", "--json")).Json();
        Assert.True(described[0].GetProperty("pinnedUntilUnixMs").GetInt64() > 0);
        Assert.Equal(("-", "never_stored"),
            (described[1].GetProperty("tiers").GetString(), described[1].GetProperty("reason").GetString()));
        Assert.Equal(ExitCodes.Ok, (await RunAsync("block", "unpin", "k1")).ExitCode);
        CliRun prefix = await RunAsync("block", "prefix", "k1", "k2", "k3", "--json");
        Assert.Equal((3, 2), (prefix.Json().GetProperty("keys").GetInt32(), prefix.Json().GetProperty("found").GetInt32()));
        CliRun delete = await RunAsync("block", "delete", "k1", "k3", "--json");
        Assert.Equal((ExitCodes.Found, 1), (delete.ExitCode, delete.Json().GetProperty("done").GetInt32()));
        Assert.Equal("k3", delete.Json().GetProperty("missing")[0].GetString());
        Assert.Equal("deleted", (await RunAsync("block", "get", "k1", "--json")).Json().GetProperty("reason").GetString());
    }

    [Fact]
    public async Task NamespaceCreate_Twice_IsListedOnce()
    {
        Assert.Equal(ExitCodes.Ok, (await RunAsync("namespace", "create", "acme/llama-3.1-8b")).ExitCode);
        Assert.Equal(ExitCodes.Ok, (await RunAsync("namespace", "create", "acme/llama-3.1-8b", "--json")).ExitCode);
        JsonElement list = (await RunAsync("namespace", "list", "--json")).Json();
        Assert.Single(list.EnumerateArray(), row => row.GetProperty("name").GetString() == "acme/llama-3.1-8b");
        CliRun wrongLength = await RunAsync("block", "put", "k", folder.File("s.json"), "-n", "acme/llama-3.1-8b");
        Assert.Equal(ExitCodes.Usage, wrongLength.ExitCode);
    }

    [Fact]
    public async Task Get_NamespaceThatNobodyRegistered_IsRefusedAndNotRegistered()
    {
        CliRun run = await RunAsync("block", "get", "k", "-n", "nobody/opaque");
        Assert.Equal(ExitCodes.Refused, run.ExitCode);
        Assert.Contains("nobody/opaque", run.OneErrorLine(), StringComparison.Ordinal);
        Assert.DoesNotContain("nobody", (await RunAsync("namespace", "list", "--json")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stat_AsJsonAndTable_ShowsFiguresAndLimits()
    {
        await PutAsync("k1");
        JsonElement stat = (await RunAsync("stat", "--json")).Json();
        Assert.Equal(512, stat.GetProperty("limits").GetProperty("keyBytesMax").GetInt32());
        Assert.True(stat.GetProperty("engine").GetProperty("puts").GetInt64() >= 1);
        string table = (await RunAsync("stat")).Out;
        foreach (string word in (string[])["limits.batchBlocksMax", "4,096", "engine.hostBlocks"])
            Assert.Contains(word, table, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        if (silo is not null) await silo.DisposeAsync();
        logs?.Dispose();
        folder.Dispose();
    }

    private async Task PutAsync(params string[] keys)
    {
        await File.WriteAllTextAsync(folder.File("f"), "some bytes", TestContext.Current.CancellationToken);
        foreach (string key in keys) Assert.Equal(ExitCodes.Ok, (await RunAsync("block", "put", key, folder.File("f"))).ExitCode);
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.Async([.. arguments, "--endpoint", $"unix://{folder.File("s")}"]);
}

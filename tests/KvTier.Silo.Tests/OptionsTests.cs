using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests;

public sealed class OptionsTests : IDisposable
{
    private readonly TempDirectory folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Load_FromAllSources_TheLaterOneWins()
    {
        string config = Write("port: 1\nhostBytes: 64MiB\nresp:\n  enabled: true\n  port: 6000\nlimits: { keyBytesMax: 100 }\n");
        SiloOptions options = SiloOptionsLoader.Load(
            config,
            new Dictionary<string, string> { ["KVTIER_PORT"] = "2", ["KVTIER_RESP_PORT"] = "6001", ["PATH"] = "x" },
            [new("port", "3"), new("policy", "s3fifo")]).Value;
        Assert.Equal((3, 64L << 20, true, 6001, 100, "s3fifo"),
            (options.Port, options.HostBytes, options.Resp.Enabled, options.Resp.Port, options.Limits.KeyBytesMax, options.Policy));
    }

    [Fact]
    public void Load_OfJson_ReadsIt() =>
        Assert.Equal(9, SiloOptionsLoader.Load(Write("""{"limits": {"keyBytesMax": 9}, "dataDirectory": null}"""), null,
            null).Value.Limits.KeyBytesMax);

    [Fact]
    public void Load_OfEveryOptionsOwnText_ChangesNothing()
    {
        SiloOptions options = SiloOptions.Default with
        {
            Namespaces = [new NamespaceDescriptor("acme", Profiles.Qwen3_8B)],
            Token = "t",
            UnixSocket = "/tmp/x"
        };
        SiloOptions again = SiloOptionsLoader.Load(null, null,
            SiloOptionTable.All.Select(o => KeyValuePair.Create(o.Name, o.Show(options)))).Value;
        Assert.All(SiloOptionTable.All, option => Assert.Equal(option.Show(options), option.Show(again)));
    }

    [Fact]
    public void Load_OfAWholeNamespace_ReadsItsProfile()
    {
        string config = Write(
            "namespaces:\n- acme/qwen3-8b\n"
            + "- {tenant: acme, profile: mine, layers: 2, kvHeads: 1, headDim: 8, dtype: fp16, blockTokens: 4}\n");
        IReadOnlyList<NamespaceDescriptor> list = SiloOptionsLoader.Load(config, null, null).Value.Namespaces;
        Assert.Equal(["acme/qwen3-8b", "acme/mine"], list.Select(ns => ns.Name));
        Assert.Equal(2 * 2 * 8 * 2 * 4, list[1].Profile.BlockBytes);
    }

    [Theory]
    [InlineData("port: 70000", "port", "70000", "a number, 0 to 65535")]
    [InlineData("prot: 1", "option", "prot", "a known option; the nearest is port")]
    [InlineData("resp: {prot: 1}", "option", "resp.prot", "a known option; the nearest is resp.port")]
    [InlineData("hostBytes: 64 cows", "hostBytes", "64 cows", SizeText.Form)]
    [InlineData("hostBytes: 1KiB", "hostBytes", "1KiB", "1MiB to 16TiB")]
    [InlineData("policy: mru", "policy", "mru", "lru or s3fifo")]
    [InlineData("address: localhost", "address", "localhost", "an IP address such as 127.0.0.1, 0.0.0.0 or ::1")]
    [InlineData("tcp: maybe", "tcp", "maybe", "true or false")]
    [InlineData("limits: {keyBytesMax: 513}", "limits.keyBytesMax", "513", "a number, 1 to 512")]
    [InlineData("port: [1]", "port", "Sequence", "0 to 65535")]
    [InlineData("namespaces: [acme/gpt-9]", "namespace.profile", "gpt-9", null)]
    [InlineData("namespaces: [{tenant: a, profil: b}]", "field", "profil", "a known field; the nearest is profile")]
    [InlineData("[1, 2]", "config", "Sequence", "a map of options")]
    [InlineData("requestDeadlineMs: 400000", "requestDeadlineMs", "400000", "300000")]
    [InlineData("tcp: false", "tcp", "false", null)]
    public void Load_OfABadFile_NamesFieldValueAndLimit(string text, string field, string value, string? limit)
    {
        KvError error = SiloOptionsLoader.Load(Write(text), null, null).Error!;
        Assert.EndsWith(field, error.Field);
        Assert.Equal(value, error.Value);
        if (limit is not null) Assert.Equal(limit, error.Limit);
    }

    [Fact]
    public void Load_OfAnUnreadableFile_SaysWhatIsWrong()
    {
        Assert.Contains(", column ", SiloOptionsLoader.Load(Write("a: [1"), null, null).Error!.Value);
        Assert.Contains("nowhere.yaml", SiloOptionsLoader.Load(folder["nowhere.yaml"], null, null).Error!.Value);
        Assert.Equal(ErrorCode.InvalidArgument, SiloOptionsLoader.Load(folder.FullPath, null, null).Error!.Code);
        Assert.Equal("environment: variable",
            SiloOptionsLoader.Load(null, new Dictionary<string, string> { ["KVTIER_PROT"] = "1" }, null).Error!.Field);
        Assert.Equal("command line: option", SiloOptionsLoader.Load(null, null, [new("prot", "1")]).Error!.Field);
    }

    [Fact]
    public async Task Start_WithBadOptionsPortOrSocket_IsRefusedAndLeavesNothing()
    {
        Assert.Equal(KvError.InvalidArgument("hostBytes", 5, "1MiB to 16TiB"),
            (await SiloHost.StartAsync(new SiloOptions { HostBytes = 5 })).Error);
        SiloOptions small = new() { Port = 0, HostBytes = 1 << 20, Http = new HttpOptions { Port = 0 }, UnixSocket = folder["s"] };
        await using SiloHost host = (await SiloHost.StartAsync(small)).Value;
        Assert.Equal("unixSocket", (await SiloHost.StartAsync(small)).Error!.Field);
        Assert.Equal("port",
            (await SiloHost.StartAsync(small with { UnixSocket = null, Port = host.Endpoints.Native!.Port })).Error!.Field);
        Assert.Equal("http.port",
            (await SiloHost.StartAsync(
            small with { UnixSocket = null, Http = new HttpOptions { Port = host.Endpoints.Http!.Port } })).Error!.Field);
        File.WriteAllText(folder["file"], "precious");
        Assert.Equal("unixSocket", (await SiloHost.StartAsync(small with { UnixSocket = folder["file"] })).Error!.Field);
        Assert.Equal("precious", File.ReadAllText(folder["file"]));
        using RawClient client = RawClient.Open(host.Endpoints.Native!);
        await host.DisposeAsync();
        Assert.False(File.Exists(folder["s"]));
        LeakGate.AssertClean();
    }

    [Fact]
    public async Task Start_WithResp_AnswersRedisClients_AndRegistersItsNamespaces()
    {
        SiloOptions options = new()
        {
            Port = 0,
            HostBytes = 1 << 20,
            Http = new HttpOptions { Enabled = false },
            Resp = new RespOptions { Enabled = true, Port = 0 }
        };
        await using SiloHost host = (await SiloHost.StartAsync(options)).Value;
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(host.Endpoints.Resp!);
        client.GetStream().Write("PING\r\n"u8);
        byte[] answer = new byte[7];
        client.GetStream().ReadExactly(answer);
        Assert.Equal("+PONG\r\n"u8, answer);
        Assert.Contains(host.Engine.Namespaces, ns => ns.Name == "resp/opaque.0");
        Assert.Equal(1, host.Catalog.Source.RespCommands);
    }

    private string Write(string text)
    {
        File.WriteAllText(folder["kvtier.yaml"], text);
        return folder["kvtier.yaml"];
    }
}

using KvTier.Cli;
using KvTier.Client;

namespace KvTier.ProcessTests;

/// <summary>A real <c>kvtier serve</c> on a folder, and a client of it.</summary>
internal sealed class TestSilo : IAsyncDisposable
{
    private readonly KvTierClient client;

    private TestSilo(SiloProcess process, KvTierClient client, KvNamespace blocks)
    {
        Process = process;
        this.client = client;
        Blocks = blocks;
    }

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public SiloProcess Process { get; }

    public KvNamespace Blocks { get; }

    /// <summary>Arguments for a silo with its log in a folder, reached by a Unix socket only.</summary>
    public static string[] Arguments(TempFolder folder, params string[] more) =>
    [
        "--tcp", "false", "--http-enabled", "false", "--unix-socket", folder.File("s"), "--data-directory", folder.File("data"),
        "--host-bytes", "64MiB", "--ssd-bytes", "2GiB", .. more,
    ];

    public static async Task<TestSilo> StartAsync(string[] arguments, params string[] through)
    {
        SiloProcess process = await SiloProcess.StartAsync(arguments, Cancel, through);
        var options = new KvTierClientOptions
        {
            Endpoint = process.Endpoints["unix"],
            Transport = TransportMode.Wire,
            Connections = 1,
            RequestTimeout = TimeSpan.FromSeconds(30),
        };
        // A silo that was killed does not come back while its client waits.
        options.Resilience.Enabled = false;
        KvTierClient connected = (await KvTierClient.ConnectAsync(options, Cancel)).Value;
        return new TestSilo(process, connected,
            (await connected.OpenNamespaceAsync(new NamespaceDescriptor("test", Profiles.Opaque), Cancel)).Value);
    }

    /// <summary>Starts a silo that must refuse to.</summary>
    /// <returns>What it said.</returns>
    public static async Task<string> StartRefusedAsync(params string[] arguments)
    {
        CliException refused =
            await Assert.ThrowsAsync<CliException>(async () => await (await SiloProcess.StartAsync(arguments, Cancel)).DisposeAsync());
        Assert.DoesNotContain("   at ", refused.Message, StringComparison.Ordinal);
        return refused.Message;
    }

    public async Task<JsonElement> StatAsync()
    {
        using JsonDocument document = JsonDocument.Parse((await client.StatAsync(Cancel)).Value);
        return document.RootElement.Clone();
    }

    /// <summary>Closes the client, then ends the process if it still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        await client.DisposeAsync();
        await Process.DisposeAsync();
    }
}

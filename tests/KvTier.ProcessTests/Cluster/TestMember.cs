using KvTier.Cli;
using KvTier.Client;

namespace KvTier.ProcessTests.Cluster;

/// <summary>A silo of a cluster: a real process with a folder of its own, which may be stopped and started again.</summary>
internal sealed class TestMember : IAsyncDisposable
{
    private readonly string[] arguments;
    private readonly string[] through;
    private SiloProcess? process;

    public TestMember(string name, string[] arguments, string[] through)
    {
        Name = name;
        this.arguments = arguments;
        this.through = through;
    }

    public string Name { get; }

    public SiloProcess Process => process ?? throw new InvalidOperationException($"{Name} does not run");

    /// <summary>Where its native listener is.</summary>
    public string Endpoint => Process.Endpoints["tcp"];

    public bool IsRunning => process is { HasExited: false };

    /// <summary>Starts it, or starts it again with the same data.</summary>
    public async Task StartAsync()
    {
        if (process is not null) await process.DisposeAsync();
        process = null;
        process = await SiloProcess.StartAsync(arguments, TestSilo.Cancel, through);
    }

    /// <summary>Where its Unix socket is.</summary>
    public string Socket => Process.Endpoints["unix"];

    /// <summary>A client of this silo alone, which does not try again.</summary>
    /// <param name="transport">By shared memory through the Unix socket, or by TCP.</param>
    public async Task<KvTierClient> ConnectAsync(TransportMode transport = TransportMode.Wire)
    {
        var options = new KvTierClientOptions
        {
            Endpoint = transport == TransportMode.Local ? Socket : Endpoint,
            Transport = transport,
            Connections = 1,
            RequestTimeout = TimeSpan.FromSeconds(30),
            LeaseDuration = TimeSpan.FromMinutes(1),
        };
        options.Resilience.Enabled = false;
        return (await KvTierClient.ConnectAsync(options, TestSilo.Cancel)).Value;
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not null) await process.DisposeAsync();
    }
}

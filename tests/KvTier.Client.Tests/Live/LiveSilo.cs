using System.Net;
using KvTier.Silo;
using KvTier.Testing;

[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace KvTier.Client.Tests.Live;

/// <summary>The three ways to a silo.</summary>
public enum Way
{
    Tcp,
    Unix,
    Local,
}

/// <summary>A real silo in this process, with a client on the way that a test asks for.</summary>
public sealed class LiveSilo : IAsyncDisposable
{
    private readonly TempDirectory directory;

    private LiveSilo(TempDirectory directory, SiloHost host, string socketPath)
    {
        this.directory = directory;
        Host = host;
        SocketPath = socketPath;
    }

    /// <summary>Time for what is to go well, and for leases that are to hold: no busy machine takes as long.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(60);

    public static NamespaceDescriptor Opaque { get; } = new("test", Profiles.Opaque);

    public SiloHost Host { get; private set; }

    public string SocketPath { get; }

    public static async Task<LiveSilo> StartAsync(Func<SiloOptions, SiloOptions>? configure = null)
    {
        var folder = new TempDirectory();
        string socket = folder["s"];
        SiloOptions options = Options(socket);
        return new LiveSilo(folder, (await SiloHost.StartAsync(configure?.Invoke(options) ?? options)).Value, socket);
    }

    public async Task RestartAsync()
    {
        SiloOptions options = Host.Options;
        await Host.DisposeAsync();
        Host = (await SiloHost.StartAsync(options)).Value;
    }

    public KvTierClientOptions ClientOptions(Way way) => new()
    {
        Endpoint = way == Way.Tcp ? $"tcp://{new IPEndPoint(IPAddress.Loopback, Host.Endpoints.Native!.Port)}" : $"unix://{SocketPath}",
        Transport = way == Way.Local ? TransportMode.Local : TransportMode.Wire,
        RequestTimeout = Patience,
        ConnectTimeout = Patience,
        LeaseDuration = Patience,
    };

    public async Task<(KvTierClient Client, KvNamespace Namespace)> ConnectAsync(Way way, Action<KvTierClientOptions>? configure = null)
    {
        KvTierClientOptions options = ClientOptions(way);
        configure?.Invoke(options);
        KvTierClient client = (await KvTierClient.ConnectAsync(options)).Value;
        return (client, (await client.OpenNamespaceAsync(Opaque)).Value);
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        directory.Dispose();
        LeakGate.AssertClean();
    }

    private static SiloOptions Options(string socket) => SiloOptions.Default with
    {
        // One that a silo which is started again finds free.
        Port = TestPorts.Reserve(),
        UnixSocket = socket,
        HostBytes = 64 << 20,
        Http = new HttpOptions { Enabled = false },
    };
}

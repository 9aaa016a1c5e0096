using KvTier.Client;
using KvTier.Engine;
using KvTier.Silo;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvTier.Cli;

/// <summary>A silo inside this process.</summary>
internal sealed class SiloRunner : IAsyncDisposable
{
    private readonly SiloHost host;

    private SiloRunner(SiloHost host) => this.host = host;

    /// <summary>Where it listens: protocol and endpoint.</summary>
    public IReadOnlyDictionary<string, string> Endpoints
    {
        get
        {
            var list = new Dictionary<string, string>();
            if (host.Endpoints.Native is { } native) list["tcp"] = $"tcp://{native}";
            if (host.Endpoints.UnixSocket is { } path) list["unix"] = $"unix://{path}";
            if (host.Endpoints.Resp is { } resp) list["resp"] = $"redis://{resp}";
            if (host.Endpoints.Http is { } http) list["http"] = $"http://{http}";
            return list;
        }
    }

    /// <summary>The store of the silo.</summary>
    public BlockEngine Engine => host.Engine;

    /// <summary>True when it has a device tier.</summary>
    public bool HasDevice => host.Device is not null;

    /// <summary>Starts a silo and waits until it serves.</summary>
    /// <exception cref="CliException">It can't start.</exception>
    public static async Task<SiloRunner> StartAsync(SiloOptions options, ILoggerFactory logs, CancellationToken cancel) =>
        new((await SiloHost.StartAsync(options, logs, cancel)).OrFail());

    /// <summary>A log to stderr.</summary>
    public static ILoggerFactory Logs(LogLevel least) => LoggerFactory.Create(builder => builder
        .SetMinimumLevel(least)
        .AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
        })
        .Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(
            console => console.LogToStandardErrorThreshold = LogLevel.Trace));

    /// <summary>Connects by the silo's Unix socket.</summary>
    public async Task<KvTierClient> ConnectAsync(TransportMode transport, CancellationToken cancel)
    {
        var options = new KvTierClientOptions
        {
            Endpoint = Endpoints["unix"],
            Transport = transport,
            Connections = 1,
            ClientName = "kvtier",
            RequestTimeout = TimeSpan.FromSeconds(60),
        };
        return (await KvTierClient.ConnectAsync(options, cancel)).OrFail();
    }

    /// <summary>Waits for the signal to stop.</summary>
    public async Task WaitAsync(CancellationToken stop) =>
        await Task.Delay(Timeout.InfiniteTimeSpan, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Drains and stops.</summary>
    /// <returns>Null, or what could not be drained.</returns>
    public async Task<KvError?> StopAsync() => await host.StopAsync();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => host.DisposeAsync();
}

using System.Net.Sockets;
using KvTier.Client.Local;
using KvTier.Client.Metrics;
using KvTier.Client.Requests;
using KvTier.Protocol;
using Polly;
using Polly.Timeout;

namespace KvTier.Client.Connections;

/// <summary>Makes connections: socket, handshake, mapping of the arena.</summary>
internal sealed class Dialer
{
    private const int SocketBufferBytes = 4 << 20;

    private readonly KvTierClientOptions options;
    private readonly SiloEndpoint endpoint;
    private readonly ClientMetrics metrics;
    private readonly ArenaCache arenas = new();
    private readonly ResiliencePipeline pipeline;

    public Dialer(KvTierClientOptions options, ClientMetrics metrics)
    {
        this.options = options;
        this.metrics = metrics;
        if (!SiloEndpoint.TryParse(options.Endpoint, out SiloEndpoint? parsed, out KvError? error)) throw new KvException(error);
        endpoint = parsed;
        pipeline = new ResiliencePipelineBuilder { TimeProvider = options.TimeProvider }
            .AddTimeout(new TimeoutStrategyOptions { Timeout = options.ConnectTimeout })
            .Build();
    }

    /// <summary>Makes a connection that is ready for requests.</summary>
    public async Task<Result<Connection>> DialAsync()
    {
        Socket socket = endpoint.IsUnix
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

        // A block that fits into the buffers moves without waking the peer for each piece of it. The system may give less.
        socket.SendBufferSize = SocketBufferBytes;
        socket.ReceiveBufferSize = SocketBufferBytes;
        try
        {
            await pipeline.ExecuteAsync(token => ConnectAsync(socket, token), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception error) when (error is SocketException or TimeoutRejectedException)
        {
            socket.Dispose();
            string cause = error is SocketException ? error.Message : $"no answer within {options.ConnectTimeout.TotalMilliseconds:0} ms";
            return new KvError(ErrorCode.Unavailable, "endpoint", $"{endpoint.Text} ({cause})", "a silo that listens there");
        }

        EagerSocket.Prepare(socket);
        metrics.ConnectionOpened();
        var connection = new Connection(socket, options.InflightMax, options.TimeProvider, metrics);
        connection.Start();
        KvError? refused = await GreetAsync(connection).ConfigureAwait(false);
        if (refused is null) return connection;
        connection.Abort(refused);
        await connection.DisposeAsync().ConfigureAwait(false);
        return refused;
    }

    /// <summary>Connects on a thread that may block, so that the runtime does not begin to watch the socket (see
    /// <see cref="ConnectionThread"/>). A connect that takes too long ends when its socket is closed.</summary>
    private async ValueTask ConnectAsync(Socket socket, CancellationToken token)
    {
        Task connect = Task.Factory.StartNew(
            () => socket.Connect(endpoint.ToEndPoint()), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await connect.WaitAsync(token).ConfigureAwait(false);
    }

    private async ValueTask<KvError?> GreetAsync(Connection connection)
    {
        using var hello = new HelloExchange(options.ClientName, options.Token);
        hello.Deadline = ClientClock.After(options.TimeProvider, options.ConnectTimeout);
        KvError? error = await connection.RoundTripAsync(hello, 0, CancellationToken.None).ConfigureAwait(false);
        if (error is { Code: ErrorCode.DeadlineExceeded }) error = error with { Code = ErrorCode.Unavailable, Field = "hello" };
        if (error is not null) return error;
        HelloResponse silo = hello.Response!;
        if (silo.Version != FrameHeader.Version)
            return new KvError(ErrorCode.VersionMismatch, "hello.version", $"{silo.Version}", $"{FrameHeader.Version}");
        connection.Limits = silo.Limits;
        KvError? unmapped = MapArena(connection, silo.Arena);
        connection.Silo = new SiloInfo(silo.Silo, silo.SiloVersion, silo.Version, silo.Limits, connection.Local is not null)
        {
            ArenaBytes = connection.Local?.ArenaBytes ?? 0,
        };
        return options.Transport == TransportMode.Local ? unmapped : null;
    }

    private KvError? MapArena(Connection connection, SharedArenaInfo? arena)
    {
        if (options.Transport == TransportMode.Wire) return null;
        if (!endpoint.IsUnix)
            return new KvError(ErrorCode.Unsupported, "Transport", "Local", "Auto or Wire on TCP; Local on a Unix socket");
        if (arena is null) return new KvError(ErrorCode.Unsupported, "Transport", "Local", "a silo that offers its arena to this user");
        if (!arenas.Acquire(arena).TryGet(out ArenaMapping? mapping, out KvError? error)) return error;
        connection.Local = new LocalSession(connection, mapping, options);
        // The connection may have ended before it had a session to close.
        if (!connection.IsOpen) connection.Local.Close();
        return null;
    }
}

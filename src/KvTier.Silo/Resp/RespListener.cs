using System.Net;
using System.Net.Sockets;
using KvTier.Client.Connections;
using KvTier.Engine;
using KvTier.Silo.Clustering;
using KvTier.Silo.Resp.Routing;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Resp;

/// <summary>Listens for clients of Redis and answers them in RESP2 from the engine's blocks.</summary>
internal sealed partial class RespListener : IAsyncDisposable
{
    private readonly RespOptions options;
    private readonly RespLimits limits;
    private readonly BlockEngine engine;
    private readonly ILogger logger;
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly HashSet<Task> running = [];
    private RespServer? server;
    private Socket? listener;
    private ITimer? sweep;
    private Task accepting = Task.CompletedTask;
    private bool stopping;

    /// <summary>Makes a listener; <see cref="StartAsync"/> opens its port.</summary>
    /// <param name="options">Address, port, password.</param>
    /// <param name="engine">Where the values are. Its limits on keys and blocks must be at least those in <paramref
    /// name="limits"/>.</param>
    /// <param name="logger">Takes start, stop and what went wrong.</param>
    /// <param name="limits">Limits; by default those of <see cref="RespLimits"/>.</param>
    /// <param name="time">Clock of expiry times and deadlines; by default the system's.</param>
    public RespListener(RespOptions options, BlockEngine engine, ILogger logger, RespLimits? limits = null, TimeProvider? time = null)
    {
        this.options = options;
        this.engine = engine;
        this.logger = logger;
        this.limits = limits ?? new RespLimits();
        this.time = time ?? TimeProvider.System;
    }

    /// <summary>Where it listens; null before the start.</summary>
    public IPEndPoint? LocalEndPoint { get; private set; }

    /// <summary>Clients connected now.</summary>
    public int Connections => server?.Connections.Count ?? 0;

    /// <summary>Totals since the start; null before it.</summary>
    public RespCounters? Counters => server?.Counters;

    /// <summary>Opens the namespaces and the port, and accepts.</summary>
    /// <returns>Null when it listens, else what went wrong: the address, or a namespace that is registered otherwise.</returns>
    public ValueTask<KvError?> StartAsync()
    {
        KvError? error = Bind();
        if (error is null) Accept();
        return new ValueTask<KvError?>(error);
    }

    /// <summary>Opens the namespaces and the port. Who connects waits for <see cref="Accept"/>.</summary>
    /// <returns>Null, or what went wrong.</returns>
    public KvError? Bind()
    {
        if (!IPAddress.TryParse(options.Address, out IPAddress? address))
            return KvError.InvalidArgument("resp.address", options.Address, "an IP address");
        if (!RespServer.Create(options, limits, engine, time).TryGet(out RespServer? created, out KvError? error)) return error;
        server = created;
        listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            listener.Bind(new IPEndPoint(address, options.Port));
            listener.Listen(512);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            string said = $"{options.Address}:{options.Port} ({e.SocketErrorCode})";
            return KvError.InvalidArgument("resp.port", said, "an address that is free");
        }

        LocalEndPoint = (IPEndPoint)listener.LocalEndPoint!;
        server.Port = LocalEndPoint.Port;
        return null;
    }

    /// <summary>Makes the listener one of a cluster. Called between <see cref="Bind"/> and <see cref="Accept"/>.</summary>
    public void Join(SiloCluster cluster) => server!.Router = new RespRouter(cluster, server.Password, time);

    /// <summary>Starts to accept.</summary>
    public void Accept()
    {
        sweep = time.CreateTimer(_ => Sweep(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        accepting = AcceptAsync(listener!, server!);
        LogListening(logger, LocalEndPoint!);
    }

    /// <summary>
    /// Takes no more connections or commands, lets those under way be answered, and closes what is left after the deadline.
    /// </summary>
    /// <returns>False when the deadline passed first.</returns>
    public async ValueTask<bool> StopAsync(TimeSpan deadline)
    {
        Task[] left;
        lock (gate)
        {
            if (stopping || server is null) return true;
            stopping = true;
        }

        listener?.Dispose();
        await accepting;
        lock (gate) left = [.. running];
        foreach (RespConnection connection in server.Connections.Values) connection.StopReading();
        bool inTime = true;
        try
        {
            await Task.WhenAll(left).WaitAsync(deadline, time);
        }
        catch (TimeoutException)
        {
            inTime = false;
            LogAborted(logger, server.Connections.Count);
            foreach (RespConnection connection in server.Connections.Values) connection.Abort();
            await Task.WhenAll(left);
        }

        if (sweep is not null) await sweep.DisposeAsync();
        server.Router?.Dispose();
        return inTime;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await StopAsync(TimeSpan.FromSeconds(5));

    private async Task AcceptAsync(Socket socket, RespServer target)
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await socket.AcceptAsync();
            }
            catch (Exception e) when (e is ObjectDisposedException || (e is SocketException && Volatile.Read(ref stopping)))
            {
                return;
            }
            catch (SocketException e)
            {
                // Out of file descriptors, for one: those who are connected go on, and the next accept may succeed.
                LogAcceptFailed(logger, e.SocketErrorCode);
                await Task.Delay(TimeSpan.FromMilliseconds(100), time);
                continue;
            }

            if (target.Connections.Count >= limits.ConnectionsMax) Reject(client, target);
            else Serve(client, target);
        }
    }

    private static void Reject(Socket client, RespServer target)
    {
        target.Counters.AddRejected();
        NativeSend.TrySend(client, "-ERR max number of clients reached\r\n"u8, default, default);
        client.Dispose();
    }

    private void Serve(Socket client, RespServer target)
    {
        RespConnection connection;
        try
        {
            client.NoDelay = true;
            EagerSocket.Prepare(client);
            if (limits.SocketBufferBytes > 0) client.SendBufferSize = client.ReceiveBufferSize = limits.SocketBufferBytes;
            connection = new RespConnection(target, client, target.Counters.AddConnection());
        }
        catch (Exception e)
        {
            // It left between the accept and here, most often. Whatever it was, others must be accepted.
            LogNotServed(logger, e.Message);
            client.Dispose();
            return;
        }

        lock (gate)
        {
            if (stopping)
            {
                connection.Dispose();
                return;
            }

            target.Connections[connection.Session.Id] = connection;

            // Not on this thread: a busy client must not keep others from being accepted.
            Task task = ConnectionThread.Run(() => RunAsync(connection, target), "kvtier resp");
            running.Add(task);
            _ = task.ContinueWith(Forget, TaskScheduler.Default);
        }
    }

    private void Forget(Task task)
    {
        lock (gate) running.Remove(task);
    }

    private async Task RunAsync(RespConnection connection, RespServer target)
    {
        try
        {
            await connection.RunAsync();
        }
        catch (Exception e)
        {
            LogConnectionFailed(logger, connection.Session.Id, e);
        }
        finally
        {
            target.Connections.TryRemove(connection.Session.Id, out _);
            connection.Dispose();
        }
    }

    private void Sweep()
    {
        foreach (RespConnection connection in server!.Connections.Values)
        {
            if (!connection.IsStalled) continue;
            LogStalled(logger, connection.Session.RemoteAddress, limits.StallMs);
            connection.Abort();
        }
    }

    [LoggerMessage(EventId = 6000, Level = LogLevel.Information, Message = "RESP listens on {EndPoint}")]
    private static partial void LogListening(ILogger logger, IPEndPoint endPoint);

    [LoggerMessage(EventId = 6001, Level = LogLevel.Warning, Message = "RESP could not accept a connection: {Error}")]
    private static partial void LogAcceptFailed(ILogger logger, SocketError error);

    [LoggerMessage(EventId = 6005, Level = LogLevel.Warning, Message = "RESP could not serve an accepted connection: {Error}")]
    private static partial void LogNotServed(ILogger logger, string error);

    [LoggerMessage(EventId = 6002, Level = LogLevel.Error, Message = "RESP connection {Id} failed")]
    private static partial void LogConnectionFailed(ILogger logger, long id, Exception exception);

    [LoggerMessage(EventId = 6003, Level = LogLevel.Information,
        Message = "RESP closed {Address}: it stopped inside a command or left a reply unread for {StallMs} ms")]
    private static partial void LogStalled(ILogger logger, string address, int stallMs);

    [LoggerMessage(EventId = 6004, Level = LogLevel.Warning, Message = "RESP closed {Count} connections that had not ended in time")]
    private static partial void LogAborted(ILogger logger, int count);
}

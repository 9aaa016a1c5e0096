using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using KvTier.Silo.Native;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Events;

/// <summary>Listens for ZMTP connections, greets them, and hands each that is in order to its handler.</summary>
/// <param name="option">Name of the option that says where.</param>
/// <param name="wanted">Where.</param>
/// <param name="role">What for.</param>
/// <param name="limits">How many, and how long a handshake may take.</param>
/// <param name="counters">What is counted.</param>
/// <param name="logger">Log.</param>
internal sealed class ZmtpListener(
    string option, EndPoint wanted, ZmtpRole role, ZmtpLimits limits, EventCounters counters, ILogger logger) : IAsyncDisposable
{
    private const int Backlog = 128;

    /// <summary>What the system buffers for a peer that does not read; beyond it the peer's own queue fills.</summary>
    public const int SendBufferBytes = 512 << 10;

    private static readonly TimeSpan acceptRetry = TimeSpan.FromMilliseconds(100);

    private readonly CancellationTokenSource stopping = new();
    private readonly ConcurrentDictionary<int, Task> running = new();
    private Socket? listener;
    private Task accepting = Task.CompletedTask;
    private int lastNumber;
    private int open;
    private int complained;

    /// <summary>Where it listens.</summary>
    public string Address => ZmqAddress.Show(listener?.LocalEndPoint ?? wanted);

    /// <summary>True when other machines reach it.</summary>
    public bool IsReachable => wanted is IPEndPoint ip && !IPAddress.IsLoopback(ip.Address);

    /// <summary>Connections open now.</summary>
    public int Open => Volatile.Read(ref open);

    private bool IsUnix => wanted is UnixDomainSocketEndPoint;

    /// <summary>Binds.</summary>
    /// <returns>Null, or why it can't.</returns>
    public KvError? Bind()
    {
        if (IsUnix && UnixSocketFile.Prepare(wanted.ToString()!) is { } busy) return busy with { Field = option };
        var socket = new Socket(wanted.AddressFamily, SocketType.Stream, IsUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            socket.Bind(wanted);
            if (IsUnix) UnixSocketFile.Restrict(wanted.ToString()!);
            socket.Listen(Backlog);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            return KvError.InvalidArgument(option, $"{ZmqAddress.Show(wanted)} ({e.Message})", "an endpoint that can be bound");
        }

        listener = socket;
        return null;
    }

    /// <summary>Starts to accept.</summary>
    /// <param name="serve">Serves a connection that was greeted, and says why it ended.</param>
    public void Accept(Func<ZmtpSession, string, CancellationToken, Task<string>> serve) => accepting = AcceptAsync(listener!, serve);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener?.Dispose();
        await accepting;
        await Task.WhenAll(running.Values);
        if (IsUnix && listener is not null) UnixSocketFile.Remove(wanted.ToString()!);
        listener = null;
        stopping.Dispose();
    }

    private async Task AcceptAsync(Socket socket, Func<ZmtpSession, string, CancellationToken, Task<string>> serve)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                Socket accepted = await socket.AcceptAsync(stopping.Token);
                Begin(accepted, serve);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                if (stopping.IsCancellationRequested) return;
                logger.AcceptFailed(Address, e.Message);
                await Task.Delay(acceptRetry);
            }
        }
    }

    private void Begin(Socket socket, Func<ZmtpSession, string, CancellationToken, Task<string>> serve)
    {
        string peer = IsUnix ? "ipc" : socket.RemoteEndPoint?.ToString() ?? "tcp";
        if (Interlocked.Increment(ref open) > limits.ConnectionsMax)
        {
            Interlocked.Decrement(ref open);
            counters.ConnectionRefused();
            logger.HandshakeFailedAgain(Address, peer, $"{limits.ConnectionsMax} are connected, the most there may be");
            socket.Dispose();
            return;
        }

        int number = Interlocked.Increment(ref lastNumber);
        Task task = Task.Run(() => ServeAsync(socket, peer, serve));
        running[number] = task;
        _ = task.ContinueWith(
            _ => running.TryRemove(number, out Task? _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }

    private async Task ServeAsync(Socket socket, string peer, Func<ZmtpSession, string, CancellationToken, Task<string>> serve)
    {
        try
        {
            if (!IsUnix) socket.NoDelay = true;
            socket.SendBufferSize = SendBufferBytes;
            var session = new ZmtpSession(socket, role);
            if (await GreetAsync(session) is { } refused)
            {
                Complain(peer, refused);
                return;
            }

            logger.SubscriberCame(Address, peer);
            string reason = await serve(session, peer, stopping.Token);
            logger.SubscriberGone(Address, peer, reason);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // The peer is gone, or the silo stops.
        }
        finally
        {
            socket.Dispose();
            Interlocked.Decrement(ref open);
        }
    }

    private async ValueTask<string?> GreetAsync(ZmtpSession session)
    {
        using var soon = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        soon.CancelAfter(limits.HandshakeTimeout);
        try
        {
            return await session.HandshakeAsync(soon.Token);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            return $"no handshake within {limits.HandshakeTimeout.TotalSeconds:0.#} s";
        }
        catch (SocketException e)
        {
            return e.Message;
        }
    }

    private void Complain(string peer, string reason)
    {
        if (stopping.IsCancellationRequested) return;
        counters.HandshakeFailed();
        if (Interlocked.Exchange(ref complained, 1) == 0) logger.HandshakeFailed(Address, peer, reason);
        else logger.HandshakeFailedAgain(Address, peer, reason);
    }
}

/// <summary>Limits of a listener.</summary>
/// <param name="ConnectionsMax">Most connections.</param>
/// <param name="HandshakeTimeout">Longest that a handshake takes.</param>
/// <param name="StallTimeout">Longest that a peer may leave a send waiting.</param>
internal readonly record struct ZmtpLimits(int ConnectionsMax, TimeSpan HandshakeTimeout, TimeSpan StallTimeout);

using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Events;

/// <summary>Connects to a peer that waits for publishers at a fixed place, and again whenever the connection has ended.</summary>
/// <param name="host">Name or address of the peer.</param>
/// <param name="port">Its port.</param>
/// <param name="role">What for.</param>
/// <param name="limits">How long a handshake may take.</param>
/// <param name="counters">What is counted.</param>
/// <param name="logger">Log.</param>
internal sealed class ZmtpDialer(string host, int port, ZmtpRole role, ZmtpLimits limits, EventCounters counters, ILogger logger)
    : IAsyncDisposable
{
    private static readonly TimeSpan pauseMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan pauseMax = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource stopping = new();
    private Task running = Task.CompletedTask;
    private string lastReason = "";

    /// <summary>Where it connects to.</summary>
    public string Address { get; } = $"tcp://{host}:{port}";

    /// <summary>Starts to connect.</summary>
    /// <param name="serve">Serves a connection that was greeted, and says why it ended.</param>
    public void Start(Func<ZmtpSession, string, CancellationToken, Task<string>> serve) => running = Task.Run(() => RunAsync(serve));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
        stopping.Dispose();
    }

    private async Task RunAsync(Func<ZmtpSession, string, CancellationToken, Task<string>> serve)
    {
        TimeSpan pause = pauseMin;
        while (!stopping.IsCancellationRequested)
        {
            bool wasServed = await ConnectAsync(serve);
            pause = wasServed ? pauseMin : TimeSpan.FromTicks(Math.Min(2 * pause.Ticks, pauseMax.Ticks));
            try
            {
                await Task.Delay(pause, stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task<bool> ConnectAsync(Func<ZmtpSession, string, CancellationToken, Task<string>> serve)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var soon = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        soon.CancelAfter(limits.HandshakeTimeout);
        try
        {
            socket.SendBufferSize = ZmtpListener.SendBufferBytes;
            await socket.ConnectAsync(host, port, soon.Token);
            var session = new ZmtpSession(socket, role);
            if (await session.HandshakeAsync(soon.Token) is { } refused)
            {
                counters.HandshakeFailed();
                Complain(refused);
                return false;
            }

            lastReason = "";
            logger.SubscriberCame(Address, Address);
            string reason = await serve(session, Address, stopping.Token);
            logger.SubscriberGone(Address, Address, reason);
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            if (!stopping.IsCancellationRequested) Complain(e is OperationCanceledException ? "no answer in time" : e.Message);
            return false;
        }
    }

    // Once for each reason, not once for each try.
    private void Complain(string reason)
    {
        if (reason != lastReason) logger.ConnectFailed(Address, reason);
        lastReason = reason;
    }
}

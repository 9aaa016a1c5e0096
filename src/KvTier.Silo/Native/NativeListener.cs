using System.Net;
using System.Net.Sockets;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <summary>Accepts native connections on a TCP port or a Unix socket.</summary>
internal sealed class NativeListener : ISiloListener
{
    /// <summary>Connections that the kernel keeps waiting while the silo is busy accepting others.</summary>
    private const int Backlog = 512;

    private static readonly TimeSpan acceptRetry = TimeSpan.FromMilliseconds(100);

    private readonly NativeContext context;
    private readonly NativeConnections connections;
    private readonly EndPoint wanted;
    private readonly CancellationTokenSource stopping = new();
    private Socket? listener;
    private Task accepting = Task.CompletedTask;

    /// <summary>Makes a listener; nothing is bound yet.</summary>
    public NativeListener(NativeContext context, NativeConnections connections, EndPoint endPoint)
    {
        this.context = context;
        this.connections = connections;
        wanted = endPoint;
    }

    /// <inheritdoc/>
    public EndPoint EndPoint => listener?.LocalEndPoint ?? wanted;

    private bool IsUnix => wanted is UnixDomainSocketEndPoint;

    /// <inheritdoc/>
    public KvError? Bind()
    {
        var socket = new Socket(wanted.AddressFamily, SocketType.Stream, IsUnix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            if (wanted is UnixDomainSocketEndPoint && UnixSocketFile.Prepare(wanted.ToString()!) is { } busy)
            {
                socket.Dispose();
                return busy;
            }

            // Buffers of accepted sockets are inherited; set before listen, they also widen the TCP window.
            SocketTuning.SetBuffers(socket, context.Options.SocketBufferBytes);
            socket.Bind(wanted);
            if (IsUnix) UnixSocketFile.Restrict(wanted.ToString()!);
            socket.Listen(Backlog);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            return KvError.InvalidArgument(IsUnix ? "unixSocket" : "port", $"{wanted} ({e.Message})",
                "an address, port or path that can be bound");
        }

        listener = socket;
        return null;
    }

    /// <inheritdoc/>
    public void Accept() => accepting = AcceptLoopAsync(listener!);

    /// <inheritdoc/>
    public async Task<bool> DrainAsync(TimeSpan deadline)
    {
        await StopAcceptingAsync();
        return await connections.DrainAsync(deadline);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAcceptingAsync();
        stopping.Dispose();
    }

    private async Task StopAcceptingAsync()
    {
        if (!stopping.IsCancellationRequested) await stopping.CancelAsync();
        listener?.Dispose();
        await accepting;
        if (IsUnix && listener is not null) UnixSocketFile.Remove(wanted.ToString()!);
        listener = null;
    }

    private async Task AcceptLoopAsync(Socket socket)
    {
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                Socket accepted = await socket.AcceptAsync(stopping.Token);
                connections.Serve(accepted, IsUnix);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (Exception e)
            {
                if (stopping.IsCancellationRequested) return;

                // Out of file descriptors, most often: others must end before a next one can be accepted.
                context.Logger.AcceptFailed(wanted.ToString() ?? "", e.Message);
                await Task.Delay(acceptRetry, context.Time);
            }
        }
    }
}

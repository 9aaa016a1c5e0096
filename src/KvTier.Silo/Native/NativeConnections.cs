using System.Collections.Concurrent;
using System.Net.Sockets;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <summary>The native connections of a silo: bounds their number, watches them with one timer, and ends them.</summary>
internal sealed class NativeConnections : IAsyncDisposable
{
    private static readonly TimeSpan sweepInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan drainPoll = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan farewell = TimeSpan.FromSeconds(2);

    /// <summary>Most connections that are being told why they are refused; more are closed without a word.</summary>
    private const int RefusalsMax = 64;

    private readonly NativeContext context;
    private readonly ConcurrentDictionary<int, NativeConnection> open = new();
    private readonly ConcurrentDictionary<int, Task> running = new();
    private readonly ITimer sweep;
    private int lastNumber;
    private int count;
    private int sweeping;
    private volatile bool draining;

    /// <summary>Makes the set and starts its timer.</summary>
    public NativeConnections(NativeContext context)
    {
        this.context = context;
        sweep = context.Time.CreateTimer(_ => SweepAll(), null, sweepInterval, sweepInterval);
    }

    /// <summary>Connections open now.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>Bytes of queries that recalls hold now; tests look at it.</summary>
    public long QueryBytes => context.QueryBytes.Taken;

    /// <summary>True once the silo takes no new work.</summary>
    public bool IsDraining => draining;

    /// <summary>Serves an accepted socket, or refuses it when there are too many.</summary>
    public void Serve(Socket socket, bool isUnix)
    {
        try
        {
            ServeAccepted(socket, isUnix);
        }
        catch (Exception e)
        {
            // A peer that has left already, most often. Whatever it was, others must be accepted.
            socket.Dispose();
            context.Logger.AcceptFailed(isUnix ? "unix" : "tcp", e.Message);
        }
    }

    private void ServeAccepted(Socket socket, bool isUnix)
    {
        int number = Interlocked.Increment(ref lastNumber);
        int listener = isUnix ? 1 : 0;
        int most = context.Limits.ConnectionsMax;
        if (Interlocked.Increment(ref count) > most || draining)
        {
            Interlocked.Decrement(ref count);
            context.Metrics.ConnectionRefused();
            if (running.Count > most + RefusalsMax)
            {
                socket.Dispose();
                return;
            }

            context.Logger.ConnectionRefused(number, most);
            KvError error = draining
                ? new KvError(ErrorCode.ShuttingDown, "silo", context.Options.Name, "a silo that is not draining")
                : new KvError(ErrorCode.Busy, "connections", $"{most + 1}", $"{most}");
            Track(number, Task.Run(() => RefuseAsync(socket, error)));
            return;
        }

        NativeConnection connection;
        try
        {
            SocketTuning.Accepted(socket, isUnix, context.Options.SocketBufferBytes);
            context.Logger.ConnectionOpened(number, isUnix ? "unix" : socket.RemoteEndPoint?.ToString() ?? "tcp");
            connection = new NativeConnection(context, this, socket, number, isUnix);
        }
        catch
        {
            Interlocked.Decrement(ref count);
            throw;
        }

        context.Metrics.ConnectionOpened(listener);
        open[number] = connection;
        Track(number, ConnectionThread.Run(async () =>
        {
            await connection.RunAsync();
            open.TryRemove(number, out _);
            Interlocked.Decrement(ref count);
            context.Metrics.ConnectionClosed(listener);
        }, "kvtier connection"));
    }

    /// <summary>Takes no new work from now on, and waits until every request in flight is answered.</summary>
    /// <returns>False when the deadline passed first.</returns>
    public async Task<bool> DrainAsync(TimeSpan deadline)
    {
        draining = true;
        long start = context.Time.GetTimestamp();
        while (open.Values.Any(connection => !connection.IsIdle))
        {
            if (context.Time.GetElapsedTime(start) >= deadline) return false;
            await Task.Delay(drainPoll);
        }

        return true;
    }

    /// <summary>Ends every connection and waits for them.</summary>
    public async ValueTask DisposeAsync()
    {
        draining = true;
        await sweep.DisposeAsync();
        foreach (NativeConnection connection in open.Values) connection.Abort();
        await Task.WhenAll(running.Values);
    }

    /// <summary>Looks at every connection once: stalls, and leases that have run out. The timer calls it; tests may too.</summary>
    public void SweepAll()
    {
        // A sweep that takes longer than the interval must not meet the next one.
        if (Interlocked.Exchange(ref sweeping, 1) != 0) return;
        try
        {
            foreach (NativeConnection connection in open.Values) connection.Sweep();
        }
        finally
        {
            Volatile.Write(ref sweeping, 0);
        }
    }

    /// <summary>
    /// Ends a connection so that the client gets the last frame: closing a socket with unread bytes in it would reset the connection and
    /// throw away what the client has not read yet.
    /// </summary>
    public static async Task FarewellAsync(Socket socket)
    {
        using var soon = new CancellationTokenSource(farewell);
        byte[] scratch = new byte[4096];
        try
        {
            socket.Shutdown(SocketShutdown.Send);
            while (await socket.ReceiveAsync(scratch.AsMemory(), SocketFlags.None, soon.Token) > 0)
            {
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The client is gone, or does not go: either way this is the end.
        }
    }

    private async Task RefuseAsync(Socket socket, KvError error)
    {
        using (socket)
        using (var buffer = new FrameBuffer())
        using (var soon = new CancellationTokenSource(farewell))
        {
            context.Metrics.ErrorSent(error.Code);
            Frame.WriteError(buffer, Opcode.None, 0, error);
            try
            {
                await socket.SendAsync(buffer.WrittenMemory, SocketFlags.None, soon.Token);
                await FarewellAsync(socket);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException)
            {
                // It was refused anyway.
            }
        }
    }

    private void Track(int number, Task task)
    {
        running[number] = task;
        _ = task.ContinueWith(_ =>
            running.TryRemove(number, out Task? _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }
}

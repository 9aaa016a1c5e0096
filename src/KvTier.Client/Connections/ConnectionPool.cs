namespace KvTier.Client.Connections;

/// <summary>
/// The connections to one silo: gives each request the one with the least to do, and makes new ones where they are missing.
/// </summary>
internal sealed class ConnectionPool : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly Connection?[] connections;
    private readonly Task<Result<Connection>>?[] dials;
    private readonly Dialer dialer;
    private readonly DialBackoff backoff;
    private readonly TimeProvider time;
    private readonly CancellationTokenSource closing = new();
    private bool disposed;

    public ConnectionPool(int count, Dialer dialer, DialBackoff backoff, TimeProvider time)
    {
        this.backoff = backoff;
        connections = new Connection?[count];
        dials = new Task<Result<Connection>>?[count];
        this.dialer = dialer;
        this.time = time;
    }

    /// <summary>What the silo said of itself on the latest connection.</summary>
    public SiloInfo? Silo { get; private set; }

    /// <summary>Sums a figure over the open connections.</summary>
    public int Sum(Func<Connection, int> figure)
    {
        lock (gate) return connections.Sum(connection => connection is { IsOpen: true } ? figure(connection) : 0);
    }

    /// <summary>An open connection for a request.</summary>
    public ValueTask<Result<Connection>> GetAsync(long deadline, CancellationToken cancellationToken)
    {
        Task<Result<Connection>> dial;
        lock (gate)
        {
            if (disposed) return new(new KvError(ErrorCode.Unavailable, "client", "disposed", "an open client"));
            Connection? best = null;
            int gap = -1;
            for (int i = 0; i < connections.Length; i++)
            {
                if (connections[i] is not { IsOpen: true } open) gap = gap < 0 ? i : gap;
                else if (best is null || open.Inflight < best.Inflight) best = open;
            }

            if (best is not null)
            {
                // A further connection is only worth its cost when all there are have something to do; the request does not wait for it.
                if (gap >= 0 && best.Inflight > 0) _ = Dial(gap);
                return new(best);
            }

            dial = Dial(0);
        }

        return WaitAsync(dial, deadline, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Task<Result<Connection>>[] pending;
        lock (gate)
        {
            disposed = true;
            pending = [.. dials.OfType<Task<Result<Connection>>>()];
        }

        await closing.CancelAsync().ConfigureAwait(false);
        foreach (Task<Result<Connection>> dial in pending) await dial.ConfigureAwait(false);
        foreach (Connection? connection in connections)
        {
            if (connection is not null) await connection.DisposeAsync().ConfigureAwait(false);
        }

        closing.Dispose();
    }

    private async ValueTask<Result<Connection>> WaitAsync(Task<Result<Connection>> dial, long deadline, CancellationToken cancellationToken)
    {
        TimeSpan left = ClientClock.Until(time, deadline);
        try
        {
            return await dial.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return new KvError(ErrorCode.DeadlineExceeded, "timeout", "passed", "a connection before the deadline");
        }
        catch (OperationCanceledException)
        {
            return Requests.Request.Cancelled;
        }
    }

    private Task<Result<Connection>> Dial(int place) => dials[place] ??= DialAsync(place);

    private async Task<Result<Connection>> DialAsync(int place)
    {
        // Leaves the caller's lock first.
        await Task.Yield();
        Result<Connection> result;
        try
        {
            await PauseAsync().ConfigureAwait(false);
            result = await dialer.DialAsync().ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // Out of file descriptors, for one. The next request dials again.
            result = new KvError(ErrorCode.Unavailable, "endpoint", error.Message, "a connection that can be made");
        }

        Connection? unwanted = null;
        lock (gate)
        {
            dials[place] = null;
            if (!result.IsOk) backoff.Failed();
            else
            {
                backoff.Succeeded();
                connections[place] = result.Value;
                Silo = result.Value.Silo;
                if (disposed) unwanted = result.Value;
            }
        }

        if (unwanted is not null) await unwanted.DisposeAsync().ConfigureAwait(false);
        return result;
    }

    /// <summary>After failures a dial waits; whoever waits for the dial does so no longer than its own deadline.</summary>
    private async Task PauseAsync()
    {
        TimeSpan pause;
        lock (gate) pause = backoff.Pause;
        if (pause > TimeSpan.Zero) await Task.Delay(pause, time, closing.Token).ConfigureAwait(false);
    }
}

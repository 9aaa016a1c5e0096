using System.Collections.Concurrent;

namespace KvTier.Silo.Clustering;

/// <summary>The connections to one silo for one kind of traffic: a bounded number, made when they are needed, used one at a time.</summary>
internal sealed class PeerLane(PeerDial dial, SiloEntry to, int most, PeerBreaker breaker) : IDisposable
{
    private readonly ConcurrentStack<PeerConnection> idle = new();
    private readonly SemaphoreSlim permits = new(most, most);
    private volatile bool disposed;

    /// <summary>Takes a connection, made if there is none that is idle.</summary>
    /// <param name="deadline">Time for it.</param>
    /// <returns>The connection, to be given back by <see cref="Return"/>; or why there is none.</returns>
    public async ValueTask<Result<PeerConnection>> RentAsync(TimeSpan deadline)
    {
        long start = dial.Time.GetTimestamp();
        if (!await permits.WaitAsync(deadline)) return PeerErrors.Late(to, deadline);
        while (idle.TryPop(out PeerConnection? connection))
        {
            if (connection.IsFresh) return connection;
            connection.Dispose();
        }

        Result<PeerConnection> made = await ConnectAsync(deadline - dial.Time.GetElapsedTime(start));
        if (!made.IsOk) permits.Release();
        return made;
    }

    /// <summary>Gives a connection back.</summary>
    public void Return(PeerConnection connection)
    {
        if (connection.IsBroken || disposed) connection.Dispose();
        else idle.Push(connection);
        permits.Release();
        if (disposed) Close();
    }

    /// <summary>Closes what is idle, and what comes back from now on.</summary>
    public void Dispose()
    {
        disposed = true;
        Close();
    }

    private async ValueTask<Result<PeerConnection>> ConnectAsync(TimeSpan deadline)
    {
        if (disposed) return PeerErrors.Unreachable(to, "no member any more");
        if (breaker.IsOpen) return PeerErrors.Unreachable(to, "it could not be reached a moment ago");
        if (deadline <= TimeSpan.Zero) return PeerErrors.Late(to, TimeSpan.Zero);
        Result<PeerConnection> made = await dial.ConnectAsync(to, deadline);
        if (made.IsOk) breaker.Succeeded();
        else breaker.Failed();
        return made;
    }

    private void Close()
    {
        while (idle.TryPop(out PeerConnection? connection)) connection.Dispose();
    }
}

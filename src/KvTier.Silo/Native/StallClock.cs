namespace KvTier.Silo.Native;

/// <summary>
/// Notes since when one side of a connection has been waiting for its peer, so that one timer of the server can end connections whose peer
/// has stopped: no timer and no cancellation source per read or write.
/// </summary>
internal sealed class StallClock(TimeProvider time)
{
    private long since;

    /// <summary>A wait begins; one that has begun already goes on.</summary>
    public void Start() => Volatile.Write(ref since, Math.Max(time.GetTimestamp(), 1));

    /// <summary>The peer did its part.</summary>
    public void Stop() => Volatile.Write(ref since, 0);

    /// <summary>True when a wait has lasted longer than a bound.</summary>
    public bool IsOver(TimeSpan bound)
    {
        long start = Volatile.Read(ref since);
        return start != 0 && time.GetElapsedTime(start) > bound;
    }
}

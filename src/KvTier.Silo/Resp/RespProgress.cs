namespace KvTier.Silo.Resp;

/// <summary>
/// Since when a connection waits for its peer, so that one sweep can end those that wait too long without a timer for each wait.
/// </summary>
internal sealed class RespProgress(TimeProvider time)
{
    private long since;

    /// <summary>A wait that the peer must end begins now, or has just made progress.</summary>
    public void Begin() => Volatile.Write(ref since, time.GetTimestamp());

    /// <summary>The wait is over.</summary>
    public void End() => Volatile.Write(ref since, 0);

    /// <summary>True when the wait is longer than allowed.</summary>
    public bool IsStalled(TimeSpan longest)
    {
        long started = Volatile.Read(ref since);
        return started != 0 && time.GetElapsedTime(started) > longest;
    }
}

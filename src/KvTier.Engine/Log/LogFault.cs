namespace KvTier.Engine;

/// <summary>What is wrong with the log, since when, and when to try again. Called under the engine's lock.</summary>
/// <param name="time">The clock.</param>
/// <param name="grace">How long the log may refuse records before host memory gives it up.</param>
internal sealed class LogFault(TimeProvider time, TimeSpan grace)
{
    private static readonly TimeSpan backoffFirst = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan backoffMax = TimeSpan.FromSeconds(1);

    private TimeSpan backoff = backoffFirst;
    private long since;
    private long lastTry;
    private long firstUnwritten;

    /// <summary>The error; null while the log works.</summary>
    internal KvError? Error { get; private set; }

    /// <summary>True when the log has refused records for longer than the grace.</summary>
    internal bool IsLong => Error is not null && time.GetElapsedTime(since) >= grace;

    /// <summary>Time until the next try; zero while the log works.</summary>
    internal TimeSpan UntilRetry
    {
        get
        {
            TimeSpan left = Error is null ? TimeSpan.Zero : backoff - time.GetElapsedTime(lastTry);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>The log refused a change.</summary>
    internal void Raise(KvError error, long change)
    {
        long now = time.GetTimestamp();
        if (Error is null) since = now;
        else backoff = backoff * 2 < backoffMax ? backoff * 2 : backoffMax;
        Error = error;
        lastTry = now;
        firstUnwritten = change;
    }

    /// <summary>Changes are durable; when the refused one is among them, the log works again.</summary>
    internal void Clear(long durable)
    {
        if (Error is null || durable < firstUnwritten) return;
        Error = null;
        backoff = backoffFirst;
    }
}

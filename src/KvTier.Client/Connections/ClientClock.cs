namespace KvTier.Client.Connections;

/// <summary>Deadlines as timestamps of a <see cref="TimeProvider"/>.</summary>
internal static class ClientClock
{
    /// <summary>The timestamp that lies a span from now.</summary>
    public static long After(TimeProvider time, TimeSpan span) =>
        time.GetTimestamp() + (long)(span.Ticks * ((double)time.TimestampFrequency / TimeSpan.TicksPerSecond));

    /// <summary>The span from now to a timestamp, negative when it has passed.</summary>
    public static TimeSpan Until(TimeProvider time, long deadline) => time.GetElapsedTime(time.GetTimestamp(), deadline);
}

namespace KvTier.Silo.Clustering;

/// <summary>
/// Spares a silo that can't be reached, and whoever would wait for it: after each failed connect nobody tries again for a while, twice as
/// long each time up to a second. Thread-safe.
/// </summary>
internal sealed class PeerBreaker(TimeProvider time)
{
    private const int FirstPauseMs = 50;
    private const int PauseMsMax = 1000;

    private readonly Lock gate = new();
    private int failures;
    private long failedAt;

    /// <summary>True while nobody should try.</summary>
    public bool IsOpen
    {
        get
        {
            lock (gate) return failures > 0 && time.GetElapsedTime(failedAt) < Pause(failures);
        }
    }

    /// <summary>A connection was made.</summary>
    public void Succeeded()
    {
        lock (gate) failures = 0;
    }

    /// <summary>None could be made.</summary>
    public void Failed()
    {
        lock (gate)
        {
            failures++;
            failedAt = time.GetTimestamp();
        }
    }

    private static TimeSpan Pause(int failures) =>
        TimeSpan.FromMilliseconds(Math.Min(FirstPauseMs * Math.Pow(2, failures - 1), PauseMsMax));
}

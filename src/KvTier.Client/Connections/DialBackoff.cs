namespace KvTier.Client.Connections;

/// <summary>
/// How long to wait before the next dial: nothing at first, then twice as long after each failure up to a limit, half of it random, so
/// that clients do not come back all at once. Guarded by its pool's lock.
/// </summary>
/// <param name="first">Pause after the first failure; zero for no pauses.</param>
/// <param name="longest">Longest pause.</param>
/// <param name="random">Gives numbers from 0 to below 1.</param>
/// <param name="time">The clock.</param>
internal sealed class DialBackoff(TimeSpan first, TimeSpan longest, Func<double> random, TimeProvider time)
{
    /// <summary>Doublings after which the pause is the longest, whatever the options say.</summary>
    private const int DoublingsMax = 30;

    private int failures;
    private long notBefore;

    /// <summary>Time until the next dial may begin; zero or more.</summary>
    public TimeSpan Pause
    {
        get
        {
            if (failures == 0) return TimeSpan.Zero;
            TimeSpan left = ClientClock.Until(time, notBefore);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    /// <summary>A dial has failed.</summary>
    public void Failed()
    {
        double ms = Math.Min(
            first.TotalMilliseconds * Math.Pow(2, Math.Min(failures, DoublingsMax)), Math.Max(longest.TotalMilliseconds, 0));
        failures++;
        notBefore = ClientClock.After(time, TimeSpan.FromMilliseconds(ms * (0.5 + (random() / 2))));
    }

    /// <summary>A dial has made a connection.</summary>
    public void Succeeded() => failures = 0;
}

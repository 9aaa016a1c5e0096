namespace KvTier.Client;

/// <summary>What a client does when a silo does not answer. Every operation of the client is idempotent and may be tried again.</summary>
public sealed class ResilienceOptions
{
    /// <summary>
    /// False to switch retry and circuit breaker off: each operation is tried once. Deadlines and reconnecting stay. Default true.
    /// </summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Tries after the first, 0 to 100, inside the operation's deadline. Default 3.</summary>
    public int RetriesMax { get; set; } = 3;

    /// <summary>Pause before the first retry; doubled each time, with jitter. Default 50 ms.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Longest pause between retries. Default 2 s.</summary>
    public TimeSpan RetryDelayMax { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Pause before a silo is dialled again that could not be reached; doubled after each failure, with jitter; 0 to 5 min, zero for none.
    /// Whoever waits for the connection waits no longer than its own deadline. It holds when <see cref="Enabled"/> is false, too. Default
    /// 50 ms.
    /// </summary>
    public TimeSpan DialDelay { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Longest pause between dials, 0 to 1 h. Default 1 s.</summary>
    public TimeSpan DialDelayMax { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>False to leave the circuit breaker out. Default true.</summary>
    public bool BreakerEnabled { get; set; } = true;

    /// <summary>Share of failed tries that opens the circuit, above 0 to 1. Default 0.5.</summary>
    public double BreakerFailureRatio { get; set; } = 0.5;

    /// <summary>Tries in <see cref="BreakerWindow"/> below which the circuit stays closed, 2 or more. Default 10.</summary>
    public int BreakerTriesMin { get; set; } = 10;

    /// <summary>Time over which failures are counted, 0.5 s to 1 h. Default 10 s.</summary>
    public TimeSpan BreakerWindow { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long an open circuit refuses before it lets one try through, 0.5 s to 1 h. Default 2 s.</summary>
    public TimeSpan BreakerPause { get; set; } = TimeSpan.FromSeconds(2);

    internal KvError? Validate()
    {
        if (RetriesMax is < 0 or > 100) return KvError.InvalidArgument("Resilience.RetriesMax", RetriesMax, "0 to 100");
        if (RetryDelay < TimeSpan.Zero || RetryDelay > TimeSpan.FromMinutes(5))
            return KvTierClientOptions.Span("Resilience.RetryDelay", RetryDelay, "5 min");
        if (RetryDelayMax < TimeSpan.Zero || RetryDelayMax > TimeSpan.FromHours(1))
            return KvTierClientOptions.Span("Resilience.RetryDelayMax", RetryDelayMax, "1 h");
        if (DialDelay < TimeSpan.Zero || DialDelay > TimeSpan.FromMinutes(5))
            return KvTierClientOptions.Span("Resilience.DialDelay", DialDelay, "5 min");
        if (DialDelayMax < TimeSpan.Zero || DialDelayMax > TimeSpan.FromHours(1))
            return KvTierClientOptions.Span("Resilience.DialDelayMax", DialDelayMax, "1 h");
        if (BreakerFailureRatio is not (> 0 and <= 1))
            return KvError.InvalidArgument("Resilience.BreakerFailureRatio", BreakerFailureRatio, "above 0, at most 1");
        if (BreakerTriesMin < 2) return KvError.InvalidArgument("Resilience.BreakerTriesMin", BreakerTriesMin, "2 or more");
        if (!InRange(BreakerWindow)) return KvError.InvalidArgument("Resilience.BreakerWindow", BreakerWindow.ToString(), "0.5 s to 1 h");
        if (!InRange(BreakerPause)) return KvError.InvalidArgument("Resilience.BreakerPause", BreakerPause.ToString(), "0.5 s to 1 h");
        return null;
    }

    internal ResilienceOptions Clone() => (ResilienceOptions)MemberwiseClone();

    private static bool InRange(TimeSpan value) => value >= TimeSpan.FromMilliseconds(500) && value <= TimeSpan.FromHours(1);
}

namespace KvTier.Silo.Metrics;

/// <summary>Counts of durations in fixed buckets. Thread-safe; recording allocates nothing.</summary>
internal sealed class LatencyHistogram
{
    /// <summary>Upper bounds of the buckets in seconds; one more bucket takes what is above.</summary>
    public static readonly double[] BoundsSeconds =
        [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

    private readonly long[] counts = new long[BoundsSeconds.Length + 1];
    private long totalTicks;

    /// <summary>Takes one duration.</summary>
    public void Record(TimeSpan elapsed)
    {
        double seconds = elapsed.TotalSeconds;
        int bucket = 0;
        while (bucket < BoundsSeconds.Length && seconds > BoundsSeconds[bucket]) bucket++;
        Interlocked.Increment(ref counts[bucket]);
        Interlocked.Add(ref totalTicks, elapsed.Ticks);
    }

    /// <summary>Copies the counts, not cumulated, and returns the sum of all durations in seconds.</summary>
    public double Read(Span<long> destination)
    {
        for (int i = 0; i < counts.Length; i++) destination[i] = Volatile.Read(ref counts[i]);
        return TimeSpan.FromTicks(Interlocked.Read(ref totalTicks)).TotalSeconds;
    }
}

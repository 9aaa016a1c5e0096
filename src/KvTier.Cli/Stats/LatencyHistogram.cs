using System.Numerics;

namespace KvTier.Cli;

/// <summary>
/// Counts durations in ns in buckets of equal relative width (1/64 of their power of two, so a percentile is at most 1.6 % too high).
/// Not thread-safe: one for each worker, added up at the end.
/// </summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 6;
    private const int SubCount = 1 << SubBits;
    private readonly long[] counts = new long[(64 - SubBits + 1) * SubCount];

    /// <summary>Durations recorded.</summary>
    public long Count { get; private set; }

    /// <summary>Longest one, in ns.</summary>
    public long Max { get; private set; }

    /// <summary>Records a duration in ns; below 0 counts as 0.</summary>
    public void Record(long nanoseconds)
    {
        if (nanoseconds < 0) nanoseconds = 0;
        counts[BucketOf(nanoseconds)]++;
        Count++;
        if (nanoseconds > Max) Max = nanoseconds;
    }

    /// <summary>Adds another histogram's counts.</summary>
    public void Add(LatencyHistogram other)
    {
        for (int i = 0; i < counts.Length; i++) counts[i] += other.counts[i];
        Count += other.Count;
        Max = Math.Max(Max, other.Max);
    }

    /// <summary>The duration in ns that a share of those recorded do not pass; 0 when there are none.</summary>
    /// <param name="share">0 to 1, such as 0.99.</param>
    public long Percentile(double share)
    {
        if (Count == 0) return 0;
        long rank = Math.Clamp((long)Math.Ceiling(share * Count), 1, Count);
        for (int i = 0; i < counts.Length; i++)
        {
            rank -= counts[i];
            if (rank <= 0) return Math.Min(UpperBoundOf(i), Max);
        }

        return Max;
    }

    private static int BucketOf(long value)
    {
        if (value < SubCount) return (int)value;
        int shift = BitOperations.Log2((ulong)value) - SubBits;
        return ((shift + 1) << SubBits) + (int)((value >> shift) - SubCount);
    }

    private static long UpperBoundOf(int bucket)
    {
        if (bucket < SubCount) return bucket;
        int shift = (bucket >> SubBits) - 1;
        long low = (long)(SubCount + (bucket & (SubCount - 1))) << shift;
        return low + (1L << shift) - 1;
    }
}

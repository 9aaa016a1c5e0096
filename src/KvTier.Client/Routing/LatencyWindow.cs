using System.Numerics;

namespace KvTier.Client.Routing;

/// <summary>
/// How long the recent gets of a silo took, by size: what a block takes says nothing of what a thousand take. Thread-safe.
/// </summary>
internal sealed class LatencyWindow
{
    private const int Classes = 8;
    private const int Kept = 64;
    private const int LeastKnown = 8;
    private const double Quantile = 0.95;

    private readonly Lock gate = new();
    private readonly TimeSpan[][] taken = new TimeSpan[Classes][];
    private readonly int[] counts = new int[Classes];
    private readonly TimeSpan[] slow = new TimeSpan[Classes];

    /// <summary>Notes a get.</summary>
    public void Add(long bytes, TimeSpan span)
    {
        int place = ClassOf(bytes);
        lock (gate)
        {
            TimeSpan[] ring = taken[place] ??= new TimeSpan[Kept];
            ring[counts[place]++ % Kept] = span;
            if (counts[place] % LeastKnown == 0) slow[place] = Percentile(ring.AsSpan(0, Math.Min(counts[place], Kept)));
        }
    }

    /// <summary>The 95th percentile of gets of about a size; zero while too few are known.</summary>
    public TimeSpan SlowOf(long bytes)
    {
        lock (gate) return slow[ClassOf(bytes)];
    }

    /// <summary>Sizes of one class differ by less than a factor of 8; the first ends at 4 KiB.</summary>
    private static int ClassOf(long bytes) =>
        Math.Min(Classes - 1, (BitOperations.Log2((ulong)Math.Max(bytes, 1) | 0xFFF) - 11) / 3);

    private static TimeSpan Percentile(ReadOnlySpan<TimeSpan> spans)
    {
        Span<TimeSpan> sorted = stackalloc TimeSpan[Kept];
        spans.CopyTo(sorted);
        sorted = sorted[..spans.Length];
        sorted.Sort();
        return sorted[(int)((spans.Length - 1) * Quantile)];
    }
}

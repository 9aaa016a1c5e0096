namespace KvTier.Engine;

/// <summary>Where ranges end, and how long they are together.</summary>
/// <param name="End">The byte after the last one.</param>
/// <param name="Total">Bytes of all of them.</param>
internal readonly record struct RangeBounds(long End, long Total)
{
    /// <summary>Measures ranges.</summary>
    /// <exception cref="ArgumentException">One is negative.</exception>
    internal static RangeBounds Of(ReadOnlySpan<BlockRange> ranges)
    {
        long end = 0;
        long total = 0;
        foreach (BlockRange range in ranges)
        {
            if ((range.Offset | range.Length) < 0) throw new ArgumentException($"range {range} is negative", nameof(ranges));
            end = Math.Max(end, range.End);
            total += range.Length;
        }

        return new RangeBounds(end, total);
    }

    /// <summary>Measures ranges that go to a destination.</summary>
    /// <exception cref="ArgumentException">One is negative, or the destination is too small for all.</exception>
    internal static RangeBounds Of(ReadOnlySpan<BlockRange> ranges, int destinationLength)
    {
        RangeBounds bounds = Of(ranges);
        return bounds.Total <= destinationLength
            ? bounds
            : throw new ArgumentException($"has {destinationLength} bytes; {bounds.Total} are needed", nameof(destinationLength));
    }
}

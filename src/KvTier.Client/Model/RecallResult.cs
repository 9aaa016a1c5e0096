namespace KvTier.Client;

/// <summary>What one item of a recall got.</summary>
public sealed record RecallItemResult
{
    /// <summary>Tokens of a unit: the chunk size, or 1 where single tokens are chosen. Unit u is tokens u · UnitTokens and on; the last
    /// unit of a sequence may have fewer.</summary>
    public required int UnitTokens { get; init; }

    /// <summary>Units chosen for each KV head <c>[Hkv]</c>.</summary>
    public required ReadOnlyMemory<int> Counts { get; init; }

    /// <summary>The units, one KV head after the other, ascending.</summary>
    public required ReadOnlyMemory<int> Units { get; init; }

    /// <summary>What each slot is to hold now, <c>[Hkv, slots]</c>; empty when the caller holds none.</summary>
    public required ReadOnlyMemory<int> Slots { get; init; }

    /// <summary>Units of each KV head whose rows are in a gather's payload <c>[Hkv]</c>; empty without a gather.</summary>
    public required ReadOnlyMemory<int> SentCounts { get; init; }

    /// <summary>Those units, one KV head after the other, in the order of their rows.</summary>
    public required ReadOnlyMemory<int> Sent { get; init; }

    /// <summary>Tokens chosen that could not be read; empty when the answer is whole.</summary>
    public required IReadOnlyList<MissingTokens> Missing { get; init; }

    /// <summary>Rows (n) of each KV head in a gather's payload.</summary>
    public required int GatherRows { get; init; }

    /// <summary>Bytes of the item's payload: that many were written to its destination.</summary>
    public required int PayloadLength { get; init; }

    /// <summary>What it cost the silo.</summary>
    public required RecallCost Cost { get; init; }

    /// <summary>First byte of its part in a slot.</summary>
    internal long PayloadOffset { get; init; }

    /// <summary>CRC32C of its part.</summary>
    internal uint Check { get; init; }

    /// <summary>The units of one KV head.</summary>
    public ReadOnlySpan<int> UnitsOf(int kvHead) => PartOf(Units.Span, Counts.Span, kvHead);

    /// <summary>The units of one KV head whose rows are in the payload.</summary>
    public ReadOnlySpan<int> SentOf(int kvHead) => PartOf(Sent.Span, SentCounts.Span, kvHead);

    private static ReadOnlySpan<int> PartOf(ReadOnlySpan<int> list, ReadOnlySpan<int> counts, int kvHead)
    {
        int start = 0;
        for (int head = 0; head < kvHead; head++) start += counts[head];
        return list.Slice(start, counts[kvHead]);
    }
}

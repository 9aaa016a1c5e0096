namespace KvTier.Recall;

/// <summary>Counts what <see cref="RecallStats"/> shows. Thread-safe.</summary>
internal sealed class RecallCounters
{
    private readonly Lock gate = new();
    private RecallStats sums = new();

    /// <summary>The counts.</summary>
    internal RecallStats Sums
    {
        get
        {
            lock (gate) return sums;
        }
    }

    /// <summary>An answer was made.</summary>
    internal void Answered(IReadOnlyList<RecallItemAnswer> items)
    {
        lock (gate)
        {
            RecallStats next = sums with { Recalls = sums.Recalls + 1, Items = sums.Items + items.Count };
            foreach (RecallItemAnswer item in items)
            {
                RecallCost cost = item.Cost;
                next = next with
                {
                    Reused = next.Reused + (cost.Reused ? 1 : 0),
                    UnitsScored = next.UnitsScored + cost.UnitsScored,
                    DigestBytesRead = next.DigestBytesRead + cost.DigestBytes,
                    KvBytes = next.KvBytes + cost.KvBytes,
                    SsdBytes = next.SsdBytes + cost.SsdBytes,
                    HotHits = next.HotHits + cost.HotHits,
                    HotMisses = next.HotMisses + cost.HotMisses,
                    MissingTokens = next.MissingTokens + item.Missing.Sum(run => (long)run.Tokens),
                };
            }

            sums = next;
        }
    }

    /// <summary>A granule's bytes failed their check.</summary>
    internal void CorruptGranule()
    {
        lock (gate) sums = sums with { CorruptGranules = sums.CorruptGranules + 1 };
    }

    /// <summary>Sequences did not come back.</summary>
    internal void Lost(int sequences)
    {
        lock (gate) sums = sums with { LostSequences = sums.LostSequences + sequences };
    }
}

using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>The units chosen for one layer, by KV head, and estimates for the rest. Made once and used again.</summary>
internal sealed class Selection
{
    private readonly int[][] units;
    private readonly int[] counts;
    private readonly AttentionPart?[] estimates;
    private readonly AttentionPart?[] spares;
    private long unitsScored;
    private long digestBytes;

    /// <summary>Makes an empty selection.</summary>
    /// <param name="kvHeads">KV heads (H).</param>
    internal Selection(int kvHeads)
    {
        units = new int[kvHeads][];
        units.AsSpan().Fill([]);
        counts = new int[kvHeads];
        estimates = new AttentionPart?[kvHeads];
        spares = new AttentionPart?[kvHeads];
    }

    /// <summary>Tokens of a unit: the chunk size, or 1.</summary>
    internal int UnitTokens { get; set; }

    /// <summary>Units scored, inner nodes counted.</summary>
    internal long UnitsScored => Volatile.Read(ref unitsScored);

    /// <summary>Bytes of digests read.</summary>
    internal long DigestBytes => Volatile.Read(ref digestBytes);

    /// <summary>True when the choice is certain to be the best by its scores. KV heads clear it.</summary>
    internal bool Certified { get; set; } = true;

    /// <summary>KV heads (H).</summary>
    internal int KvHeads => units.Length;

    /// <summary>Counts what choosing for a KV head cost. Several may be chosen for at once.</summary>
    /// <param name="units">Units scored.</param>
    /// <param name="bytes">Bytes of digests read.</param>
    internal void AddCost(long units, long bytes)
    {
        Interlocked.Add(ref unitsScored, units);
        Interlocked.Add(ref digestBytes, bytes);
    }

    /// <summary>The units chosen for a KV head, ascending.</summary>
    internal ReadOnlySpan<int> Units(int kvHead) => units[kvHead].AsSpan(0, counts[kvHead]);

    /// <summary>Takes a KV head's units, in any order; they are sorted.</summary>
    internal void Set(int kvHead, ReadOnlySpan<int> chosen)
    {
        if (units[kvHead].Length < chosen.Length) units[kvHead] = new int[Math.Max(chosen.Length, 2 * units[kvHead].Length)];
        chosen.CopyTo(units[kvHead]);
        counts[kvHead] = chosen.Length;
        units[kvHead].AsSpan(0, chosen.Length).Sort();
    }

    /// <summary>The estimate of what a KV head's queries <c>[W · G]</c> (window outside, group inside) would get from what was not chosen;
    /// null when there is none.</summary>
    internal AttentionPart? Estimate(int kvHead) => estimates[kvHead];

    /// <summary>Sets or removes a KV head's estimate.</summary>
    internal void SetEstimate(int kvHead, AttentionPart? estimate) => estimates[kvHead] = estimate;

    /// <summary>Sets a KV head's estimate to an empty part, one that was used before where there is one.</summary>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="queries">Queries (W · G).</param>
    /// <param name="headDim">Elements of a row (D).</param>
    internal AttentionPart MakeEstimate(int kvHead, int queries, int headDim)
    {
        AttentionPart? part = spares[kvHead];
        if (part is null || part.QueryCount != queries || part.HeadDim != headDim)
            part = spares[kvHead] = new AttentionPart(queries, headDim);
        part.Clear();
        estimates[kvHead] = part;
        return part;
    }

    /// <summary>Forgets everything but the room.</summary>
    internal void Clear()
    {
        counts.AsSpan().Clear();
        estimates.AsSpan().Clear();
        unitsScored = 0;
        digestBytes = 0;
        Certified = true;
    }
}

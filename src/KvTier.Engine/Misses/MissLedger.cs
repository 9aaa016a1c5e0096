namespace KvTier.Engine;

/// <summary>Remembers why blocks went, for as many as fit; and counts the misses by reason.</summary>
/// <param name="capacity">Blocks remembered.</param>
internal sealed class MissLedger(int capacity)
{
    private readonly FingerprintRing ring = new(capacity);
    private readonly long[] counts = new long[MissReasonExtensions.Count];

    /// <summary>A copy of the counts, indexed by reason.</summary>
    internal long[] Counts => (long[])counts.Clone();

    /// <summary>A block went.</summary>
    internal void Record(ulong print, MissReason reason) => ring.Add(print, (byte)reason);

    /// <summary>Why a block is not here, as far as it is remembered.</summary>
    internal MissReason Why(ulong print) => ring.TryGet(print, out byte reason) ? (MissReason)reason : MissReason.NeverStored;

    /// <summary>Counts a miss.</summary>
    internal void Count(MissReason reason) => counts[(int)reason]++;

    /// <summary>Misses of one reason so far.</summary>
    internal long CountOf(MissReason reason) => counts[(int)reason];
}

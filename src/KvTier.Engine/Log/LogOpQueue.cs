namespace KvTier.Engine;

/// <summary>
/// The changes that are not durable yet, numbered from 1: first those appended and waiting for a commit, then those waiting to be
/// appended. Not thread-safe.
/// </summary>
internal sealed class LogOpQueue
{
    private const int RingMin = 256;

    private LogOp[] ring = new LogOp[RingMin];
    private long renumberedFrom;
    private long renumberedUpTo;
    private long renumberedTo;

    /// <summary>Number of the last change queued.</summary>
    internal long Last { get; private set; }

    /// <summary>Number of the last change appended.</summary>
    internal long Appended { get; set; }

    /// <summary>Number of the last change that is durable.</summary>
    internal long Durable { get; private set; }

    /// <summary>Payload bytes of the blocks waiting to be appended, those that went meanwhile included.</summary>
    internal long WaitingBytes { get; set; }

    /// <summary>A change by its number, above <see cref="Durable"/> and at most <see cref="Last"/>.</summary>
    internal ref LogOp this[long number] => ref ring[number & (ring.Length - 1)];

    /// <summary>Queues a change.</summary>
    /// <returns>Its number.</returns>
    internal long Add(in LogOp op)
    {
        if (Last - Durable == ring.Length) Enlarge();
        Last++;
        this[Last] = op;
        WaitingBytes += op.Bytes;
        return Last;
    }

    /// <summary>Forgets the changes up to a number.</summary>
    internal void Advance(long durable) => Durable = durable;

    /// <summary>A commit failed: what was appended since the last durable change has to be appended again.</summary>
    internal void Rewind()
    {
        for (long number = Durable + 1; number <= Appended; number++) WaitingBytes += this[number].Bytes;
        Appended = Durable;
    }

    /// <summary>
    /// Forgets the changes that are not wanted or that a later one of the queue makes void, and numbers the others anew, behind all numbers
    /// given so far. Nothing may be appended that is not durable.
    /// </summary>
    internal void Compact(Func<LogOp, bool> isWanted)
    {
        var kept = new List<LogOp>();
        var replaced = new HashSet<(ushort, BlockId)>();
        var expiries = new HashSet<(ushort, BlockId)>();
        var cleared = new HashSet<ushort>();
        for (long number = Last; number > Durable; number--)
        {
            LogOp op = this[number];
            (ushort, BlockId) block = (op.Namespace, op.Id);
            if (!isWanted(op) || cleared.Contains(op.Namespace)) continue;
            if (op.Kind == LogRecordKind.Clear) cleared.Add(op.Namespace);
            else if (replaced.Contains(block)) continue;
            else if (op.Kind != LogRecordKind.Expiry) replaced.Add(block);
            else if (!expiries.Add(block)) continue;
            kept.Add(op);
        }

        if (Durable >= renumberedTo) renumberedFrom = Durable;
        renumberedUpTo = Appended = Durable = Last;
        WaitingBytes = 0;
        ring = new LogOp[Math.Max(RingMin, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)kept.Count))];
        for (int i = kept.Count - 1; i >= 0; i--) Add(kept[i]);
        renumberedTo = Last;
    }

    /// <summary>The change to wait for instead of one whose number may be of before <see cref="Compact"/>.</summary>
    internal long Renumbered(long number) => number > renumberedFrom && number <= renumberedUpTo ? renumberedTo : number;

    private void Enlarge()
    {
        var larger = new LogOp[ring.Length * 2];
        for (long number = Durable + 1; number <= Last; number++) larger[number & (larger.Length - 1)] = this[number];
        ring = larger;
    }
}

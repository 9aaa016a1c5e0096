namespace KvTier.Engine;

/// <summary>
/// The changes that are not durable yet, numbered from 1: first those appended and waiting for a commit, then those waiting to be
/// appended. Not thread-safe.
/// </summary>
internal sealed class LogOpQueue
{
    private LogOp[] ring = new LogOp[256];

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

    private void Enlarge()
    {
        var larger = new LogOp[ring.Length * 2];
        for (long number = Durable + 1; number <= Last; number++) larger[number & (larger.Length - 1)] = this[number];
        ring = larger;
    }
}

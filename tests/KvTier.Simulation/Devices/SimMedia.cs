namespace KvTier.Simulation;

/// <summary>
/// What lies on a silo's disk, across its restarts, and how the disk behaves. A crash keeps what was committed, and some of what was
/// appended after it, in order; the record at the break is torn and gone.
/// </summary>
internal sealed class SimMedia(Random random)
{
    /// <summary>Bytes of a segment.</summary>
    internal const long SegmentBytes = 1 << 20;

    /// <summary>The records by address.</summary>
    internal SortedList<long, StoredRecord> Records { get; } = [];

    /// <summary>Names of the namespaces that the silo registered, as its data directory keeps them.</summary>
    internal List<NamespaceDescriptor> Namespaces { get; } = [];

    /// <summary>First address that is kept.</summary>
    internal long Begin { get; set; } = SegmentBytes;

    /// <summary>Address after the last record.</summary>
    internal long Tail { get; set; } = SegmentBytes;

    /// <summary>Address up to which records are committed.</summary>
    internal long Durable { get; set; } = SegmentBytes;

    /// <summary>True while the disk has no room.</summary>
    internal bool IsFull { get; set; }

    /// <summary>Probability with which an append, a commit or a read fails.</summary>
    internal double ErrorRate { get; set; }

    /// <summary>Longest that an operation takes, in ticks.</summary>
    internal long DelayMax { get; set; } = 2 * Ticks.Ms;

    /// <summary>Randomness of its faults.</summary>
    internal Random Random => random;

    /// <summary>The power went, or the process.</summary>
    /// <returns>How many records that were not committed are gone.</returns>
    internal int Crash()
    {
        var pending = Records.Keys.Where(address => address >= Durable).ToList();
        int kept = random.Next(pending.Count + 1);
        foreach (long address in pending.Skip(kept)) Records.Remove(address);
        Tail = Records.Count == 0 ? Durable : Math.Max(Durable, Records.Keys[^1] + StoredRecord.SizeOf(Records.Values[^1].Record));
        Durable = Tail;
        return pending.Count - kept;
    }

    /// <summary>Everything on it is lost.</summary>
    internal void Wipe()
    {
        Records.Clear();
        Namespaces.Clear();
        Begin = Tail = Durable = SegmentBytes;
    }
}

/// <summary>A record with copies of its bytes.</summary>
internal sealed record StoredRecord(LogRecord Record)
{
    /// <summary>Bytes that a record takes on the disk.</summary>
    internal static long SizeOf(in LogRecord record) => 512 + ((record.Payload.Length + 511) / 512 * 512);
}

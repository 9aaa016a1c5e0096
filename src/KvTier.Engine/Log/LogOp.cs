namespace KvTier.Engine;

/// <summary>A change that the log has to learn, in the order in which it happened.</summary>
internal struct LogOp
{
    internal LogRecordKind Kind;
    internal ushort Namespace;
    internal BlockId Id;

    /// <summary>For a block: its slot, and the generation that says whether the slot still holds it.</summary>
    internal int Slot;
    internal uint Generation;

    /// <summary>Bytes the record brings to a batch.</summary>
    internal int Bytes;

    /// <summary>For <see cref="LogRecordKind.Expiry"/>: ms since 1970.</summary>
    internal long Expiry;

    /// <summary>Where it was appended; none when it was not, or when nothing had to be written any more.</summary>
    internal LogAddress Address;
}

namespace KvTier.Recall;

/// <summary>A granule that one recall needs and that is not in a host-resident block.</summary>
internal struct GranuleRead
{
    /// <summary>Which one.</summary>
    internal HotKey Key;

    /// <summary>Bytes of its filled rows: keys, then values.</summary>
    internal int Bytes;

    /// <summary>Number of the block's source in the run.</summary>
    internal int Source;

    /// <summary>First key byte in the block's payload.</summary>
    internal int KeyOffset;

    /// <summary>First value byte in the block's payload.</summary>
    internal int ValueOffset;

    /// <summary>Bytes of the key rows.</summary>
    internal int KeyBytes;

    /// <summary>The entry of the hot set that has it or is to have it; -1 when it is read for this recall alone.</summary>
    internal int HotEntry;

    /// <summary>True when the hot set had it.</summary>
    internal bool IsHit;

    /// <summary>Where its bytes are.</summary>
    internal Memory<byte> Memory;

    /// <summary>True when its bytes were read for this recall and passed their check: only such bytes may stay in the hot set.</summary>
    internal bool IsChecked;

    /// <summary>Why it could not be read; none when it is there.</summary>
    internal MissReason Reason;

    /// <summary>Item of the run that wanted it first.</summary>
    internal int Item;

    /// <summary>Whose figure of hot bytes grows by it.</summary>
    internal RecallMemory Owner;
}

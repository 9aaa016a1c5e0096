namespace KvTier;

/// <summary>A read of a committed block record: the whole payload, checked, or ranges of it, unchecked.</summary>
public readonly record struct LogRead
{
    /// <summary>The record.</summary>
    public required LogAddress Address { get; init; }

    /// <summary>The block that must be there.</summary>
    public required BlockId Id { get; init; }

    /// <summary>Bytes of its whole payload.</summary>
    public required int Length { get; init; }

    /// <summary>
    /// For the whole payload: at least <see cref="Length"/> rounded up to 512 bytes, starting at a multiple of 512 in memory, as every
    /// arena slot is; bytes after the payload may be overwritten. Not used for ranges.
    /// </summary>
    public Memory<byte> Destination { get; init; }

    /// <summary>Takes the bytes of <see cref="Ranges"/>; null to read the whole payload, the default.</summary>
    public ILogRangeSink? Sink { get; init; }

    /// <summary>
    /// Ranges within the payload, which go to <see cref="Sink"/>, in any order. Those that are close are read with one call of the device.
    /// </summary>
    public ReadOnlyMemory<BlockRange> Ranges { get; init; }

    /// <summary>For ranges: bytes of the record's key, which say where its payload begins.</summary>
    public int KeyLength { get; init; }

    /// <summary>
    /// For ranges: true to let what awaits the read go on at once, on a thread of the log; it must be short, and neither wait nor close
    /// the log. It spares many small reads a change of threads each. Default false.
    /// </summary>
    public bool ContinuesOnLogThread { get; init; }
}

/// <summary>What became of a read.</summary>
/// <param name="Status">The outcome.</param>
/// <param name="DeviceBytes">Bytes that were read from the device.</param>
public readonly record struct LogReadResult(LogReadStatus Status, long DeviceBytes);

/// <summary>Takes the bytes of ranges as the device gives them.</summary>
public interface ILogRangeSink
{
    /// <summary>
    /// Takes a piece of one range; called on a thread of the log, one piece after another in any order, none after the read has completed.
    /// It must not wait.
    /// </summary>
    /// <param name="offset">Place of the piece's first byte among the bytes of all ranges, packed one after the other.</param>
    /// <param name="bytes">The piece; valid during the call only.</param>
    void OnBytes(int offset, ReadOnlySpan<byte> bytes);
}

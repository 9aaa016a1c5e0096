namespace KvTier;

/// <summary>What a log record says. The numbers are part of the disk format.</summary>
public enum LogRecordKind : byte
{
    /// <summary>A block with its payload.</summary>
    Block = 1,

    /// <summary>The block of this id was deleted; earlier records of it are void.</summary>
    Tombstone = 2,

    /// <summary>The block of this id has a new expiry.</summary>
    Expiry = 3,

    /// <summary>Every block of this namespace was deleted; earlier records of it are void.</summary>
    Clear = 4,
}

/// <summary>Where a record begins in the log: a byte address that only grows. 0 is no address.</summary>
/// <param name="Value">The address in bytes, a multiple of 512.</param>
public readonly record struct LogAddress(long Value)
{
    /// <summary>No address.</summary>
    public static LogAddress None => default;

    /// <summary>True when this is no address.</summary>
    public bool IsNone => Value == 0;
}

/// <summary>A record to append: identity, check and bytes.</summary>
public readonly record struct LogRecord
{
    /// <summary>What the record says.</summary>
    public required LogRecordKind Kind { get; init; }

    /// <summary>Fingerprint of the namespace.</summary>
    public required NamespaceId Namespace { get; init; }

    /// <summary>The block; unused for <see cref="LogRecordKind.Clear"/>.</summary>
    public BlockId Id { get; init; }

    /// <summary>Group of the block; default for its own id.</summary>
    public BlockId Group { get; init; }

    /// <summary>Stored form of the payload; 0 is raw.</summary>
    public byte Codec { get; init; }

    /// <summary>CRC32C of the payload, as it was checked when the payload came in.</summary>
    public uint PayloadCrc { get; init; }

    /// <summary>When the block expires, in ms since 1970; 0 for never.</summary>
    public long ExpiryUnixMs { get; init; }

    /// <summary>The key, 0 to 512 bytes.</summary>
    public ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The payload; empty for all kinds but <see cref="LogRecordKind.Block"/>.</summary>
    public ReadOnlyMemory<byte> Payload { get; init; }
}

/// <summary>A record found in the log, without its payload. The key is passed beside it.</summary>
public readonly record struct RecoveredRecord
{
    /// <summary>What the record says.</summary>
    public required LogRecordKind Kind { get; init; }

    /// <summary>Where the record begins.</summary>
    public required LogAddress Address { get; init; }

    /// <summary>Fingerprint of the namespace.</summary>
    public required NamespaceId Namespace { get; init; }

    /// <summary>The block.</summary>
    public BlockId Id { get; init; }

    /// <summary>Group of the block; default for its own id.</summary>
    public BlockId Group { get; init; }

    /// <summary>Stored form of the payload.</summary>
    public byte Codec { get; init; }

    /// <summary>Bytes of the payload.</summary>
    public int Length { get; init; }

    /// <summary>CRC32C of the payload.</summary>
    public uint PayloadCrc { get; init; }

    /// <summary>When the block expires, in ms since 1970; 0 for never.</summary>
    public long ExpiryUnixMs { get; init; }
}

/// <summary>What recovery found.</summary>
/// <param name="Clean">True when the log was closed in order.</param>
/// <param name="Records">Records passed on.</param>
/// <param name="CorruptRecords">Records that failed their check; they are not passed on.</param>
/// <param name="BytesCut">Bytes behind the log's end that were cut off; those of segments that were removed whole are not counted.</param>
/// <param name="BytesScanned">Bytes of the data segments that had to be read because no index of them was written.</param>
/// <param name="Elapsed">Time it took.</param>
public sealed record RecoverySummary(bool Clean, long Records, long CorruptRecords, long BytesCut, long BytesScanned, TimeSpan Elapsed)
{
    /// <summary>
    /// Address after the last damage among the records that were committed; 0 when they are all there. What is gone may have replaced or
    /// deleted anything that was written before it.
    /// </summary>
    public long DamageEnd { get; init; }
}

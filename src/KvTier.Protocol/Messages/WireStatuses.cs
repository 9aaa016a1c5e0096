namespace KvTier.Protocol;

/// <summary>How a block of a get is answered: a hit, or the number of a <see cref="MissReason"/>.</summary>
public enum GetStatus : byte
{
    /// <summary>Hit in host memory.</summary>
    HostHit = 0,

    /// <summary>Miss: <see cref="MissReason.NeverStored"/>.</summary>
    NeverStored = 1,

    /// <summary>Miss: <see cref="MissReason.Evicted"/>.</summary>
    Evicted = 2,

    /// <summary>Miss: <see cref="MissReason.Expired"/>.</summary>
    Expired = 3,

    /// <summary>Miss: <see cref="MissReason.Deleted"/>.</summary>
    Deleted = 4,

    /// <summary>Miss: <see cref="MissReason.Corrupt"/>.</summary>
    Corrupt = 5,

    /// <summary>Miss: <see cref="MissReason.Deadline"/>.</summary>
    Deadline = 6,

    /// <summary>Miss: <see cref="MissReason.NotSealed"/>.</summary>
    NotSealed = 7,

    /// <summary>Miss: <see cref="MissReason.ShuttingDown"/>.</summary>
    ShuttingDown = 8,

    /// <summary>Miss: <see cref="MissReason.Moved"/>.</summary>
    Moved = 9,

    /// <summary>Miss: <see cref="MissReason.OwnerLost"/>.</summary>
    OwnerLost = 10,

    /// <summary>Hit that had to be read from the SSD log.</summary>
    SsdHit = 128,
}

/// <summary>Facts about <see cref="GetStatus"/>.</summary>
public static class GetStatusExtensions
{
    /// <summary>True for <see cref="GetStatus.HostHit"/> and <see cref="GetStatus.SsdHit"/>.</summary>
    public static bool IsHit(this GetStatus status) => status is GetStatus.HostHit or GetStatus.SsdHit;

    /// <summary>Why it is a miss; <see cref="MissReason.None"/> for a hit. May be a reason that this version does not know.</summary>
    public static MissReason Reason(this GetStatus status) => status.IsHit() ? MissReason.None : (MissReason)status;

    /// <summary>The status of a miss.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The reason is <see cref="MissReason.None"/> or above 127.</exception>
    public static GetStatus ToGetStatus(this MissReason reason)
    {
        if (reason == MissReason.None || (byte)reason >= 128) throw new ArgumentOutOfRangeException(nameof(reason), reason, "not a miss");
        return (GetStatus)reason;
    }

    /// <summary>The status of a hit answered by a tier.</summary>
    public static GetStatus HitFrom(TierSet source) => source == TierSet.Ssd ? GetStatus.SsdHit : GetStatus.HostHit;
}

/// <summary>What became of a block of a put or commit.</summary>
public enum PutItemStatus : byte
{
    /// <summary>Stored.</summary>
    Stored = 0,

    /// <summary>It was here already.</summary>
    Present = 1,

    /// <summary>Refused; the response's error says why for the first one.</summary>
    Refused = 2,

    /// <summary>Another silo owns its group; nothing was done.</summary>
    Moved = 3,
}

/// <summary>What became of a reservation.</summary>
public enum ReserveStatus : byte
{
    /// <summary>Reserved: write it, then commit or abort.</summary>
    Reserved = 0,

    /// <summary>The block is here already; nothing to write.</summary>
    Present = 1,

    /// <summary>Refused; the response's error says why for the first one.</summary>
    Refused = 2,

    /// <summary>Another silo owns its group; nothing was done.</summary>
    Moved = 3,
}

/// <summary>What became of a block of a delete, pin, unpin, touch or prefetch.</summary>
public enum ItemStatus : byte
{
    /// <summary>Not here.</summary>
    NotHere = 0,

    /// <summary>Done.</summary>
    Done = 1,

    /// <summary>Another silo owns its group; nothing was done.</summary>
    Moved = 2,
}

/// <summary>Flags of a put or reserve.</summary>
[Flags]
public enum PutFlags : byte
{
    /// <summary>A block that is here stays.</summary>
    None = 0,

    /// <summary>A block that is here is replaced.</summary>
    Overwrite = 1,
}

/// <summary>Flags of a local get.</summary>
[Flags]
public enum LocalGetFlags : byte
{
    /// <summary>The client computes the checks of what it copies, or takes the leases' bytes as they are.</summary>
    None = 0,

    /// <summary>The silo computes the checks of the bytes before it answers, and says so of each hit.</summary>
    CheckBySilo = 1,
}

/// <summary>Flags of a local commit.</summary>
[Flags]
public enum CommitFlags : byte
{
    /// <summary>Each item's check is compared with what lies in its slot.</summary>
    None = 0,

    /// <summary>The items have no checks (0): the silo computes them of what lies in the slots.</summary>
    ChecksBySilo = 1,
}

/// <summary>Flags of a prefix.</summary>
[Flags]
public enum PrefixFlags : byte
{
    /// <summary>Only count.</summary>
    None = 0,

    /// <summary>Touch the blocks counted.</summary>
    Touch = 1,
}

/// <summary>Bounds of fields that <see cref="Limits"/> leaves to the protocol.</summary>
public static class WireBounds
{
    /// <summary>Longest time to live, in ms: 100 years of 365 days.</summary>
    public const long TtlMsMax = 100L * 365 * 86_400_000;

    /// <summary>Longest client or silo name and version, in bytes of UTF-8.</summary>
    public const int NameBytesMax = 256;

    /// <summary>Longest token, in bytes of UTF-8.</summary>
    public const int TokenBytesMax = 4096;

    /// <summary>Longest path of a shared arena, in bytes of UTF-8.</summary>
    public const int PathBytesMax = 4096;

    /// <summary>Longest text of an error, in bytes of UTF-8; longer ones are cut when they are written.</summary>
    public const int ErrorTextBytesMax = 1024;

    /// <summary>Longest name of a sequence, in bytes of UTF-8.</summary>
    public const int SequenceNameBytesMax = 256;

    /// <summary>Most digests that one sequence keeps.</summary>
    public const int SequenceDigestsMax = 8;

    /// <summary>Most sequences in one page of a list.</summary>
    public const int SequencePageMax = 1024;

    /// <summary>Most items of one recall.</summary>
    public const int RecallItemsMax = 65_536;

    /// <summary>Most queries in the window of a recall (W).</summary>
    public const int RecallWindowMax = 1024;

    /// <summary>Most query heads of a recall (Hq).</summary>
    public const int RecallQueryHeadsMax = 65_536;

    /// <summary>Most bytes of the queries of one recall: 16 MiB.</summary>
    public const int RecallQueryBytesMax = 16 << 20;

    /// <summary>Longest address of a listener, in bytes of UTF-8.</summary>
    public const int EndpointBytesMax = 512;

    /// <summary>Most groups that a map says were moved.</summary>
    public const int MovedGroupsMax = 65_536;

    /// <summary>Most bytes of the payload of a call between silos or of its answer: 64 MiB.</summary>
    public const int PeerPayloadBytesMax = 64 << 20;

    /// <summary>Longest verb of an operator, in bytes of UTF-8.</summary>
    public const int VerbBytesMax = 64;

    /// <summary>Most arguments of a verb.</summary>
    public const int VerbArgumentsMax = 16;

    /// <summary>Longest argument of a verb, in bytes of UTF-8.</summary>
    public const int VerbArgumentBytesMax = 1024;

    /// <summary>Longest text that an engine says of itself, in bytes of UTF-8.</summary>
    public const int EngineTextBytesMax = 256;

    /// <summary>Most fields that an engine says of itself.</summary>
    public const int EngineFieldsMax = 32;

    /// <summary>Most differences in one answer.</summary>
    public const int EngineDifferencesMax = 256;

    /// <summary>Longest text that tells what to set, or why blocks are worth loading, in bytes of UTF-8.</summary>
    public const int EngineFixBytesMax = 1024;

    /// <summary>Longest hash of a block in an engine.</summary>
    public const int EventHashBytesMax = 64;

    /// <summary>Most tokens of a block in an engine.</summary>
    public const int EventTokensMax = 4096;

    /// <summary>Most bytes of what else went into the hash of a block.</summary>
    public const int EventExtraBytesMax = 4096;

    /// <summary>Most rows of a region.</summary>
    public const int RegionBlocksMax = int.MaxValue;

    /// <summary>Most bytes of a region's file: 64 TiB.</summary>
    public const long RegionBytesMax = 1L << 46;

    /// <summary>What the stride of a region's rows is a multiple of, in bytes.</summary>
    public const int RegionAlignment = 4096;

    /// <summary>Most regions that one connection has open.</summary>
    public const int RegionsMax = 64;

    /// <summary>The namespace whose id of the key <see cref="ProbeKey"/> is compared in the handshake.</summary>
    public static NamespaceDescriptor ProbeNamespace { get; } = new("default", Profiles.Opaque);

    /// <summary>The key whose id is compared in the handshake.</summary>
    public static ReadOnlySpan<byte> ProbeKey => "kvtier"u8;

    /// <summary>The id of <see cref="ProbeKey"/> as this process computes it.</summary>
    public static BlockId Probe { get; } = BlockId.Compute(ProbeNamespace.Id, ProbeKey);
}

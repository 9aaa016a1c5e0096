namespace KvTier.Engine;

/// <summary>A block that is about to be stored.</summary>
public readonly ref struct PutRequest
{
    /// <summary>Handle of the namespace, from <see cref="BlockEngine.OpenNamespace"/>.</summary>
    public required ushort Namespace { get; init; }

    /// <summary>
    /// The block's id; must be <see cref="BlockId.Compute"/> of namespace and key, which the engine trusts its caller to have checked.
    /// </summary>
    public required BlockId Id { get; init; }

    /// <summary>The key.</summary>
    public required ReadOnlySpan<byte> Key { get; init; }

    /// <summary>Bytes of the payload, 0 to <see cref="Limits.BlockBytesMax"/>.</summary>
    public required int Length { get; init; }

    /// <summary>The placement unit that the block belongs to, within its namespace; default for the block's own id.</summary>
    public BlockId Group { get; init; }

    /// <summary>Stored form of the payload; 0 is raw.</summary>
    public byte Codec { get; init; }

    /// <summary>When the block expires, in ms since 1970; 0 for never.</summary>
    public long ExpiryUnixMs { get; init; }

    /// <summary>True to replace a block that is there (RESP); false to leave it, as content-addressed blocks are (the default).</summary>
    public bool Overwrite { get; init; }
}

/// <summary>How a put begins.</summary>
public enum PutBegin : byte
{
    /// <summary>A slot is reserved: write it, then seal or abort.</summary>
    Reserved,

    /// <summary>The block is here already and was touched; nothing to write.</summary>
    Present,

    /// <summary>No slot could be freed before the deadline; <see cref="ErrorCode.HostFull"/>.</summary>
    HostFull,

    /// <summary>The engine is shutting down.</summary>
    ShuttingDown,
}

/// <summary>
/// A slot that is being written. Ends by <see cref="BlockEngine.Seal"/> or <see cref="BlockEngine.Abort"/>, exactly once.
/// </summary>
/// <param name="Slot">Number of the slot in the engine's table.</param>
/// <param name="Generation">Tells this use of the slot from earlier ones.</param>
/// <param name="Offset">First byte in the arena.</param>
/// <param name="Capacity">Bytes that may be written there, at least the block's length.</param>
/// <param name="Length">Bytes of the block.</param>
public readonly record struct Reservation(int Slot, uint Generation, long Offset, int Capacity, int Length);

/// <summary>What became of a seal.</summary>
public enum SealStatus : byte
{
    /// <summary>The block is stored.</summary>
    Stored,

    /// <summary>Another put of the same block was sealed first; this one's bytes were dropped.</summary>
    Present,

    /// <summary>The reservation is unknown or was revoked.</summary>
    Unknown,
}

/// <summary>A sealed block held in host memory for reading. Ends by <see cref="BlockEngine.Release"/>, exactly once.</summary>
/// <param name="Slot">Number of the slot in the engine's table; -1 for an empty block.</param>
/// <param name="Generation">Tells this use of the slot from earlier ones.</param>
/// <param name="Offset">First byte in the arena.</param>
/// <param name="Length">Bytes of the block.</param>
/// <param name="PayloadCrc">CRC32C of them.</param>
/// <param name="Codec">Stored form; 0 is raw.</param>
/// <param name="Source">The tier that answered: host, or SSD when the block had to be read.</param>
public readonly record struct BlockLease(int Slot, uint Generation, long Offset, int Length, uint PayloadCrc, byte Codec, TierSet Source);

/// <summary>A lease, or why there is none.</summary>
/// <param name="Reason"><see cref="MissReason.None"/> when there is a lease.</param>
/// <param name="Lease">The lease.</param>
public readonly record struct LeaseResult(MissReason Reason, BlockLease Lease);

/// <summary>What is known of a block.</summary>
/// <param name="Tiers">Where it is; <see cref="TierSet.None"/> for a miss.</param>
/// <param name="Reason">Why it is a miss.</param>
/// <param name="Length">Bytes.</param>
/// <param name="PayloadCrc">CRC32C of them.</param>
/// <param name="Codec">Stored form.</param>
/// <param name="ExpiryUnixMs">When it expires, in ms since 1970; 0 for never.</param>
/// <param name="PinnedUntilUnixMs">Until when it is pinned; 0 when it is not.</param>
/// <param name="Durable">True when its log record is committed.</param>
public readonly record struct BlockInfo(
    TierSet Tiers, MissReason Reason, int Length, uint PayloadCrc, byte Codec, long ExpiryUnixMs, long PinnedUntilUnixMs, bool Durable)
{
    /// <summary>Its group; default for a miss.</summary>
    public BlockId Group { get; init; }
}

/// <summary>A block as <see cref="BlockEngine.Walk"/> finds it.</summary>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Id">The block.</param>
/// <param name="Group">Its group.</param>
/// <param name="Length">Bytes of it.</param>
public readonly record struct EngineBlock(ushort Namespace, BlockId Id, BlockId Group, int Length);

/// <summary>A group as <see cref="BlockEngine.WalkGroups"/> finds it.</summary>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Group">The group.</param>
/// <param name="Blocks">Blocks of it that are here.</param>
/// <param name="Bytes">Bytes of them, each block once, in whatever tier.</param>
public readonly record struct EngineGroup(ushort Namespace, BlockId Group, long Blocks, long Bytes);

/// <summary>How the engine is set up.</summary>
public sealed record EngineOptions
{
    /// <summary>Limits on requests.</summary>
    public Limits Limits { get; init; } = Limits.Default;

    /// <summary>Most blocks in host memory; 0 for as many as the arena holds. Default 0.</summary>
    public long HostBlocksMax { get; init; }

    /// <summary>Victim order of the host tier: <c>lru</c> or <c>s3fifo</c>. Default <c>lru</c>.</summary>
    public string Policy { get; init; } = "lru";

    /// <summary>Blocks that the ghost list remembers after eviction from the host tier. Default 65,536; 0 switches it off.</summary>
    public int GhostBlocks { get; init; } = 65_536;

    /// <summary>Ids of which the reason of their going is remembered. Default 1,048,576.</summary>
    public int MissLedgerEntries { get; init; } = 1 << 20;

    /// <summary>Longest a put waits for a slot, in ms. Default 10,000.</summary>
    public int PutWaitMs { get; init; } = 10_000;

    /// <summary>Bytes that one write-behind batch takes at most. Default 64 MiB.</summary>
    public long WriteBatchBytes { get; init; } = 64L << 20;

    /// <summary>SSD reads at one time. Default 16.</summary>
    public int SsdReadsMax { get; init; } = 16;

    /// <summary>
    /// How long the log may refuse records, in ms, before blocks that are only in host memory may be evicted for others. Default 1,000.
    /// </summary>
    public int LogRefusedGraceMs { get; init; } = 1000;

    /// <summary>Bytes of host memory that slots without a block may take at one time; 0 for a quarter of the arena. Default 0.</summary>
    public long ScratchBytesMax { get; init; }

    /// <summary>Checks every option.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (HostBlocksMax < 0) return KvError.InvalidArgument("hostBlocksMax", HostBlocksMax, "0 or more");
        if (Policy is not ("lru" or "s3fifo")) return KvError.InvalidArgument("policy", Policy, "lru or s3fifo");
        if (GhostBlocks is < 0 or > 1 << 28) return KvError.InvalidArgument("ghostBlocks", GhostBlocks, "0 to 268435456");
        if (MissLedgerEntries is < 0 or > 1 << 28) return KvError.InvalidArgument("missLedgerEntries", MissLedgerEntries, "0 to 268435456");
        if (PutWaitMs < 0) return KvError.InvalidArgument("putWaitMs", PutWaitMs, "0 or more");
        if (WriteBatchBytes < 1) return KvError.InvalidArgument("writeBatchBytes", WriteBatchBytes, "1 or more");
        if (ScratchBytesMax < 0) return KvError.InvalidArgument("scratchBytesMax", ScratchBytesMax, "0 or more");
        if (SsdReadsMax < 1) return KvError.InvalidArgument("ssdReadsMax", SsdReadsMax, "1 or more");
        if (LogRefusedGraceMs < 0) return KvError.InvalidArgument("logRefusedGraceMs", LogRefusedGraceMs, "0 or more");
        return Limits.KeyBytesMax is < 1 or > 512
            ? KvError.InvalidArgument("limits.keyBytesMax", Limits.KeyBytesMax, "1 to 512")
            : null;
    }
}

/// <summary>Figures of the engine at one moment.</summary>
public sealed record EngineStats
{
    /// <summary>Blocks in host memory.</summary>
    public long HostBlocks { get; init; }

    /// <summary>Bytes of them, by payload length.</summary>
    public long HostBytes { get; init; }

    /// <summary>Bytes of slots taken, by slot capacity.</summary>
    public long HostSlotBytes { get; init; }

    /// <summary>Bytes of the host arena.</summary>
    public long HostCapacityBytes { get; init; }

    /// <summary>Blocks in the log.</summary>
    public long SsdBlocks { get; init; }

    /// <summary>Payload bytes of them.</summary>
    public long SsdBytes { get; init; }

    /// <summary>The log's own figures; null when there is no SSD tier.</summary>
    public LogStatus? Log { get; init; }

    /// <summary>Blocks not yet in the log though they should be.</summary>
    public long DirtyBlocks { get; init; }

    /// <summary>Slots leased now.</summary>
    public long LeasedSlots { get; init; }

    /// <summary>Slots being written now.</summary>
    public long ReservedSlots { get; init; }

    /// <summary>Slots that belong to no block, leased now.</summary>
    public long ScratchSlots { get; init; }

    /// <summary>Bytes of them, by slot capacity.</summary>
    public long ScratchBytes { get; init; }

    /// <summary>Blocks of which the device tier has a copy.</summary>
    public long DeviceBlocks { get; init; }

    /// <summary>Copies in host memory that were let go by request.</summary>
    public long Demotions { get; init; }

    /// <summary>Blocks pinned now.</summary>
    public long PinnedBlocks { get; init; }

    /// <summary>Blocks put and stored since start.</summary>
    public long Puts { get; init; }

    /// <summary>Puts of blocks that were here.</summary>
    public long PutsPresent { get; init; }

    /// <summary>Gets answered from host memory.</summary>
    public long HostHits { get; init; }

    /// <summary>Gets answered from the log.</summary>
    public long SsdHits { get; init; }

    /// <summary>Blocks of which ranges were read from host memory.</summary>
    public long RangeReadsHost { get; init; }

    /// <summary>Blocks of which ranges were read from the log.</summary>
    public long RangeReadsSsd { get; init; }

    /// <summary>Bytes that the device read for ranges.</summary>
    public long RangeDeviceBytes { get; init; }

    /// <summary>Misses by <see cref="MissReason"/>, indexed by its number.</summary>
    public IReadOnlyList<long> Misses { get; init; } = [];

    /// <summary>Misses that a host tier larger by the ghost list's size would have hit.</summary>
    public long GhostHits { get; init; }

    /// <summary>Blocks that left host memory for others.</summary>
    public long HostEvictions { get; init; }

    /// <summary>Blocks that left the log with their segment.</summary>
    public long SsdEvictions { get; init; }

    /// <summary>Blocks appended again because their segment was dropped and they were hot, leased or pinned.</summary>
    public long Reappended { get; init; }

    /// <summary>Blocks put into quarantine.</summary>
    public long CorruptBlocks { get; init; }

    /// <summary>Blocks that the log had refused for long and that were evicted from host memory, their only place.</summary>
    public long MemoryOnlyEvictions { get; init; }

    /// <summary>Records found at recovery whose namespace was not registered.</summary>
    public long UnknownNamespaceRecords { get; init; }

    /// <summary>Values of mutable namespaces dropped at recovery, as a damaged record may have replaced them.</summary>
    public long DoubtfulValues { get; init; }

    /// <summary>Appends, commits and reads of the log that failed.</summary>
    public long LogFaults { get; init; }

    /// <summary>Reads of the log that the device failed; each is a miss with reason <see cref="MissReason.Deadline"/> for those who
    /// waited, as the block is still there.</summary>
    public long SsdReadErrors { get; init; }

    /// <summary>Native bytes of index, key store and slot table.</summary>
    public long IndexBytes { get; init; }

    /// <summary>Bytes of the keys stored.</summary>
    public long KeyBytes { get; init; }
}

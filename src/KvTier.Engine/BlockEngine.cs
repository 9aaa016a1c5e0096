using KvTier.Memory;

namespace KvTier.Engine;

/// <summary>
/// One silo's store of blocks: index, host tier, SSD tier, and what moves between them. Thread-safe.
/// </summary>
/// <remarks>One lock guards the index, the slot table, the victim order and the arena; payload bytes move outside it.</remarks>
public sealed class BlockEngine : IAsyncDisposable
{
    /// <summary>Makes an engine over an arena and, where there is an SSD tier, a log. It owns neither.</summary>
    public BlockEngine(EngineOptions options, Arena arena, IBlockLog? log, TimeProvider time) => throw new NotImplementedException();

    /// <summary>Figures at this moment.</summary>
    public EngineStats Stats => throw new NotImplementedException();

    /// <summary>The arena that offsets in reservations and leases refer to.</summary>
    public Arena Arena => throw new NotImplementedException();

    /// <summary>Rebuilds the index from the log. Called once, before <see cref="Start"/>.</summary>
    /// <param name="namespaces">Namespaces registered before the restart; records of others are dropped and counted.</param>
    public RecoverySummary? Recover(IReadOnlyList<NamespaceDescriptor> namespaces) => throw new NotImplementedException();

    /// <summary>Starts write-behind, reclaim and expiry in the background.</summary>
    public void Start() => throw new NotImplementedException();

    /// <summary>Stops taking puts, writes every sealed block to the log, commits, and stops the background work.</summary>
    /// <returns>Null when all is durable (or there is no SSD tier), else what failed or <see cref="ErrorCode.DeadlineExceeded"/>.</returns>
    public ValueTask<KvError?> DrainAsync(TimeSpan deadline) => throw new NotImplementedException();

    /// <summary>Stops the background work without draining.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();

    // ---- namespaces

    /// <summary>Registers a namespace, or finds it when it is registered with the same profile.</summary>
    /// <returns>Its handle, stable until restart; or <see cref="ErrorCode.NamespaceMismatch"/>, naming the field that differs.</returns>
    public Result<ushort> OpenNamespace(NamespaceDescriptor descriptor) => throw new NotImplementedException();

    /// <summary>Every namespace, indexed by its handle.</summary>
    public IReadOnlyList<NamespaceDescriptor> Namespaces => throw new NotImplementedException();

    // ---- put

    /// <summary>Begins a put if that needs no waiting.</summary>
    /// <param name="request">The block.</param>
    /// <param name="begin">The outcome.</param>
    /// <param name="reservation">The slot, when <paramref name="begin"/> is <see cref="PutBegin.Reserved"/>. Write <c>Arena.Slice(Offset, Length)</c>.</param>
    /// <returns>False when no slot is free now: call <see cref="WaitForRoomAsync"/>, then try again.</returns>
    public bool TryBeginPut(in PutRequest request, out PutBegin begin, out Reservation reservation) => throw new NotImplementedException();

    /// <summary>Waits until a slot of a length may be free.</summary>
    /// <returns>False when <see cref="EngineOptions.PutWaitMs"/> or the deadline passed first, or when nothing can ever be freed.</returns>
    public ValueTask<bool> WaitForRoomAsync(int lengthBytes, TimeSpan deadline) => throw new NotImplementedException();

    /// <summary>Seals a written slot: from now on the block is found. The payload's CRC was checked or computed by the caller.</summary>
    /// <param name="reservation">From <see cref="TryBeginPut"/>.</param>
    /// <param name="payloadCrc">CRC32C of the bytes written.</param>
    /// <param name="ticket">For <see cref="WaitDurableAsync"/>; covers this block and all sealed before.</param>
    public SealStatus Seal(in Reservation reservation, uint payloadCrc, out long ticket) => throw new NotImplementedException();

    /// <summary>Gives a reservation back unsealed.</summary>
    public void Abort(in Reservation reservation) => throw new NotImplementedException();

    /// <summary>A ticket that covers everything sealed, deleted or changed so far.</summary>
    public long CurrentTicket => throw new NotImplementedException();

    /// <summary>Waits until everything up to a ticket is committed in the log.</summary>
    /// <returns>Null when it is; else <see cref="ErrorCode.DiskFull"/>, <see cref="ErrorCode.IoError"/>, <see cref="ErrorCode.DeadlineExceeded"/>,
    /// <see cref="ErrorCode.ShuttingDown"/>, or <see cref="ErrorCode.Unsupported"/> without an SSD tier.</returns>
    public ValueTask<KvError?> WaitDurableAsync(long ticket, TimeSpan deadline) => throw new NotImplementedException();

    // ---- get

    /// <summary>Leases a block that is in host memory, and touches it.</summary>
    /// <returns><see cref="MissReason.None"/> with a lease; <see cref="MissReason.Deadline"/> when the block is on SSD only, which
    /// <see cref="LeaseAsync"/> would read; else why it is not here. Misses are counted by <see cref="LeaseAsync"/> and by this call alike,
    /// except for <see cref="MissReason.Deadline"/>.</returns>
    public MissReason TryLease(ushort ns, BlockId id, out BlockLease lease) => throw new NotImplementedException();

    /// <summary>Leases a block, reading it from the log when it is not in host memory. One read serves all who wait for the block.</summary>
    public ValueTask<LeaseResult> LeaseAsync(ushort ns, BlockId id, TimeSpan deadline) => throw new NotImplementedException();

    /// <summary>Gives a lease back.</summary>
    public void Release(in BlockLease lease) => throw new NotImplementedException();

    /// <summary>How many of these ordered ids are here without a gap from the first one on.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="tiers">For each id counted, where it is; may be empty when the caller does not care.</param>
    /// <param name="touch">True to touch each block counted.</param>
    public int Prefix(ushort ns, ReadOnlySpan<BlockId> ids, Span<TierSet> tiers, bool touch) => throw new NotImplementedException();

    /// <summary>What is known of a block. Counts neither hit nor miss.</summary>
    public BlockInfo Describe(ushort ns, BlockId id) => throw new NotImplementedException();

    /// <summary>Copies a block's key.</summary>
    /// <returns>Its length; -1 when the block is not here. Nothing is copied when the destination is too small.</returns>
    public int CopyKey(ushort ns, BlockId id, Span<byte> destination) => throw new NotImplementedException();

    // ---- changes

    /// <summary>Deletes a block. Readers that hold a lease keep their bytes.</summary>
    /// <returns>False when it was not here.</returns>
    public bool Delete(ushort ns, BlockId id) => throw new NotImplementedException();

    /// <summary>Keeps a block from eviction (host and SSD) until a time, at most <see cref="Limits.PinMsMax"/> from now. A later pin replaces an earlier one.</summary>
    /// <returns>False when the block is not here.</returns>
    public bool Pin(ushort ns, BlockId id, long untilUnixMs) => throw new NotImplementedException();

    /// <summary>Ends a pin.</summary>
    /// <returns>False when the block is not here or not pinned.</returns>
    public bool Unpin(ushort ns, BlockId id) => throw new NotImplementedException();

    /// <summary>Marks a block as used now.</summary>
    /// <returns>False when it is not here.</returns>
    public bool Touch(ushort ns, BlockId id) => throw new NotImplementedException();

    /// <summary>Starts reading a block into host memory; does nothing when it is there.</summary>
    /// <returns>False when it is not here, or when the reads in flight are at their limit.</returns>
    public bool Prefetch(ushort ns, BlockId id) => throw new NotImplementedException();

    /// <summary>Sets when a block expires, in ms since 1970; 0 for never.</summary>
    /// <returns>False when it is not here.</returns>
    public bool SetExpiry(ushort ns, BlockId id, long expiryUnixMs) => throw new NotImplementedException();

    // ---- walking a namespace (RESP and administration)

    /// <summary>Blocks of a namespace.</summary>
    public long Count(ushort ns) => throw new NotImplementedException();

    /// <summary>Walks a namespace. A block that stays is seen exactly once by a walk from 0 to 0; one that comes or goes meanwhile may or may not be.</summary>
    /// <param name="ns">The namespace.</param>
    /// <param name="cursor">0 to begin; then what the last call returned.</param>
    /// <param name="ids">Takes up to its length of ids.</param>
    /// <param name="found">Ids taken.</param>
    /// <returns>The next cursor; 0 at the end.</returns>
    public long Scan(ushort ns, long cursor, Span<BlockId> ids, out int found) => throw new NotImplementedException();

    /// <summary>A block picked at random.</summary>
    /// <returns>False when the namespace is empty.</returns>
    public bool TryPickRandom(ushort ns, out BlockId id) => throw new NotImplementedException();

    /// <summary>Deletes every block of a namespace.</summary>
    /// <returns>How many.</returns>
    public long Clear(ushort ns) => throw new NotImplementedException();
}

using KvTier.Cluster;
using KvTier.Engine;

namespace KvTier.Silo.Clustering;

/// <summary>The silo's engine as the cluster's parts see it. Thread-safe; it starts no thread and changes to none.</summary>
/// <param name="engine">The engine.</param>
/// <param name="openNamespace">Registers a namespace, durably where the silo has a data directory.</param>
/// <param name="limits">Limits on what other silos may bring.</param>
/// <param name="time">The clock of the deadlines.</param>
internal sealed class EngineBlockStore(
    BlockEngine engine, Func<NamespaceDescriptor, Result<ushort>> openNamespace, Limits limits, TimeProvider time) : IBlockStore
{
    /// <summary>Blocks of a walk that are taken from the engine at one time.</summary>
    private const int WalkStep = 512;

    /// <summary>Bytes of a read, unless a single block has more or an eighth of host memory is less.</summary>
    private const long ReadBytesMax = 16 << 20;

    /// <inheritdoc/>
    public IReadOnlyList<NamespaceDescriptor> Namespaces => engine.Namespaces;

    /// <inheritdoc/>
    public Result<ushort> OpenNamespace(NamespaceDescriptor descriptor) => openNamespace(descriptor);

    /// <inheritdoc/>
    public bool Has(ushort ns, BlockId id) => engine.Describe(ns, id).Reason == MissReason.None;

    /// <inheritdoc/>
    public async ValueTask<StoredBlocks> ReadAsync(ushort ns, ReadOnlyMemory<BlockId> ids, TimeSpan deadline)
    {
        // Several are asked for at once, so that the device reads them together and the deadline counts for all of them; but no more than
        // host memory has room for, or each would wait for what the others hold.
        var reads = new ValueTask<LeaseResult>[CountThatFit(ns, ids.Span)];
        for (int i = 0; i < reads.Length; i++) reads[i] = engine.LeaseQuietlyAsync(ns, ids.Span[i], deadline);
        var blocks = new List<StoredBlock>(reads.Length);
        var leases = new List<BlockLease>(reads.Length);
        for (int i = 0; i < reads.Length; i++)
        {
            LeaseResult result = await reads[i];
            if (result.Reason != MissReason.None) continue;
            leases.Add(result.Lease);
            if (TryFill(ns, ids.Span[i], result.Lease) is { } block) blocks.Add(block);
        }

        return new StoredBlocks(blocks, () =>
        {
            foreach (BlockLease lease in leases) engine.Release(lease);
        }, reads.Length);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> SyncAsync(TimeSpan deadline) =>
        await engine.WaitDurableAsync(engine.CurrentTicket, deadline) is not { } error || error.Code == ErrorCode.Unsupported;

    /// <inheritdoc/>
    public async ValueTask<Result<bool>> PutAsync(ushort ns, StoredBlock block, TimeSpan deadline)
    {
        if (Check(ns, block) is { } refusal) return refusal;
        long start = time.GetTimestamp();
        while (true)
        {
            if (engine.TryBeginPut(RequestOf(ns, block), out PutBegin begin, out Reservation reservation))
            {
                return begin switch
                {
                    PutBegin.Reserved => Store(block, reservation),
                    PutBegin.Present => false,
                    _ => new KvError(ErrorCode.ShuttingDown, "silo", "draining", "a silo that takes blocks"),
                };
            }

            TimeSpan left = deadline - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero || !await engine.WaitForRoomAsync(block.Payload.Length, left))
            {
                return new KvError(ErrorCode.HostFull, "block.length", $"{block.Payload.Length}",
                    $"{engine.Arena.CapacityBytes} bytes of host memory, all leased, pinned or not yet in the log");
            }
        }
    }

    /// <inheritdoc/>
    public void Drop(ushort ns, BlockId id, MissReason reason) => engine.Drop(ns, id, reason);

    /// <inheritdoc/>
    public long Walk(long cursor, Span<WalkedBlock> found, out int count)
    {
        Span<EngineBlock> step = stackalloc EngineBlock[Math.Min(found.Length, WalkStep)];
        long next = engine.Walk(cursor, step, out count);
        for (int i = 0; i < count; i++) found[i] = new WalkedBlock(step[i].Namespace, step[i].Id, step[i].Group, step[i].Length);
        return next;
    }

    private int CountThatFit(ushort ns, ReadOnlySpan<BlockId> ids)
    {
        long budget = Math.Min(ReadBytesMax, engine.Arena.CapacityBytes / 8);
        int count = 0;
        for (long bytes = 0; count < ids.Length; count++)
        {
            BlockInfo info = engine.Describe(ns, ids[count]);
            if (info.Reason != MissReason.None) continue;
            if (bytes > 0 && bytes + info.Length > budget) break;
            bytes += Math.Max(1, info.Length);
        }

        return count;
    }

    private static PutRequest RequestOf(ushort ns, StoredBlock block) => new()
    {
        Namespace = ns,
        Id = block.Id,
        Group = block.Group,
        Key = block.Key.Span,
        Length = block.Payload.Length,
        Codec = block.Codec,
        ExpiryUnixMs = block.ExpiryUnixMs,
    };

    // What belongs to a block beside its bytes. A block that was replaced since it was leased is left out: the new one is another's news.
    private StoredBlock? TryFill(ushort ns, BlockId id, in BlockLease lease)
    {
        BlockInfo info = engine.Describe(ns, id);
        int keyLength = engine.CopyKey(ns, id, []);
        bool isSame = info.Reason == MissReason.None && info.PayloadCrc == lease.PayloadCrc && info.Length == lease.Length;
        if (!isSame || keyLength < 0) return null;
        var key = new byte[keyLength];
        if (engine.CopyKey(ns, id, key) != keyLength) return null;
        ReadOnlyMemory<byte> payload = lease.Length == 0 ? default : engine.Arena.Slice(lease.Offset, lease.Length);
        return new StoredBlock(id, info.Group, key, lease.Codec, lease.PayloadCrc, info.ExpiryUnixMs, payload);
    }

    private KvError? Check(ushort ns, StoredBlock block)
    {
        IReadOnlyList<NamespaceDescriptor> known = engine.Namespaces;
        if (ns >= known.Count) return new KvError(ErrorCode.NamespaceUnknown, "namespace", $"{ns}", "a handle of this silo");
        int length = block.Payload.Length;
        if (block.Key.Length > limits.KeyBytesMax)
            return KvError.LimitExceeded("block.key", block.Key.Length, limits.KeyBytesMax);
        if (length > limits.BlockBytesMax) return KvError.LimitExceeded("block.length", length, limits.BlockBytesMax);
        long whole = known[ns].Profile.BlockBytes;
        if (block.Codec == 0 && whole != 0 && whole != length)
            return KvError.InvalidArgument("block.length", length, $"{whole}, the block of {known[ns].Name}");
        BlockId id = BlockId.Compute(known[ns].Id, block.Key.Span);
        return id == block.Id ? null : new KvError(ErrorCode.Corrupt, "block.id", $"{block.Id}", $"{id}, that of its key");
    }

    // The check is over the copy, so that a byte that changes on the way is found too.
    private Result<bool> Store(StoredBlock block, in Reservation reservation)
    {
        Span<byte> slot = reservation.Length == 0 ? default : engine.Arena.Slice(reservation.Offset, reservation.Length).Span;
        block.Payload.Span.CopyTo(slot);
        uint crc = Crc32C.Compute(slot);
        if (crc != block.PayloadCrc)
        {
            engine.Abort(reservation);
            return new KvError(ErrorCode.Corrupt, "block.check", $"{block.PayloadCrc:X8}", $"{crc:X8}, that of the bytes");
        }

        return engine.Seal(reservation, crc, out _) switch
        {
            SealStatus.Stored => true,
            SealStatus.Present => false,
            _ => new KvError(ErrorCode.LeaseExpired, "block", "revoked", "a reservation that is held"),
        };
    }
}

namespace KvTier.Cluster;

/// <summary>
/// The silo's own blocks, as the cluster sees them. Thread-safe. The engine is behind it in a silo and in the simulation alike.
/// </summary>
public interface IBlockStore
{
    /// <summary>The namespaces by handle.</summary>
    IReadOnlyList<NamespaceDescriptor> Namespaces { get; }

    /// <summary>Opens a namespace, registering it when it is new here.</summary>
    Result<ushort> OpenNamespace(NamespaceDescriptor descriptor);

    /// <summary>True when a block is here, in whatever tier, sealed.</summary>
    bool Has(ushort ns, BlockId id);

    /// <summary>
    /// Reads blocks in their order, from the SSD where they are only there, and ends after as many bytes as the store holds at once, though
    /// not before the first block that is here. What is not here is left out; what was not come to is asked for again.
    /// </summary>
    /// <returns>The blocks, whose memory stays until the read is disposed.</returns>
    ValueTask<StoredBlocks> ReadAsync(ushort ns, ReadOnlyMemory<BlockId> ids, TimeSpan deadline);

    /// <summary>Stores a block that came from another silo, unless it is here. Bytes that fail their check are refused.</summary>
    /// <returns>True when it was stored, false when it was here; or why it can't be.</returns>
    ValueTask<Result<bool>> PutAsync(ushort ns, StoredBlock block, TimeSpan deadline);

    /// <summary>
    /// Waits until what is sealed by now is as safe as it gets here: committed to the log, where there is one.
    /// </summary>
    /// <returns>False when the time passed first or the log refuses.</returns>
    ValueTask<bool> SyncAsync(TimeSpan deadline) => new(true);

    /// <summary>Deletes a block of which others hold the copies that count.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="id">The block.</param>
    /// <param name="reason">What a later miss of it is put down to.</param>
    void Drop(ushort ns, BlockId id, MissReason reason);

    /// <summary>
    /// Walks all blocks of all namespaces but internal ones, as many as the span takes; one that stays is seen exactly once.
    /// </summary>
    /// <param name="cursor">0 to begin; then what the last call returned.</param>
    /// <param name="found">Takes blocks.</param>
    /// <param name="count">How many were found; may be 0 before the end.</param>
    /// <returns>The next cursor; 0 at the end.</returns>
    long Walk(long cursor, Span<WalkedBlock> found, out int count);
}

/// <summary>A block in a walk.</summary>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Id">The block.</param>
/// <param name="Group">Its group.</param>
/// <param name="Length">Bytes of it.</param>
public readonly record struct WalkedBlock(ushort Namespace, BlockId Id, BlockId Group, int Length);

/// <summary>A block with all that belongs to it.</summary>
/// <param name="Id">The block.</param>
/// <param name="Group">Its group.</param>
/// <param name="Key">Its key.</param>
/// <param name="Codec">Stored form; 0 is raw.</param>
/// <param name="PayloadCrc">CRC32C of the payload.</param>
/// <param name="ExpiryUnixMs">When it expires, in ms since 1970; 0 for never.</param>
/// <param name="Payload">The bytes.</param>
public sealed record StoredBlock(
    BlockId Id, BlockId Group, ReadOnlyMemory<byte> Key, byte Codec, uint PayloadCrc, long ExpiryUnixMs, ReadOnlyMemory<byte> Payload);

/// <summary>Blocks that were read; disposing lets go of their memory.</summary>
/// <param name="blocks">The blocks.</param>
/// <param name="release">Lets go of their memory.</param>
/// <param name="examined">How many of the ids that were asked for were come to. Default all.</param>
public sealed class StoredBlocks(IReadOnlyList<StoredBlock> blocks, Action release, int examined = int.MaxValue) : IDisposable
{
    private Action? release = release;

    /// <summary>The blocks.</summary>
    public IReadOnlyList<StoredBlock> Blocks { get; } = blocks;

    /// <summary>How many of so many ids were come to, from the first on; at least one.</summary>
    public int Examined(int asked) => Math.Clamp(examined, Math.Min(1, asked), asked);

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref release, null)?.Invoke();
}

namespace KvTier.ProcessTests.Interop;

/// <summary>Blocks of a namespace whose bytes follow from their keys and a salt.</summary>
/// <param name="Tenant">Whose they are.</param>
/// <param name="Keys">The keys.</param>
/// <param name="Salt">Other bytes under the same key have another salt.</param>
/// <param name="Length">Bytes of each; not used for a model's.</param>
/// <param name="Prefix">The keys of the whole prefix that they are of; null when each is by itself.</param>
/// <param name="IsModel">True for blocks of <see cref="PeerBytes.Model"/>.</param>
internal sealed record BlockSet(
    string Tenant, string[] Keys, string Salt = "", int Length = 20_000, string[]? Prefix = null, bool IsModel = false)
{
    /// <summary>Blocks <c>name-0</c>, <c>name-1</c> and so on.</summary>
    public static BlockSet Of(string tenant, string name, int count, int length = 20_000) =>
        new(tenant, [.. Enumerable.Range(0, count).Select(i => $"{name}-{i}")], Length: length);
}

/// <summary>
/// A client in one language or another. What becomes of each block is told by the same words: the statuses of puts and the reasons of
/// misses; <c>right</c> or <c>wrong</c> for bytes; <c>void</c> for a lease that does not hold any more. A call that is refused as a whole
/// is told by one word, <c>error</c> and the field.
/// </summary>
internal interface IPeer
{
    /// <summary>Its language, for messages.</summary>
    string Name { get; }

    /// <summary>Stores blocks.</summary>
    Task<string[]> PutAsync(BlockSet blocks, bool overwrite = false);

    /// <summary>Fetches blocks and compares every byte.</summary>
    Task<string[]> GetAsync(BlockSet blocks);

    /// <summary>Deletes blocks: <c>true</c> for each that was there.</summary>
    Task<string[]> DeleteAsync(BlockSet blocks);

    /// <summary>Leases blocks in shared memory, compares every byte, and keeps the leases under a name.</summary>
    Task<string[]> LeaseAsync(string name, BlockSet blocks);

    /// <summary>Compares every byte under leases again.</summary>
    Task<string[]> LeasedAsync(string name, BlockSet blocks);

    /// <summary>Gives leases back.</summary>
    Task ReleaseAsync(string name);

    /// <summary>Id, group and holders of each block, the owner first; no holders outside of a cluster.</summary>
    Task<string[]> PlacementAsync(BlockSet blocks, int copies);

    /// <summary>The silo that owns a sequence; empty outside of a cluster.</summary>
    Task<string> SequenceOwnerAsync(string tenant, string name);

    /// <summary>Appends stored blocks to a sequence, which is opened where it is not.</summary>
    /// <returns>Its blocks and tokens then.</returns>
    Task<string> AppendAsync(string tenant, string name, string[] keys, int tokens);

    /// <summary>Blocks and tokens of a sequence.</summary>
    Task<string> SequenceAsync(string tenant, string name);

    /// <summary>Makes a sequence of another one's first tokens.</summary>
    /// <returns>Its blocks and tokens.</returns>
    Task<string> ForkAsync(string tenant, string name, string into, int tokens);

    /// <summary>Has a sequence forgotten.</summary>
    Task CloseAsync(string tenant, string name);

    /// <summary>Names of all sequences, in order.</summary>
    Task<string[]> SequencesAsync(string tenant);

    /// <summary>Attention over a whole sequence.</summary>
    /// <param name="tenant">Whose it is.</param>
    /// <param name="name">The sequence.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="queries">One query of <see cref="Attention.QueryHeads"/> heads.</param>
    /// <param name="tokens">Its tokens.</param>
    Task<Attention> AttendAsync(string tenant, string name, int layer, float[] queries, int tokens);
}

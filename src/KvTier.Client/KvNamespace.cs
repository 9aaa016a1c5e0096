namespace KvTier.Client;

/// <summary>
/// A namespace on a silo: put, get and everything else that is done with blocks. Thread-safe; made by
/// <see cref="KvTierClient.OpenNamespaceAsync"/>, valid until the client is disposed, reconnects included.
/// </summary>
/// <remarks>
/// <para>Every call returns its outcome as a value: a <see cref="Result{T}"/> with an error such as <see cref="ErrorCode.Unavailable"/> or
/// <see cref="ErrorCode.DeadlineExceeded"/>, and per block a status with the reason of a miss. A call throws only for misuse
/// (<see cref="ArgumentException"/>, <see cref="ObjectDisposedException"/>) and, when its token is cancelled,
/// <see cref="OperationCanceledException"/>; a cancelled call leaves the connection in order.</para>
/// <para>Memory that is passed in belongs to the call until its task has completed. A batch may have up to
/// <see cref="Limits.BatchBlocksMax"/> blocks. Results and statuses are written to memory of the caller, so that a call allocates
/// nothing per block.</para>
/// </remarks>
public sealed partial class KvNamespace
{
    private readonly KvTierClient client;

    internal KvNamespace(KvTierClient client, NamespaceDescriptor descriptor, int index)
    {
        this.client = client;
        Descriptor = descriptor;
        Id = descriptor.Id;
        Index = index;
    }

    /// <summary>Tenant and profile.</summary>
    public NamespaceDescriptor Descriptor { get; }

    /// <summary>The fingerprint.</summary>
    public NamespaceId Id { get; }

    /// <summary>Bytes of every block; 0 for opaque, where each block has its own length.</summary>
    public long BlockBytes => Descriptor.Profile.BlockBytes;

    /// <summary>The client's number of this namespace, counted from 0.</summary>
    internal int Index { get; }

    /// <summary>The id of a key.</summary>
    /// <exception cref="ArgumentException">The key is empty or longer than <see cref="Limits.KeyBytesMax"/> of the defaults.</exception>
    public BlockId IdOf(ReadOnlySpan<byte> key)
    {
        if (key.IsEmpty || key.Length > Limits.Default.KeyBytesMax)
        {
            throw new ArgumentException($"A key has 1 to {Limits.Default.KeyBytesMax} bytes; this one has {key.Length}.", nameof(key));
        }

        return BlockId.Compute(Id, key);
    }

    /// <summary>The ids of keys, in their order.</summary>
    /// <exception cref="ArgumentException">A key is empty or too long, or <paramref name="ids"/> is shorter than
    /// <paramref name="keys"/>.</exception>
    public void IdsOf(ReadOnlySpan<ReadOnlyMemory<byte>> keys, Span<BlockId> ids)
    {
        if (ids.Length < keys.Length) throw new ArgumentException($"Needs room for {keys.Length} ids; has {ids.Length}.", nameof(ids));
        for (int i = 0; i < keys.Length; i++) ids[i] = IdOf(keys[i].Span);
    }
}

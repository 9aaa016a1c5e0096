namespace KvTier;

/// <summary>
/// Where the rows of keys and values lie in a block's payload: <c>[layer][K,V][kv head][token][dim]</c> for GQA,
/// <c>[layer][token][latent]</c> for MLA, where the latent row is key and value at once.
/// </summary>
public readonly record struct BlockLayout
{
    /// <summary>Makes the layout of a profile that is not opaque.</summary>
    /// <exception cref="ArgumentException">The profile is opaque.</exception>
    public BlockLayout(ModelProfile profile)
    {
        if (profile.Kind == AttentionKind.Opaque) throw new ArgumentException("an opaque profile has no layout", nameof(profile));
        Layers = profile.Layers;
        KvHeads = profile.KvHeads;
        HeadDim = profile.HeadDim;
        Dtype = profile.Dtype;
        BlockTokens = profile.BlockTokens;
        SharedRows = profile.Kind == AttentionKind.Mla;
        RowBytes = HeadDim * Dtype.SizeBytes();
        PageBytes = profile.PageBytes;
    }

    /// <summary>Layers (L).</summary>
    public int Layers { get; }

    /// <summary>KV heads (H).</summary>
    public int KvHeads { get; }

    /// <summary>Elements of a row (D), of a key as of a value; the latent width for MLA.</summary>
    public int HeadDim { get; }

    /// <summary>Element type.</summary>
    public Dtype Dtype { get; }

    /// <summary>Tokens of a block (B).</summary>
    public int BlockTokens { get; }

    /// <summary>True when key and value are one row (MLA).</summary>
    public bool SharedRows { get; }

    /// <summary>Bytes of a row.</summary>
    public int RowBytes { get; }

    /// <summary>Bytes of a page: one layer of a block.</summary>
    public long PageBytes { get; }

    /// <summary>Bytes of a block.</summary>
    public long BlockBytes => PageBytes * Layers;

    /// <summary>First byte of a key row in the payload.</summary>
    public long KeyOffset(int layer, int kvHead, int token) =>
        (layer * PageBytes) + ((((long)kvHead * BlockTokens) + token) * RowBytes);

    /// <summary>First byte of a value row in the payload.</summary>
    public long ValueOffset(int layer, int kvHead, int token) =>
        SharedRows ? KeyOffset(layer, kvHead, token) : KeyOffset(layer, kvHead + KvHeads, token);
}

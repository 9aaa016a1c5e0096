namespace KvTier;

/// <summary>How a layer's cache is laid out.</summary>
public enum AttentionKind : byte
{
    /// <summary>No known layout: a block is an opaque byte string of any length.</summary>
    Opaque = 0,

    /// <summary>Multi-head or grouped-query attention: payload <c>[layer][K,V][kv head][token][dim]</c>.</summary>
    Gqa = 1,

    /// <summary>Multi-head latent attention: payload <c>[layer][token][latent]</c>.</summary>
    Mla = 2,
}

/// <summary>Rotary position embedding of the stored keys.</summary>
/// <param name="Theta">Base of the rotation; 0 when keys are stored without rotation information.</param>
/// <param name="ScalingFactor">Factor of the context extension the model was served with; 1 for none.</param>
/// <param name="PreRotation">True when keys are stored before rotation (pre-RoPE).</param>
public readonly record struct RopeParameters(double Theta, double ScalingFactor = 1, bool PreRotation = false);

/// <summary>
/// The shape of a model's KV cache: what a block of it is, in bytes. Part of a namespace's identity.
/// </summary>
/// <remarks>For <see cref="AttentionKind.Mla"/> <see cref="KvHeads"/> is 1 and <see cref="HeadDim"/> is the latent width
/// (compressed KV plus the decoupled RoPE key, 512 + 64 for DeepSeek-V3), stored once and not as K and V.</remarks>
public sealed record ModelProfile
{
    /// <summary>Name of the profile, such as <c>llama-3.1-8b</c>; 1 to 128 characters of <c>[a-z0-9._-]</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Layout of a layer.</summary>
    public required AttentionKind Kind { get; init; }

    /// <summary>Layers (L); 0 for opaque.</summary>
    public int Layers { get; init; }

    /// <summary>KV heads (H); 1 for MLA, 0 for opaque.</summary>
    public int KvHeads { get; init; }

    /// <summary>Head dimension (D); the latent width for MLA, 0 for opaque.</summary>
    public int HeadDim { get; init; }

    /// <summary>Element type; raw for opaque.</summary>
    public Dtype Dtype { get; init; }

    /// <summary>Tokens of one block (B); 0 for opaque.</summary>
    public int BlockTokens { get; init; }

    /// <summary>Rotary embedding of the stored keys.</summary>
    public RopeParameters Rope { get; init; }

    /// <summary>Bytes that one token takes in all layers; 0 for opaque.</summary>
    public long BytesPerToken => Kind switch
    {
        AttentionKind.Gqa => 2L * Layers * KvHeads * HeadDim * Dtype.SizeBytes(),
        AttentionKind.Mla => (long)Layers * HeadDim * Dtype.SizeBytes(),
        _ => 0,
    };

    /// <summary>Bytes of one block, which every block of the namespace has; 0 for opaque, where each block has its own length.</summary>
    public long BlockBytes => BytesPerToken * BlockTokens;

    /// <summary>Bytes of one page (one layer of a block); 0 for opaque.</summary>
    public long PageBytes => Layers == 0 ? 0 : BlockBytes / Layers;

    /// <summary>Checks every field.</summary>
    /// <returns>Null when the profile is valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (!Names.IsValid(Name)) return KvError.InvalidArgument("profile.name", Name, "1 to 128 characters of [a-z0-9._-]");
        if (Kind == AttentionKind.Opaque)
        {
            return Layers == 0 && KvHeads == 0 && HeadDim == 0 && BlockTokens == 0 && Dtype == Dtype.Raw && Rope == default
                ? null
                : KvError.InvalidArgument(
                    "profile.kind", "opaque", "an opaque profile has no layers, heads, dim, block tokens, dtype or rope (all 0)");
        }

        if (Kind is not (AttentionKind.Gqa or AttentionKind.Mla))
            return KvError.InvalidArgument("profile.kind", Kind.ToString(), "opaque, gqa or mla");
        if (!Enum.IsDefined(Dtype) || Dtype == Dtype.Raw)
            return KvError.InvalidArgument("profile.dtype", Dtype.ToString(), "an element type");
        if (Layers is < 1 or > 1024) return KvError.InvalidArgument("profile.layers", Layers, "1 to 1024");
        if (KvHeads is < 1 or > 1024) return KvError.InvalidArgument("profile.kvHeads", KvHeads, "1 to 1024");
        if (Kind == AttentionKind.Mla && KvHeads != 1) return KvError.InvalidArgument("profile.kvHeads", KvHeads, "1 for mla");
        if (HeadDim is < 1 or > 8192) return KvError.InvalidArgument("profile.headDim", HeadDim, "1 to 8192");
        if (BlockTokens is < 1 or > 65536) return KvError.InvalidArgument("profile.blockTokens", BlockTokens, "1 to 65536");
        if (!double.IsFinite(Rope.Theta) || Rope.Theta < 0)
            return KvError.InvalidArgument("profile.rope.theta", Rope.Theta, "0 or more, finite");
        if (!double.IsFinite(Rope.ScalingFactor) || Rope.ScalingFactor <= 0)
            return KvError.InvalidArgument("profile.rope.scaling", Rope.ScalingFactor, "above 0, finite");
        return null;
    }
}

namespace KvTier.Recall;

/// <summary>A sequence that is to be opened.</summary>
public sealed record SequenceOpen
{
    /// <summary>Handle of its namespace, whose profile must not be opaque.</summary>
    public required ushort Namespace { get; init; }

    /// <summary>Its name: 1 to 256 bytes of UTF-8 without control characters, one of its kind in the namespace.</summary>
    public required string Name { get; init; }

    /// <summary>The digests it keeps, 1 to 8. Default moments of 16 tokens in fp16.</summary>
    public IReadOnlyList<DigestSpec> Digests { get; init; } = [Selectors.Moments.Digest];

    /// <summary>How stored keys are to be rotated before use; null when they are stored rotated (post-RoPE), which is the default. Must be
    /// given when the profile says that keys are stored before rotation, and only then.</summary>
    public RopeRotation? Rotation { get; init; }
}

/// <summary>What is known of a sequence.</summary>
public sealed record SequenceInfo
{
    /// <summary>Handle of its namespace.</summary>
    public required ushort Namespace { get; init; }

    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Blocks (the last one may be partly filled).</summary>
    public required int Blocks { get; init; }

    /// <summary>Tokens.</summary>
    public required long Tokens { get; init; }

    /// <summary>The digests it keeps.</summary>
    public required IReadOnlyList<DigestSpec> Digests { get; init; }

    /// <summary>How stored keys are rotated before use; null when they are stored rotated.</summary>
    public RopeRotation? Rotation { get; init; }

    /// <summary>Native bytes of its digests; what it shares with forks is counted in each.</summary>
    public long DigestBytes { get; init; }

    /// <summary>Native bytes of its hot set.</summary>
    public long HotBytes { get; init; }

    /// <summary>Chunks with a NaN or an infinity in a key: always read, never scored.</summary>
    public long QuarantinedChunks { get; init; }

    /// <summary>Bytes of it on the device: digests and blocks.</summary>
    public long DeviceBytes { get; init; }
}

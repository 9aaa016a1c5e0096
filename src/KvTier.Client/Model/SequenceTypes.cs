namespace KvTier.Client;

/// <summary>What a silo knows of a sequence.</summary>
public sealed record SequenceDescription
{
    /// <summary>Its name.</summary>
    public required string Name { get; init; }

    /// <summary>Blocks; the last one may be partly filled.</summary>
    public required int Blocks { get; init; }

    /// <summary>Tokens.</summary>
    public required long Tokens { get; init; }

    /// <summary>The digests it keeps.</summary>
    public required IReadOnlyList<DigestSpec> Digests { get; init; }

    /// <summary>How stored keys are rotated before use; null when they are stored rotated.</summary>
    public RopeRotation? Rotation { get; init; }

    /// <summary>Bytes of its digests in the silo.</summary>
    public long DigestBytes { get; init; }

    /// <summary>Bytes of its hot set.</summary>
    public long HotBytes { get; init; }

    /// <summary>Chunks with a NaN or an infinity in a key: always read, never scored.</summary>
    public long QuarantinedChunks { get; init; }

    /// <summary>Bytes of it on the device.</summary>
    public long DeviceBytes { get; init; }

    internal static SequenceDescription Of(Protocol.SequenceEntry entry) => new()
    {
        Name = entry.Name,
        Blocks = entry.Blocks,
        Tokens = entry.Tokens,
        Digests = entry.Digests,
        Rotation = entry.Rotation,
        DigestBytes = entry.DigestBytes,
        HotBytes = entry.HotBytes,
        QuarantinedChunks = entry.QuarantinedChunks,
        DeviceBytes = entry.DeviceBytes,
    };
}

/// <summary>How a sequence is opened.</summary>
public sealed record SequenceOptions
{
    /// <summary>The digests it keeps, 1 to 8. Default that of <see cref="Selectors.Moments"/>.</summary>
    public IReadOnlyList<DigestSpec> Digests { get; init; } = [Selectors.Moments.Digest];

    /// <summary>How stored keys are to be rotated before use. Must be given when the profile says that keys are stored before rotation,
    /// and only then. Default null.</summary>
    public RopeRotation? Rotation { get; init; }
}

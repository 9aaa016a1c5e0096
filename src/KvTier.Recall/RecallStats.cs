namespace KvTier.Recall;

/// <summary>Figures of recall at one moment; counts are since start.</summary>
public sealed record RecallStats
{
    /// <summary>Sequences now.</summary>
    public long Sequences { get; init; }

    /// <summary>Native bytes of their digests now; what forks share is counted in each.</summary>
    public long DigestBytes { get; init; }

    /// <summary>Chunks of all sequences with a NaN or an infinity in a key: always read, never scored.</summary>
    public long QuarantinedChunks { get; init; }

    /// <summary>Bytes of the hot set now.</summary>
    public long HotBytes { get; init; }

    /// <summary>Recalls that were answered.</summary>
    public long Recalls { get; init; }

    /// <summary>Items of them.</summary>
    public long Items { get; init; }

    /// <summary>Items that an earlier choice served.</summary>
    public long Reused { get; init; }

    /// <summary>Units scored.</summary>
    public long UnitsScored { get; init; }

    /// <summary>Bytes of digests read.</summary>
    public long DigestBytesRead { get; init; }

    /// <summary>Bytes of keys and values read.</summary>
    public long KvBytes { get; init; }

    /// <summary>Bytes read from the SSD.</summary>
    public long SsdBytes { get; init; }

    /// <summary>Granules that the hot set had.</summary>
    public long HotHits { get; init; }

    /// <summary>Granules that it had not.</summary>
    public long HotMisses { get; init; }

    /// <summary>Granules that left the hot set for others.</summary>
    public long HotEvictions { get; init; }

    /// <summary>Bytes of blocks and digests on the device now.</summary>
    public long DeviceBytes { get; init; }

    /// <summary>Bytes of digests on the device now, part of <see cref="DeviceBytes"/>.</summary>
    public long DeviceDigestBytes { get; init; }

    /// <summary>Segments of digests on the device now.</summary>
    public long DeviceDigestSegments { get; init; }

    /// <summary>Rows of digests that the device scored.</summary>
    public long DeviceRowsScored { get; init; }

    /// <summary>Blocks on the device now.</summary>
    public long DeviceBlocks { get; init; }

    /// <summary>Copies that were made on the device.</summary>
    public long DeviceAdditions { get; init; }

    /// <summary>Copies that were given up for others.</summary>
    public long DeviceEvictions { get; init; }

    /// <summary>Requests that the device failed or refused and the host answered.</summary>
    public long DeviceFallbacks { get; init; }

    /// <summary>Why the device is not used any more; null while it is, or when there is none.</summary>
    public KvError? DeviceFault { get; init; }

    /// <summary>Tokens that were chosen and could not be read.</summary>
    public long MissingTokens { get; init; }

    /// <summary>Granules whose bytes failed their check; their blocks are in quarantine.</summary>
    public long CorruptGranules { get; init; }

    /// <summary>Sequences that a restart could not bring back, as a record of their manifest is damaged or gone.</summary>
    public long LostSequences { get; init; }
}

namespace KvTier.Cluster;

/// <summary>What the engine knows at one revision.</summary>
/// <param name="Revision">Grows with every change, of loads too.</param>
/// <param name="Map">The map; epoch 0 without silos before the first change.</param>
/// <param name="Alive">Silos whose lease holds, members or not.</param>
/// <param name="Loads">What they last said of how they are doing, by name; one that said nothing is missing.</param>
public sealed record ClusterState(
    long Revision, ClusterMap Map, IReadOnlyList<SiloEntry> Alive, IReadOnlyDictionary<string, SiloLoad> Loads);

/// <summary>A change of the map; what is null stays.</summary>
/// <param name="Epoch">The epoch that its author saw; the change makes the next one, or <see cref="AtLeast"/>.</param>
public sealed record ClusterChange(long Epoch)
{
    /// <summary>
    /// Lowest epoch that the change may make; above the next one when its author knows of higher epochs than the engine, which has lost its
    /// data. Default 0.
    /// </summary>
    public long AtLeast { get; init; }

    /// <summary>The epoch that the change makes.</summary>
    public long Makes => Math.Max(Epoch + 1, AtLeast);

    /// <summary>The members from now on. Those that joined newly have <see cref="SiloEntry.JoinedEpoch"/> of the next epoch.</summary>
    public IReadOnlyList<SiloEntry>? Silos { get; init; }

    /// <summary>The settings from now on.</summary>
    public ClusterSettings? Settings { get; init; }

    /// <summary>Groups whose entry is set; a null name takes the entry away. At most <see cref="MovedMax"/>.</summary>
    public IReadOnlyDictionary<BlockId, string?>? Moved { get; init; }

    /// <summary>Most entries of one change.</summary>
    public const int MovedMax = 64;
}

/// <summary>How a silo is doing. Published with its lease, every few seconds and when it matters.</summary>
public sealed record SiloLoad
{
    /// <summary>Payload bytes that it holds, each block counted once.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Blocks that it holds.</summary>
    public long Blocks { get; init; }

    /// <summary>Bytes in host memory.</summary>
    public long HostBytes { get; init; }

    /// <summary>Requests a second, over the last interval.</summary>
    public double RequestsPerSecond { get; init; }

    /// <summary>
    /// Epoch of members up to which it has handed over what others own: who joined later need not ask it for what they don't have.
    /// </summary>
    public long SettledEpoch { get; init; }

    /// <summary>
    /// Epoch of its map, when it was published; filled in by the membership. It is told only while nobody counts on an older word.
    /// </summary>
    public long Epoch { get; init; }
}

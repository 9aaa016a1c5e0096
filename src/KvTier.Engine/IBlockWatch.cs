namespace KvTier.Engine;

/// <summary>Is told of blocks that came into a tier or left one.</summary>
public interface IBlockWatch
{
    /// <summary>
    /// The tiers of a block have changed, or may have; <see cref="BlockEngine.Describe"/> says how, later. Called under the engine's lock:
    /// it must be short, must not throw, and must not call the engine.
    /// </summary>
    void OnChanged(ushort ns, BlockId id);
}

/// <summary>What was done in a namespace since start.</summary>
public struct NamespaceTraffic : IEquatable<NamespaceTraffic>
{
    /// <summary>Blocks stored.</summary>
    public long Stored { get; set; }

    /// <summary>Blocks read, whole or in parts.</summary>
    public long Hits { get; set; }

    /// <summary>Blocks asked for that were not here.</summary>
    public long Misses { get; set; }

    /// <summary>Prefixes looked up.</summary>
    public long Lookups { get; set; }

    /// <summary>True when two say the same.</summary>
    public static bool operator ==(NamespaceTraffic left, NamespaceTraffic right) => left.Equals(right);

    /// <summary>True when two differ.</summary>
    public static bool operator !=(NamespaceTraffic left, NamespaceTraffic right) => !left.Equals(right);

    /// <inheritdoc/>
    public readonly bool Equals(NamespaceTraffic other) =>
        Stored == other.Stored && Hits == other.Hits && Misses == other.Misses && Lookups == other.Lookups;

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is NamespaceTraffic other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => HashCode.Combine(Stored, Hits, Misses, Lookups);
}

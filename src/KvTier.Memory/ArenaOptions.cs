namespace KvTier.Memory;

/// <summary>How an arena is made.</summary>
public sealed record ArenaOptions
{
    /// <summary>Most bytes of an arena: 16 TiB.</summary>
    public const long CapacityBytesMax = 1L << 44;

    /// <summary>Bytes of the arena, rounded up to whole extents of 256 KiB; 1 to 16 TiB. One extent more is taken for the header.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>True to put the arena into shared memory, so that local clients can map it. Default true; where it is missing or too small,
    /// anonymous memory is taken and <see cref="Arena.Fallback"/> says why.</summary>
    public bool Shared { get; init; } = true;

    /// <summary>Folder for the shared file. Default <c>/dev/shm</c>.</summary>
    public string SharedDirectory { get; init; } = "/dev/shm";

    /// <summary>Name of the shared file without its folder; by default <c>kvtier-&lt;process id&gt;-&lt;number&gt;</c>. Names that do not
    /// begin with <c>kvtier-</c> are never reaped.</summary>
    public string? SharedName { get; init; }

    /// <summary>True to touch every page at the start, so that no put pays for it later. Default false.</summary>
    public bool Prefault { get; init; }

    /// <summary>Checks every field.</summary>
    /// <returns>Null when all are valid, else the first error.</returns>
    public KvError? Validate()
    {
        if (CapacityBytes is < 1 or > CapacityBytesMax)
            return KvError.InvalidArgument("arena.capacityBytes", CapacityBytes, $"1 to {CapacityBytesMax}");
        if (SharedName is { } name && (name.Length == 0 || name.Contains('/', StringComparison.Ordinal) || name is "." or ".."))
            return KvError.InvalidArgument("arena.sharedName", name, "a file name without a folder");
        return null;
    }
}

namespace KvTier.Memory;

/// <summary>A piece of an arena: an offset and the bytes it may hold. The default value is no slot.</summary>
/// <param name="Offset">First byte, counted from the start of the arena; a multiple of 512, of 4096 from 4 KiB on.</param>
/// <param name="Capacity">Bytes of the slot, a multiple of 512; 0 for no slot.</param>
public readonly record struct ArenaSlot(long Offset, int Capacity)
{
    /// <summary>No slot, as the payload of an empty block has.</summary>
    public static ArenaSlot None => default;

    /// <summary>True when this is no slot.</summary>
    public bool IsNone => Capacity == 0;
}

/// <summary>How an arena is made.</summary>
public sealed record ArenaOptions
{
    /// <summary>Bytes of the arena, rounded up to whole extents.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>True to put the arena into shared memory, so that local clients can map it. Default true; where it is missing or too small,
    /// anonymous memory is taken and <see cref="Arena.Fallback"/> says why.</summary>
    public bool Shared { get; init; } = true;

    /// <summary>Folder for the shared file. Default <c>/dev/shm</c>.</summary>
    public string SharedDirectory { get; init; } = "/dev/shm";

    /// <summary>Name of the shared file without its folder; by default made of the process id and a number.</summary>
    public string? SharedName { get; init; }

    /// <summary>True to touch every page at the start, so that no put pays for it later. Default false.</summary>
    public bool Prefault { get; init; }
}

/// <summary>
/// A tier's own memory, outside the GC heap: slots of several size classes cut from extents, which go back to the common pool when empty.
/// </summary>
/// <remarks>Not thread-safe except for <see cref="Slice"/>: the engine calls it under its own lock.</remarks>
public sealed class Arena : IDisposable
{
    /// <summary>Makes an arena.</summary>
    public static Result<Arena> Create(ArenaOptions options) => throw new NotImplementedException();

    /// <summary>Bytes that slots can be cut from.</summary>
    public long CapacityBytes => throw new NotImplementedException();

    /// <summary>Bytes in allocated slots, counted by slot capacity.</summary>
    public long UsedBytes => throw new NotImplementedException();

    /// <summary>What a local client needs to map the arena; null when it is in anonymous memory.</summary>
    public SharedArenaInfo? Shared => throw new NotImplementedException();

    /// <summary>Why the arena is not in shared memory though it was asked to be; null when all is well.</summary>
    public string? Fallback => throw new NotImplementedException();

    /// <summary>Finds room.</summary>
    /// <param name="lengthBytes">Bytes needed, 1 to 64 MiB.</param>
    /// <param name="slot">The slot; its capacity is at least the length rounded up to 512.</param>
    /// <returns>False when no extent has room: free something and try again.</returns>
    public bool TryAllocate(int lengthBytes, out ArenaSlot slot) => throw new NotImplementedException();

    /// <summary>Gives a slot back.</summary>
    public void Free(ArenaSlot slot) => throw new NotImplementedException();

    /// <summary>The bytes from an offset on, inside one slot. No allocation; callable from any thread.</summary>
    public Memory<byte> Slice(long offset, int length) => throw new NotImplementedException();

    /// <summary>Unmaps the memory and removes the shared file.</summary>
    public void Dispose() => throw new NotImplementedException();
}

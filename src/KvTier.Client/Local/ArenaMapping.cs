using KvTier.Memory;

namespace KvTier.Client.Local;

/// <summary>
/// A silo's arena, mapped once for all connections. Stays mapped while a connection or a grant refers to it, so that a reader never finds
/// its memory gone.
/// </summary>
internal sealed class ArenaMapping
{
    private readonly SharedMapping mapping;
    private int references = 1;

    private ArenaMapping(SharedMapping mapping) => this.mapping = mapping;

    public SharedArenaInfo Info => mapping.Info;

    public static Result<ArenaMapping> Open(SharedArenaInfo info) =>
        SharedMapping.Open(info).TryGet(out SharedMapping? mapping, out KvError? error) ? new ArenaMapping(mapping) : error;

    public Memory<byte> Slice(long offset, int length) => mapping.Slice(offset, length);

    /// <summary>Adds a reference.</summary>
    /// <returns>False when the arena is not mapped any more.</returns>
    public bool TryAcquire()
    {
        int seen = Volatile.Read(ref references);
        while (seen > 0)
        {
            int found = Interlocked.CompareExchange(ref references, seen + 1, seen);
            if (found == seen) return true;
            seen = found;
        }

        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref references) == 0) mapping.Dispose();
    }
}

/// <summary>Gives every connection to the same silo the same mapping. Thread-safe.</summary>
internal sealed class ArenaCache
{
    private readonly Lock gate = new();
    private ArenaMapping? latest;

    /// <summary>Finds or makes the mapping of an arena; the caller releases it.</summary>
    public Result<ArenaMapping> Acquire(SharedArenaInfo info)
    {
        lock (gate)
        {
            if (latest is { } known && known.Info == info && known.TryAcquire()) return known;
            if (!ArenaMapping.Open(info).TryGet(out ArenaMapping? opened, out KvError? error)) return error;
            latest = opened;
            return opened;
        }
    }
}

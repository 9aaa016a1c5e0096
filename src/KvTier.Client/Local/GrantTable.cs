namespace KvTier.Client.Local;

/// <summary>What a silo has granted to a connection and not got back: leases or reservations. Thread-safe.</summary>
/// <remarks>An entry is used again with another generation, so that copies of an ended grant are told from a live one.</remarks>
internal sealed class GrantTable
{
    private const int ChunkEntries = 256;

    private readonly Lock gate = new();
    private readonly Entry[][] chunks;
    private int free = -1;
    private int used;
    private int count;

    /// <summary>Makes a table.</summary>
    /// <param name="capacity">Most grants, as the silo limits them.</param>
    public GrantTable(int capacity) => chunks = new Entry[(Math.Max(capacity, 1) + ChunkEntries - 1) / ChunkEntries][];

    /// <summary>Grants held now.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>Takes a grant.</summary>
    /// <returns>Its place and generation; place -1 when the silo granted more than its own limit allows.</returns>
    public (int Place, int Generation) Add(ulong number)
    {
        lock (gate)
        {
            int place = free;
            if (place >= 0) free = At(place).NextFree;
            else if (used / ChunkEntries == chunks.Length) return (-1, 0);
            else place = used++;
            Entry[] chunk = chunks[place / ChunkEntries] ??= new Entry[ChunkEntries];
            ref Entry entry = ref chunk[place % ChunkEntries];
            entry.Number = number;
            Volatile.Write(ref entry.Generation, entry.Generation + 1);
            Volatile.Write(ref count, count + 1);
            return (place, entry.Generation);
        }
    }

    /// <summary>True while a grant has not ended.</summary>
    public bool IsLive(int place, int generation) => Volatile.Read(ref At(place).Generation) == generation;

    /// <summary>Ends a grant.</summary>
    /// <returns>False when it has ended before.</returns>
    public bool TryEnd(int place, int generation, out ulong number)
    {
        lock (gate)
        {
            ref Entry entry = ref At(place);
            number = entry.Number;
            if (entry.Generation != generation) return false;
            Volatile.Write(ref entry.Generation, generation + 1);
            entry.NextFree = free;
            free = place;
            Volatile.Write(ref count, count - 1);
            return true;
        }
    }

    private ref Entry At(int place) => ref chunks[place / ChunkEntries][place % ChunkEntries];

    private struct Entry
    {
        public ulong Number;
        public int Generation;
        public int NextFree;
    }
}

namespace KvTier.Cluster;

/// <summary>Room that this silo keeps for groups that are being moved to it. Thread-safe.</summary>
internal sealed class Reservations(NodeContext node)
{
    /// <summary>Most groups at a time.</summary>
    public const int GroupsMax = 64;

    /// <summary>How long room is kept after the last block of the group came.</summary>
    public static readonly TimeSpan Lasts = TimeSpan.FromSeconds(10);

    private readonly Lock gate = new();
    private readonly Dictionary<BlockId, Entry> entries = [];

    /// <summary>Bytes that are kept.</summary>
    public long Bytes
    {
        get
        {
            lock (gate) return entries.Values.Sum(entry => entry.Bytes);
        }
    }

    /// <summary>Groups that room is kept for.</summary>
    public int Count
    {
        get
        {
            lock (gate) return entries.Count;
        }
    }

    /// <summary>Keeps room for a group.</summary>
    /// <param name="group">The group.</param>
    /// <param name="from">Who asks.</param>
    /// <param name="bytes">Its bytes.</param>
    /// <param name="freeBytes">Bytes that are free, what is kept already included.</param>
    /// <returns>Null, or why there is none.</returns>
    public KvError? TryReserve(BlockId group, string from, long bytes, long freeBytes)
    {
        lock (gate)
        {
            FreeUnused();
            if (entries.TryGetValue(group, out Entry old) && old.From != from)
                return new KvError(ErrorCode.Conflict, "group", $"{group}", $"one move at a time, not from {old.From} and {from}");
            if (!entries.ContainsKey(group) && entries.Count >= GroupsMax)
                return new KvError(ErrorCode.Busy, "reservations", $"{entries.Count}", $"{GroupsMax}");
            long free = freeBytes - entries.Where(entry => entry.Key != group).Sum(entry => entry.Value.Bytes);
            if (bytes > free) return KvError.LimitExceeded("group bytes", bytes, Math.Max(0, free));
            entries[group] = new Entry(from, bytes, node.Time.GetTimestamp());
            return null;
        }
    }

    /// <summary>True when room is kept for a group; then it is kept longer.</summary>
    public bool Use(BlockId group)
    {
        lock (gate)
        {
            if (entries.Count == 0) return false;
            FreeUnused();
            if (!entries.TryGetValue(group, out Entry entry)) return false;
            entries[group] = entry with { UsedAt = node.Time.GetTimestamp() };
            return true;
        }
    }

    /// <summary>True when room is kept for a group.</summary>
    public bool Holds(BlockId group)
    {
        lock (gate)
        {
            if (entries.Count == 0) return false;
            FreeUnused();
            return entries.ContainsKey(group);
        }
    }

    /// <summary>Gives room back.</summary>
    public void Release(BlockId group)
    {
        lock (gate) entries.Remove(group);
    }

    private void FreeUnused()
    {
        foreach ((BlockId group, Entry entry) in entries.ToList())
        {
            if (node.Time.GetElapsedTime(entry.UsedAt) >= Lasts) entries.Remove(group);
        }
    }

    private readonly record struct Entry(string From, long Bytes, long UsedAt);
}

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
            if (entries.TryGetValue(group, out Entry old) && old.From != from && !IsUnused(old))
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
        Entry entry;
        lock (gate)
        {
            if (entries.Count == 0 || !entries.TryGetValue(group, out entry)) return false;
            entries[group] = entry with { UsedAt = node.Time.GetTimestamp(), HasArrived = true };
        }

        if (!entry.HasArrived) node.Moves.Tell(MoveStage.Arriving, group, entry.From);
        return true;
    }

    /// <summary>True when room is kept for a group that whoever moves it still owns.</summary>
    public bool Holds(BlockId group, ClusterMap map)
    {
        lock (gate)
        {
            return entries.Count > 0 && entries.TryGetValue(group, out Entry entry) && IsOwner(map, entry.From, group);
        }
    }

    /// <summary>Gives room back.</summary>
    public void Release(BlockId group)
    {
        lock (gate) entries.Remove(group);
    }

    /// <summary>Gives room back that was not used, and that of groups which have another owner by now.</summary>
    /// <returns>The groups that it was kept for in vain.</returns>
    public List<BlockId> TakeUnused(ClusterMap map)
    {
        List<KeyValuePair<BlockId, Entry>> taken, unused;
        lock (gate)
        {
            if (entries.Count == 0) return [];
            int self = map.IndexOf(node.Self);
            taken = [.. entries.Where(entry => map.OwnerOf(entry.Key) == self)];
            foreach ((BlockId group, _) in taken) entries.Remove(group);
            unused = [.. entries.Where(entry => IsUnused(entry.Value) || !IsOwner(map, entry.Value.From, entry.Key))];
            foreach ((BlockId group, _) in unused) entries.Remove(group);
        }

        foreach ((BlockId group, Entry entry) in taken) node.Moves.Tell(MoveStage.Taken, group, entry.From);
        foreach ((BlockId group, Entry entry) in unused) node.Moves.Tell(MoveStage.RoomFreed, group, entry.From);
        return [.. unused.Select(entry => entry.Key)];
    }

    private static bool IsOwner(ClusterMap map, string silo, BlockId group) =>
        map.OwnerOf(group) is >= 0 and var owner && map.Silos[owner].Name == silo;

    private bool IsUnused(Entry entry) => node.Time.GetElapsedTime(entry.UsedAt) >= Lasts;

    private readonly record struct Entry(string From, long Bytes, long UsedAt, bool HasArrived = false);
}

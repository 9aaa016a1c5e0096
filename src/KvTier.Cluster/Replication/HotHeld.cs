namespace KvTier.Cluster;

/// <summary>Groups that this silo holds beyond its own share, as another silo says that they are read much. Thread-safe.</summary>
internal sealed class HotHeld(NodeContext node)
{
    /// <summary>Most groups.</summary>
    public const int GroupsMax = 4096;

    /// <summary>How long a group is held after its owner last said so.</summary>
    public static readonly TimeSpan Lasts = TimeSpan.FromSeconds(30);

    private readonly Lock gate = new();
    private readonly Dictionary<BlockId, long> until = [];

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (gate) return until.Count;
        }
    }

    /// <summary>Takes groups, or holds them longer.</summary>
    /// <returns>One for each: false when there are too many.</returns>
    public bool[] Take(BlockId[] groups)
    {
        bool[] taken = new bool[groups.Length];
        long end = node.Time.GetTimestamp() + (long)(Lasts.TotalSeconds * node.Time.TimestampFrequency);
        lock (gate)
        {
            for (int i = 0; i < groups.Length; i++)
            {
                taken[i] = until.Count < GroupsMax || until.ContainsKey(groups[i]);
                if (taken[i]) until[groups[i]] = end;
            }
        }

        return taken;
    }

    /// <summary>True when a group is held beyond this silo's share.</summary>
    public bool Holds(BlockId group)
    {
        lock (gate) return until.ContainsKey(group);
    }

    /// <summary>Gives up groups whose time is over.</summary>
    /// <returns>Those groups.</returns>
    public List<BlockId> TakeCooled()
    {
        long now = node.Time.GetTimestamp();
        lock (gate)
        {
            List<BlockId> over = [.. until.Where(each => each.Value <= now).Select(each => each.Key)];
            foreach (BlockId group in over) until.Remove(group);
            return over;
        }
    }
}

using System.Collections.Concurrent;
using KvTier.Client.Connections;

namespace KvTier.Client.Routing;

/// <summary>Groups of which a silo said lately that several silos have them. Thread-safe.</summary>
internal sealed class HotGroups(TimeProvider time)
{
    /// <summary>Most silos among which reads of a group are spread.</summary>
    public const int CopiesMax = 8;

    private const int GroupsMax = 4096;
    private static readonly TimeSpan kept = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<BlockId, (int Copies, long Until)> groups = new();

    /// <summary>True when nothing is noted: then nothing need be asked.</summary>
    public bool IsEmpty => groups.IsEmpty;

    /// <summary>Notes what a silo said.</summary>
    public void Note(BlockId group, int copies)
    {
        if (copies <= 1)
        {
            if (!groups.IsEmpty) groups.TryRemove(group, out _);
            return;
        }

        if (CopiesOf(group) == copies) return;
        if (groups.Count >= GroupsMax) groups.Clear();
        groups[group] = (Math.Min(copies, CopiesMax), ClientClock.After(time, kept));
    }

    /// <summary>How many silos have a group; 1 when nothing is known.</summary>
    public int CopiesOf(BlockId group)
    {
        if (!groups.TryGetValue(group, out (int Copies, long Until) noted)) return 1;
        if (time.GetTimestamp() < noted.Until) return noted.Copies;
        groups.TryRemove(group, out _);
        return 1;
    }
}

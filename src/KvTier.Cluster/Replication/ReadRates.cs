namespace KvTier.Cluster;

/// <summary>
/// Reads a second of the groups that are read most: a table of a fixed size, in which a group that is read more pushes out one that is read
/// less. Thread-safe; noting a read allocates nothing.
/// </summary>
internal sealed class ReadRates(TimeProvider time)
{
    private const int Sets = 1024;
    private const int Ways = 4;
    private const int Stripes = 64;

    private readonly Entry[] entries = new Entry[Sets * Ways];
    private readonly Lock[] locks = [.. Enumerable.Range(0, Stripes).Select(_ => new Lock())];

    /// <summary>Notes a read.</summary>
    /// <returns>The group's reads a second once in a second, when they are known anew; else 0.</returns>
    public double Note(BlockId group)
    {
        int set = SetOf(group);
        long now = time.GetTimestamp();
        lock (locks[set % Stripes])
        {
            Span<Entry> ways = entries.AsSpan(set * Ways, Ways);
            int lowest = 0;
            for (int i = 0; i < Ways; i++)
            {
                if (ways[i].Group == group && ways[i].Since != 0) return Count(ref ways[i], now);
                if (Weight(ways[i]) < Weight(ways[lowest])) lowest = i;
            }

            if (ways[lowest].Since != 0 && time.GetElapsedTime(ways[lowest].Since, now) > TimeSpan.FromSeconds(2)) ways[lowest].Rate = 0;
            if (Weight(ways[lowest]) > 1)
            {
                // Who is there loses as much as the new one brings: the one that is read more stays in the end.
                ways[lowest].Rate = Math.Max(0, ways[lowest].Rate - 1);
                ways[lowest].Count = Math.Max(0, ways[lowest].Count - 1);
                return 0;
            }

            ways[lowest] = new Entry { Group = group, Since = now, Count = 1 };
            return 0;
        }
    }

    /// <summary>The group's reads a second; 0 for one that is not among the most read.</summary>
    public double RateOf(BlockId group)
    {
        int set = SetOf(group);
        long now = time.GetTimestamp();
        lock (locks[set % Stripes])
        {
            foreach (ref Entry entry in entries.AsSpan(set * Ways, Ways))
            {
                if (entry.Group != group || entry.Since == 0) continue;
                double seconds = time.GetElapsedTime(entry.Since, now).TotalSeconds;
                return seconds < 1 ? Math.Max(entry.Rate, entry.Count) : Mix(entry, seconds);
            }
        }

        return 0;
    }

    private static int SetOf(BlockId group) => (int)(group.Low % Sets);

    private static double Weight(in Entry entry) => entry.Since == 0 ? -1 : entry.Rate + entry.Count;

    private static double Mix(in Entry entry, double seconds) => ((entry.Rate / seconds) + (entry.Count / seconds)) / 2;

    private double Count(ref Entry entry, long now)
    {
        entry.Count++;
        double seconds = time.GetElapsedTime(entry.Since, now).TotalSeconds;
        if (seconds < 1) return 0;
        entry.Rate = Mix(entry, seconds);
        entry.Count = 0;
        entry.Since = now;
        return entry.Rate;
    }

    private struct Entry
    {
        public BlockId Group;
        public long Since;
        public int Count;
        public double Rate;
    }
}

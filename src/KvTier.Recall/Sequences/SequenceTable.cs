namespace KvTier.Recall;

/// <summary>The grains by namespace and name. Thread-safe.</summary>
/// <param name="sequencesMax">Most sequences.</param>
/// <param name="mailboxMax">Most messages that wait for one.</param>
internal sealed class SequenceTable(int sequencesMax, int mailboxMax)
{
    private readonly Lock gate = new();
    private readonly Dictionary<ushort, SortedList<string, SequenceGrain>> byName = [];
    private long numbers;
    private int count;

    /// <summary>Sequences, those included that are being opened.</summary>
    internal int Count
    {
        get
        {
            lock (gate) return count;
        }
    }

    /// <summary>Finds a grain, which may not be open yet.</summary>
    internal SequenceGrain? Find(ushort ns, string name)
    {
        lock (gate)
            return byName.TryGetValue(ns, out SortedList<string, SequenceGrain>? names) ? names.GetValueOrDefault(name) : null;
    }

    /// <summary>Finds or adds a grain.</summary>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="name">Its name.</param>
    /// <param name="isNew">True when it was added.</param>
    internal Result<SequenceGrain> FindOrAdd(ushort ns, string name, out bool isNew)
    {
        isNew = false;
        lock (gate)
        {
            if (!byName.TryGetValue(ns, out SortedList<string, SequenceGrain>? names))
                byName.Add(ns, names = new SortedList<string, SequenceGrain>(StringComparer.Ordinal));
            if (names.TryGetValue(name, out SequenceGrain? known)) return known;
            if (count >= sequencesMax) return KvError.LimitExceeded("recall.sequencesMax", count + 1, sequencesMax);
            var grain = new SequenceGrain(++numbers, ns, name, mailboxMax);
            names.Add(name, grain);
            count++;
            isNew = true;
            return grain;
        }
    }

    /// <summary>Removes a grain.</summary>
    internal void Remove(SequenceGrain grain)
    {
        lock (gate)
        {
            SortedList<string, SequenceGrain> names = byName[grain.Namespace];
            if (names.GetValueOrDefault(grain.Name) != grain) return;
            names.Remove(grain.Name);
            count--;
        }
    }

    /// <summary>Open sequences of a namespace by name, after the name given.</summary>
    internal List<SequenceInfo> List(ushort ns, string after, int max)
    {
        var found = new List<SequenceInfo>();
        lock (gate)
        {
            if (!byName.TryGetValue(ns, out SortedList<string, SequenceGrain>? names)) return found;
            for (int i = FirstAfter(names.Keys, after); i < names.Count && found.Count < max; i++)
            {
                if (names.Values[i].Fresh is { } info) found.Add(info);
            }
        }

        return found;
    }

    /// <summary>Every grain now.</summary>
    internal List<SequenceGrain> All()
    {
        lock (gate) return [.. byName.Values.SelectMany(names => names.Values)];
    }

    private static int FirstAfter(IList<string> names, string after)
    {
        int low = 0;
        int high = names.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (string.CompareOrdinal(names[middle], after) <= 0 && after.Length > 0) low = middle + 1;
            else high = middle;
        }

        return low;
    }
}

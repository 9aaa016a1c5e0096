namespace KvTier.Silo.Events;

/// <summary>The prefixes of topics that a subscriber wants, each as often as it asked for it. Thread-safe.</summary>
internal sealed class Subscriptions
{
    /// <summary>Most prefixes of one subscriber.</summary>
    public const int Max = 1024;

    private readonly Lock gate = new();
    private readonly List<(byte[] Prefix, int Times)> prefixes = [];

    /// <summary>True when it wants anything.</summary>
    public bool Any
    {
        get
        {
            lock (gate) return prefixes.Count > 0;
        }
    }

    /// <summary>Adds a prefix.</summary>
    /// <returns>False when there are too many.</returns>
    public bool Add(ReadOnlySpan<byte> prefix)
    {
        lock (gate)
        {
            int at = Find(prefix);
            if (at >= 0) prefixes[at] = (prefixes[at].Prefix, prefixes[at].Times + 1);
            else if (prefixes.Count >= Max) return false;
            else prefixes.Add((prefix.ToArray(), 1));
            return true;
        }
    }

    /// <summary>Takes a prefix back; one that was not added is ignored.</summary>
    public void Remove(ReadOnlySpan<byte> prefix)
    {
        lock (gate)
        {
            int at = Find(prefix);
            if (at < 0) return;
            if (prefixes[at].Times > 1) prefixes[at] = (prefixes[at].Prefix, prefixes[at].Times - 1);
            else prefixes.RemoveAt(at);
        }
    }

    /// <summary>True when the subscriber wants a topic.</summary>
    public bool Wants(ReadOnlySpan<byte> topic)
    {
        lock (gate)
        {
            foreach ((byte[] prefix, _) in prefixes)
            {
                if (topic.StartsWith(prefix)) return true;
            }

            return false;
        }
    }

    private int Find(ReadOnlySpan<byte> prefix)
    {
        for (int i = 0; i < prefixes.Count; i++)
        {
            if (prefix.SequenceEqual(prefixes[i].Prefix)) return i;
        }

        return -1;
    }
}

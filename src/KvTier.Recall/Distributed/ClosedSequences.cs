namespace KvTier.Recall;

/// <summary>
/// Names without a sequence: those that were closed, with the version that closed them, so that no older copy brings them back; and those
/// that nobody had when this silo asked, in the epoch in which it asked. Thread-safe.
/// </summary>
internal sealed class ClosedSequences
{
    /// <summary>Closed sequences remembered in memory, and absent names; the oldest go first.</summary>
    internal const int Most = 65_536;

    private readonly Lock gate = new();
    private readonly Dictionary<(ushort Namespace, string Name), SequenceManifest> closed = [];
    private readonly Dictionary<(ushort Namespace, string Name), long> told = [];
    private readonly Queue<(ushort Namespace, string Name)> order = new();
    private readonly HashSet<(ushort Namespace, string Name)> absent = [];
    private long absentEpoch;

    /// <summary>Notes a sequence that was closed.</summary>
    internal void Add(ushort ns, string name, SequenceManifest manifest)
    {
        lock (gate)
        {
            if (!closed.ContainsKey((ns, name))) order.Enqueue((ns, name));
            closed[(ns, name)] = manifest;
            told.Remove((ns, name));
            while (order.Count > Most)
            {
                (ushort Namespace, string Name) oldest = order.Dequeue();
                closed.Remove(oldest);
                told.Remove(oldest);
            }
        }
    }

    /// <summary>The name has a sequence again.</summary>
    internal void Remove(ushort ns, string name)
    {
        lock (gate)
        {
            closed.Remove((ns, name));
            absent.Remove((ns, name));
        }
    }

    /// <summary>Those that the holders of an epoch were not told of yet.</summary>
    internal List<(ushort Namespace, SequenceManifest Manifest)> NotTold(long epoch)
    {
        lock (gate)
        {
            return [.. closed.Where(each => told.GetValueOrDefault(each.Key) != epoch).Select(each => (each.Key.Namespace, each.Value))];
        }
    }

    /// <summary>Notes that the holders of an epoch know.</summary>
    internal void NoteTold(ushort ns, string name, long epoch)
    {
        lock (gate) told[(ns, name)] = epoch;
    }

    /// <summary>Epoch and version that closed a sequence; zeros when it was not.</summary>
    internal (long Epoch, long Version) Find(ushort ns, string name) =>
        ManifestOf(ns, name) is { } manifest ? (manifest.Epoch, manifest.Version) : default;

    /// <summary>The manifest that closed a sequence; null when it was not.</summary>
    internal SequenceManifest? ManifestOf(ushort ns, string name)
    {
        lock (gate) return closed.GetValueOrDefault((ns, name));
    }

    /// <summary>Notes that nobody has a sequence of a name.</summary>
    internal void NoteAbsent(ushort ns, string name, long epoch)
    {
        lock (gate)
        {
            if (epoch != absentEpoch || absent.Count >= Most) absent.Clear();
            absentEpoch = epoch;
            absent.Add((ns, name));
        }
    }

    /// <summary>True when nobody had a sequence of a name in an epoch, and none was made since.</summary>
    internal bool IsAbsent(ushort ns, string name, long epoch)
    {
        lock (gate) return epoch == absentEpoch && absent.Contains((ns, name));
    }
}

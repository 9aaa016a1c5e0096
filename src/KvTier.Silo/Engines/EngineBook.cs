using KvTier.Protocol;

namespace KvTier.Silo.Engines;

/// <summary>
/// The engines of each namespace, as they said hello. Kept in memory only: engines say hello again whenever they connect. Thread-safe.
/// </summary>
/// <param name="forgetAfter">How long an engine is remembered after its last hello.</param>
/// <param name="time">The clock.</param>
internal sealed class EngineBook(TimeSpan forgetAfter, TimeProvider time)
{
    /// <summary>Most engines of one namespace; the ones not heard of for longest go first.</summary>
    public const int EnginesMax = 256;

    /// <summary>Most namespaces.</summary>
    public const int NamespacesMax = 1024;

    private readonly Lock gate = new();
    private readonly Dictionary<NamespaceId, List<EngineRecord>> engines = [];

    /// <summary>Notes an engine, and finds in what it differs from others.</summary>
    public EngineHelloResponse Hello(NamespaceId ns, EngineHelloRequest hello)
    {
        var mine = EngineRecord.Of(hello, time.GetUtcNow());
        lock (gate)
        {
            if (!engines.TryGetValue(ns, out List<EngineRecord>? known))
            {
                if (engines.Count >= NamespacesMax) engines.Remove(OldestLocked());
                engines[ns] = known = [];
            }

            known.RemoveAll(record => mine.SeenAt - record.SeenAt > forgetAfter);
            List<EngineDifference> differences = EngineCompare.Find(mine, known);
            known.RemoveAll(mine.IsSame);
            if (known.Count >= EnginesMax) known.RemoveAt(0);
            known.Add(mine);
            return new EngineHelloResponse(known.Count, Complete: true, differences);
        }
    }

    /// <summary>The engines of a namespace, the one that was heard of last at the end.</summary>
    public EngineRecord[] Of(NamespaceId ns)
    {
        lock (gate) return engines.TryGetValue(ns, out List<EngineRecord>? known) ? [.. known] : [];
    }

    /// <summary>Fields in which engines of a namespace differ now.</summary>
    public string[] DifferingFields(NamespaceId ns)
    {
        EngineRecord[] known = Of(ns);
        return [.. known.SelectMany(record => record.Fields.Keys).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .Where(field => known.Any(left => known.Any(right => !EngineCompare.Agrees(left, right, field))))];
    }

    private NamespaceId OldestLocked() => engines.MinBy(each => each.Value.Count == 0 ? default : each.Value[^1].SeenAt).Key;
}

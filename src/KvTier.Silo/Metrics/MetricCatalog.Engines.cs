using KvTier.Silo.Engines;
using KvTier.Silo.Events;

namespace KvTier.Silo.Metrics;

/// <content>The metrics of engines and of what is published for their routers.</content>
internal sealed partial class MetricCatalog
{
    /// <summary>What is known of engines; set once the silo serves.</summary>
    public EngineDesk? Desk { get; set; }

    /// <summary>What reports namespaces that nobody reads; set once the silo serves.</summary>
    public UnreadWatch? Unread { get; set; }

    /// <summary>KV events; null when none are published.</summary>
    public KvEvents? Events { get; set; }

    /// <summary>The namespaces at this moment.</summary>
    public Func<IReadOnlyList<NamespaceDescriptor>> EngineNamespaces { get; set; } = () => [];

    private IEnumerable<MetricDefinition> EngineMetrics()
    {
        yield return Own("kvtier.engine.hellos", "{hello}", "Times that engines said how they make keys and bytes.", () =>
            Desk?.Hellos ?? 0);
        yield return new MetricDefinition("kvtier.engine.differences", MetricKind.Counter, "{difference}",
            "Differences found between engines of one namespace, by field; each is logged once.", "field",
            () => (Desk?.Differences ?? []).Select(each => new MetricSample("field", each.Field, each.Count)));
        yield return new MetricDefinition("kvtier.engine.split", MetricKind.Gauge, "{field}",
            "Fields in which engines of a namespace differ now.", "namespace",
            () => Clients().Select(ns => new MetricSample("namespace", ns.Name, Desk?.Book.DifferingFields(ns.Id).Length ?? 0)));
        yield return new MetricDefinition("kvtier.namespace.unread", MetricKind.Gauge, "{namespace}",
            "1 for a namespace that has been written and not read for `engines.unreadMinutes`.", "namespace", UnreadSamples);
        yield return new MetricDefinition("kvtier.load.bandwidth", MetricKind.Gauge, "By",
            "Bytes a second at which blocks come, by path; what is assumed until something was measured.", "path",
            () => Enum.GetValues<LoadPath>().Select(path =>
                new MetricSample("path", path.ToString().ToLowerInvariant(), Desk?.Bandwidth.RateOf(path) ?? 0)));
    }

    private IEnumerable<MetricDefinition> EventMetrics()
    {
        yield return Own("kvtier.events.batches", "{batch}", "Batches of KV events published.", () => Events?.Counters.Batches ?? 0);
        yield return new MetricDefinition("kvtier.events.blocks", MetricKind.Counter, "{block}",
            "Blocks told as stored or removed, once for each medium.", "event", () =>
            [
                new MetricSample("event", "stored", Events?.Counters.Stored ?? 0),
                new MetricSample("event", "removed", Events?.Counters.Removed ?? 0),
            ]);
        yield return Gauge("kvtier.events.subscribers", "{subscriber}", "Subscribers connected now.", () =>
            Events?.Outlets.Sum(outlet => outlet.Subscribers) ?? 0);
        yield return Own("kvtier.events.dropped", "{message}", "Messages dropped because a subscriber did not keep up.", () =>
            Events?.Counters.MessagesDropped ?? 0);
        yield return Own("kvtier.events.stalled", "{subscriber}", "Subscribers ended because they read nothing for long.", () =>
            Events?.Counters.Stalled ?? 0);
        yield return Own("kvtier.events.refused", "{connection}", "Connections refused because there were too many.", () =>
            Events?.Counters.Refused ?? 0);
        yield return Own("kvtier.events.handshake_failures", "{connection}",
            "Connections ended because the peer did not speak ZMTP 3, or as another socket type or mechanism.", () =>
            Events?.Counters.HandshakeFailures ?? 0);
        yield return Own("kvtier.events.replays", "{request}", "Requests for missed batches that were answered.", () =>
            Events?.Counters.Replays ?? 0);
        yield return Own("kvtier.events.replays_refused", "{request}", "Requests for missed batches that could not be read.", () =>
            Events?.Counters.RequestsRefused ?? 0);
        yield return Gauge("kvtier.events.notes", "{block}", "Blocks of which engines said what routers need to know.", () =>
            Events?.Notes.Count ?? 0);
        yield return Gauge("kvtier.events.note_memory", "By", "Memory that this takes.", () => Events?.Notes.Bytes ?? 0);
        yield return Own("kvtier.events.notes_dropped", "{block}", "Notes dropped for want of room (`events.noteBytes`).", () =>
            Events?.Notes.Dropped ?? 0);
    }

    private IEnumerable<MetricSample> UnreadSamples()
    {
        HashSet<string> unread = [.. (Unread?.Unread ?? []).Select(each => each.Namespace)];
        return Clients().Select(ns => new MetricSample("namespace", ns.Name, unread.Contains(ns.Name) ? 1 : 0));
    }

    private IEnumerable<NamespaceDescriptor> Clients() => EngineNamespaces().Where(ns => !ns.IsInternal);
}

using KvTier.Recall;

namespace KvTier.Silo.Metrics;

/// <content>The metrics of sequences and recall.</content>
internal sealed partial class MetricCatalog
{
    private IEnumerable<MetricDefinition> RecallMetrics()
    {
        yield return RecallGauge("kvtier.recall.sequences", "{sequence}", "Sequences open now.", s => s.Sequences);
        yield return RecallGauge("kvtier.recall.digests", "By", "Bytes of the digests of all sequences.", s => s.DigestBytes);
        yield return RecallGauge("kvtier.recall.quarantined_chunks", "{chunk}",
            "Chunks with a NaN or an infinity in a key: always read, never scored.", s => s.QuarantinedChunks);
        yield return RecallGauge("kvtier.recall.hot_set", "By", "Bytes of the hot set.", s => s.HotBytes);
        yield return new MetricDefinition("kvtier.recall.requests", MetricKind.Counter, "{recall}", "Recalls answered, by mode.", "mode",
            () => SiloMetrics.RecallModes.Select((name, i) => new MetricSample("mode", name, metrics.RecallCount(i))));
        yield return RecallCounter("kvtier.recall.items", "{item}", "Items of recalls answered.", s => s.Items);
        yield return RecallCounter("kvtier.recall.reused", "{item}", "Items that an earlier choice served.", s => s.Reused);
        yield return RecallCounter("kvtier.recall.units_scored", "{unit}", "Units scored.", s => s.UnitsScored);
        yield return RecallCounter("kvtier.recall.read", "By", "Bytes that recalls read, by what; ssd is part of kv.", "source", s =>
            [new("source", "digest", s.DigestBytesRead), new("source", "kv", s.KvBytes), new("source", "ssd", s.SsdBytes)]);
        yield return RecallCounter("kvtier.recall.hot_set_lookups", "{granule}", "Granules looked for in the hot set, by outcome.",
            "result", s => [new("result", "hit", s.HotHits), new("result", "miss", s.HotMisses)]);
        yield return RecallCounter("kvtier.recall.hot_set_evictions", "{granule}", "Granules that left the hot set for others.",
            s => s.HotEvictions);
        yield return new MetricDefinition("kvtier.recall.missing_tokens", MetricKind.Counter, "{token}",
            "Tokens that were chosen and could not be read, by reason.", "reason",
            () => Enumerable.Range(1, MissReasonExtensions.Count - 1).Select(i =>
                new MetricSample("reason", ((MissReason)i).Name(), metrics.MissingTokens((MissReason)i))));
        yield return RecallCounter("kvtier.recall.corrupt_granules", "{granule}", "Granules whose bytes failed their check.",
            s => s.CorruptGranules);
        yield return RecallCounter("kvtier.recall.lost_sequences", "{sequence}", "Sequences that a restart could not bring back.",
            s => s.LostSequences);
    }

    private MetricDefinition RecallGauge(string name, string unit, string help, Func<RecallStats, double> value) =>
        Gauge(name, unit, help, () => value(recallStats()));

    private MetricDefinition RecallCounter(string name, string unit, string help, Func<RecallStats, double> value) =>
        RecallCounter(name, unit, help, "", s => [new MetricSample("", "", value(s))]);

    private MetricDefinition RecallCounter(
        string name, string unit, string help, string label, Func<RecallStats, IEnumerable<MetricSample>> samples) =>
        new(name, MetricKind.Counter, unit, help, label, () => samples(recallStats()));
}

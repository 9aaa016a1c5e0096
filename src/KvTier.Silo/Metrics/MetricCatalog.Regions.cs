namespace KvTier.Silo.Metrics;

/// <content>The metrics of engine regions.</content>
internal sealed partial class MetricCatalog
{
    private IEnumerable<MetricDefinition> RegionMetrics()
    {
        yield return Gauge("kvtier.region.open", "{region}", "Engines' files of KV rows that are open now.", () => metrics.Regions.Open);
        yield return new MetricDefinition("kvtier.region.rows", MetricKind.Counter, "{row}",
            "Rows copied between engines' files and host memory, by direction; failed: file or deadline did not allow it.", "result",
            () => [new("result", "stored", metrics.Regions.Stored), new("result", "loaded", metrics.Regions.Loaded),
                new("result", "failed", metrics.Regions.Failed)]);
        yield return new MetricDefinition("kvtier.region.copied", MetricKind.Counter, "By", "Bytes of these rows.", "result",
            () => [new("result", "stored", metrics.Regions.StoredBytes), new("result", "loaded", metrics.Regions.LoadedBytes)]);
        yield return Own("kvtier.region.reaped", "{file}", "Files removed because no process had them open any more.", () =>
            metrics.Regions.Reaped);
    }
}

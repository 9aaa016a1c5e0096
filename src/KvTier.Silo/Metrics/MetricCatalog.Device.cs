namespace KvTier.Silo.Metrics;

/// <content>The metrics of the device tier; blocks on the device are also in <c>kvtier.tier.blocks</c>.</content>
internal sealed partial class MetricCatalog
{
    private IEnumerable<MetricDefinition> DeviceMetrics()
    {
        yield return new MetricDefinition("kvtier.device.info", MetricKind.Gauge, "{device}",
            "1 for the device of the device tier, by name; no sample without one.", "name",
            () => device() is { } found ? [new MetricSample("name", found.Name, 1)] : []);
        yield return Gauge("kvtier.device.capacity", "By", "Device memory for blocks and digests.", () => device()?.CapacityBytes ?? 0);
        yield return RecallGauge("kvtier.device.used", "By", "Device memory that blocks and digests take.", s => s.DeviceBytes);
        yield return RecallGauge("kvtier.device.digests", "By", "Part of it that digests take.", s => s.DeviceDigestBytes);
        yield return RecallCounter("kvtier.device.rows_scored", "{row}", "Rows of digests that the device scored.",
            s => s.DeviceRowsScored);
        yield return Gauge("kvtier.device.failed", "{device}", "1 when the device has failed and the host does its work.",
            () => device()?.Fault is null ? 0 : 1);
        yield return RecallCounter("kvtier.device.moves", "{copy}", "Copies to the device, and copies given up for others.", "direction",
            s => [new("direction", "up", s.DeviceAdditions), new("direction", "down", s.DeviceEvictions)]);
        yield return RecallCounter("kvtier.device.fallbacks", "{request}",
            "Requests that the device failed or refused, and the host answered.", s => s.DeviceFallbacks);
    }
}

using KvTier.Engine;
using KvTier.Recall;

namespace KvTier.Silo.Metrics;

/// <summary>Every metric of a silo. The text of <c>/metrics</c>, the meter and the reference page are made of it.</summary>
internal sealed partial class MetricCatalog
{
    /// <summary>Name of the histogram of request durations.</summary>
    public const string RequestDuration = "kvtier.request.duration";

    private readonly SiloMetrics metrics;
    private readonly Func<EngineStats> engineStats;
    private readonly Func<RecallStats> recallStats;
    private readonly Func<StatDevice?> device;

    /// <summary>Makes the catalogue.</summary>
    /// <param name="metrics">What the silo counts.</param>
    /// <param name="engineStats">The engine's figures at this moment.</param>
    /// <param name="recallStats">The figures of recall at this moment.</param>
    /// <param name="device">The device of the device tier at this moment; null for none.</param>
    /// <param name="ready">True when the silo serves.</param>
    public MetricCatalog(
        SiloMetrics metrics, Func<EngineStats> engineStats, Func<RecallStats> recallStats, Func<StatDevice?> device, Func<bool> ready)
    {
        this.metrics = metrics;
        this.engineStats = engineStats;
        this.recallStats = recallStats;
        this.device = device;
        Definitions =
        [
            Gauge("kvtier.silo.ready", "{silo}", "1 while the silo serves, 0 while it starts, recovers or drains.", () => ready() ? 1 : 0),
            .. BlockMetrics(),
            .. TierMetrics(),
            .. RecallMetrics(),
            .. DeviceMetrics(),
            .. EngineMetrics(),
            .. EventMetrics(),
            .. ClusterMetrics(),
            .. RegionMetrics(),
            .. ConnectionMetrics(),
        ];
    }

    /// <summary>All metrics, in the order of the reference page.</summary>
    public IReadOnlyList<MetricDefinition> Definitions { get; }

    /// <summary>The source of the histograms.</summary>
    public SiloMetrics Source => metrics;

    private IEnumerable<MetricDefinition> BlockMetrics()
    {
        yield return Counter("kvtier.block.puts", "{block}", "Blocks put, by what became of them.", "result", s =>
            [new("result", "stored", s.Puts), new("result", "present", s.PutsPresent)]);
        yield return Counter("kvtier.block.hits", "{block}", "Gets answered, by the tier that answered.", "tier", s =>
            [new("tier", "host", s.HostHits), new("tier", "ssd", s.SsdHits)]);
        yield return Counter("kvtier.block.misses", "{block}", "Gets not answered, by reason.", "reason", s =>
            s.Misses.Select((count, i) => new MetricSample("reason", ((MissReason)i).Name(), count)).Skip(1));
        yield return Counter("kvtier.block.ghost_hits", "{block}", "Misses that a host tier larger by the ghost list would have hit.", "",
            s => [new("", "", s.GhostHits)]);
        yield return Counter("kvtier.block.evictions", "{block}", "Blocks that left a tier for others.", "tier", s =>
            [new("tier", "host", s.HostEvictions), new("tier", "ssd", s.SsdEvictions)]);
        yield return Counter("kvtier.block.reappended", "{block}", "Blocks appended to the log again because their segment was dropped.",
            "", s => [new("", "", s.Reappended)]);
        yield return Counter("kvtier.block.corrupt", "{block}", "Blocks whose bytes failed their check in the silo.", "", s =>
            [new("", "", s.CorruptBlocks)]);
        yield return Counter("kvtier.block.demotions", "{block}", "Copies in host memory let go because nobody wanted them there.", "", s =>
            [new("", "", s.Demotions)]);
        yield return Counter("kvtier.range.reads", "{block}", "Blocks of which parts were read, by the tier that answered.", "tier", s =>
            [new("tier", "host", s.RangeReadsHost), new("tier", "ssd", s.RangeReadsSsd)]);
        yield return Counter("kvtier.range.device_read", "By", "Bytes that the SSD read for parts of blocks.", "", s =>
            [new("", "", s.RangeDeviceBytes)]);
        yield return EngineGauge("kvtier.block.dirty", "{block}", "Blocks that wait to be written to the log.", "", s =>
            [new("", "", s.DirtyBlocks)]);
        yield return EngineGauge("kvtier.block.pinned", "{block}", "Blocks pinned now.", "", s => [new("", "", s.PinnedBlocks)]);
    }

    private IEnumerable<MetricDefinition> TierMetrics()
    {
        yield return EngineGauge("kvtier.tier.blocks", "{block}", "Blocks in a tier.", "tier", s =>
            [new("tier", "device", s.DeviceBlocks), new("tier", "host", s.HostBlocks), new("tier", "ssd", s.SsdBlocks)]);
        yield return EngineGauge("kvtier.tier.size", "By", "Payload bytes of the blocks in a tier.", "tier", s =>
            [new("tier", "host", s.HostBytes), new("tier", "ssd", s.SsdBytes)]);
        yield return EngineGauge("kvtier.tier.used", "By", "Bytes that a tier takes: slots in host memory, files on the disk.", "tier", s =>
            [new("tier", "host", s.HostSlotBytes), new("tier", "ssd", s.Log?.DiskBytes ?? 0)]);
        yield return EngineGauge("kvtier.tier.capacity", "By", "Bytes that a tier may take.", "tier", s =>
            [new("tier", "host", s.HostCapacityBytes), new("tier", "ssd", s.Log?.CapBytes ?? 0)]);
        yield return EngineGauge("kvtier.log.faulted", "{log}", "1 while the SSD tier reports a fault.", "", s =>
            [new("", "", s.Log?.Fault is null ? 0 : 1)]);
        yield return Counter("kvtier.ssd.read_errors", "{read}",
            "Reads that the SSD failed; to their clients they are misses of reason deadline.",
            "", s => [new("", "", s.SsdReadErrors)]);
        yield return Counter("kvtier.block.lost", "{block}",
            "Blocks evicted from memory, their only place, as the SSD tier refused them for long.",
            "", s => [new("", "", s.MemoryOnlyEvictions)]);
        yield return Counter("kvtier.log.unknown_namespace", "{record}",
            "Records found at start whose namespace is not registered; not served.",
            "", s => [new("", "", s.UnknownNamespaceRecords)]);
        yield return Counter("kvtier.log.doubtful_value", "{value}",
            "Values that can change, dropped at start as a damaged record may have replaced them.",
            "", s => [new("", "", s.DoubtfulValues)]);
        yield return Own("kvtier.log.abandoned", "{log}", "Logs that stopping left open, as the SSD held them past `ssdCloseMs`.", () =>
            metrics.StoresAbandoned);
        yield return EngineGauge("kvtier.slot.leased", "{slot}", "Slots leased for reading now.", "", s => [new("", "", s.LeasedSlots)]);
        yield return EngineGauge("kvtier.slot.scratch", "{slot}", "Slots that hold answers instead of blocks now.", "", s =>
            [new("", "", s.ScratchSlots)]);
        yield return EngineGauge("kvtier.slot.reserved", "{slot}", "Slots being written now.", "", s => [new("", "", s.ReservedSlots)]);
    }

    private IEnumerable<MetricDefinition> ConnectionMetrics()
    {
        yield return new MetricDefinition("kvtier.connection.accepted", MetricKind.Counter, "{connection}",
            "Connections accepted, by listener.", "listener",
            () => SiloMetrics.Listeners.Select((name, i) => new MetricSample("listener", name, metrics.Accepted(i))));
        yield return new MetricDefinition("kvtier.connection.open", MetricKind.Gauge, "{connection}", "Connections open now, by listener.",
            "listener",
            () => SiloMetrics.Listeners.Select((name, i) => new MetricSample("listener", name, metrics.Open(i))));
        yield return Own("kvtier.connection.refused", "{connection}", "Connections refused because there were too many.", () =>
            metrics.ConnectionsRefused);
        yield return Own("kvtier.connection.stalled", "{connection}", "Connections ended because the client stopped reading or sending.",
            () => metrics.ConnectionsStalled);
        yield return Own("kvtier.network.received", "By", "Bytes received by the native listeners.", () => metrics.BytesReceived);
        yield return Own("kvtier.network.sent", "By", "Bytes sent by the native listeners.", () => metrics.BytesSent);
        yield return new MetricDefinition("kvtier.request.errors", MetricKind.Counter, "{error}", "Errors sent to clients, by code.",
            "code",
            () => Enum.GetValues<ErrorCode>().Skip(1).Select(code => new MetricSample("code", code.ToString(), metrics.ErrorCount(code))));
        yield return new MetricDefinition(RequestDuration, MetricKind.Histogram, "s",
            "Time from a request's header to its answer, by opcode.", "opcode", () => []);
        yield return Own("kvtier.local.leases_expired", "{lease}", "Read leases of local clients that ran out.", () =>
            metrics.LeasesExpired);
        yield return Own("kvtier.local.reservations_revoked", "{reservation}", "Reservations of local clients that ran out.", () =>
            metrics.ReservationsRevoked);
        yield return Own("kvtier.resp.commands", "{command}", "Commands of RESP2 clients.", () => metrics.RespCommands);
    }

    private static MetricDefinition Own(string name, string unit, string help, Func<long> value) =>
        new(name, MetricKind.Counter, unit, help, "", () => [new MetricSample("", "", value())]);

    private static MetricDefinition Gauge(string name, string unit, string help, Func<double> value) =>
        new(name, MetricKind.Gauge, unit, help, "", () => [new MetricSample("", "", value())]);

    private MetricDefinition Counter(string name, string unit, string help, string label, Func<EngineStats,
        IEnumerable<MetricSample>> samples) =>
        new(name, MetricKind.Counter, unit, help, label, () => samples(engineStats()));

    private MetricDefinition EngineGauge(string name, string unit, string help, string label, Func<EngineStats,
        IEnumerable<MetricSample>> samples) =>
        new(name, MetricKind.Gauge, unit, help, label, () => samples(engineStats()));
}

using System.Diagnostics.Metrics;

namespace KvTier.Engine;

/// <summary>The engine's instruments, on the meter <c>KvTier.Engine</c>. Counters are read from the engine when they are collected, so
/// that hot paths pay nothing.</summary>
internal sealed class EngineMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    internal const string MeterName = "KvTier.Engine";

    private readonly Meter meter = new(MeterName);
    private readonly Histogram<double> readDuration;
    private readonly Histogram<double> commitDuration;
    private readonly Counter<long> readBytes;

    internal EngineMetrics(BlockEngine engine)
    {
        readDuration = meter.CreateHistogram<double>("kvtier.ssd.read.duration", "s", "Time to read a block from the log");
        commitDuration = meter.CreateHistogram<double>("kvtier.ssd.commit.duration", "s", "Time of a commit of the log");
        readBytes = meter.CreateCounter<long>("kvtier.ssd.read.size", "By", "Payload bytes read from the log");
        Gauge("kvtier.block.count", "{block}", "Blocks in a tier",
            () => [Of(engine.Stats.HostBlocks, "host"), Of(engine.Stats.SsdBlocks, "ssd")]);
        Gauge("kvtier.block.size", "By", "Payload bytes in a tier",
            () => [Of(engine.Stats.HostBytes, "host"), Of(engine.Stats.SsdBytes, "ssd")]);
        Gauge("kvtier.block.dirty", "{block}", "Blocks that are not in the log yet", () => [new(engine.Stats.DirtyBlocks)]);
        Gauge("kvtier.slot.leased", "{slot}", "Slots leased", () => [new(engine.Stats.LeasedSlots)]);
        Gauge("kvtier.block.pinned", "{block}", "Blocks pinned", () => [new(engine.Stats.PinnedBlocks)]);
        Count("kvtier.block.puts", "{block}", "Blocks stored", () => [new(engine.Stats.Puts)]);
        Count("kvtier.block.hits", "{block}", "Gets answered, by tier",
            () => [Of(engine.Stats.HostHits, "host"), Of(engine.Stats.SsdHits, "ssd")]);
        Count("kvtier.block.misses", "{block}", "Gets not answered, by reason", () => Misses(engine.Stats));
        Count("kvtier.block.ghost_hits", "{block}", "Misses that a larger host tier would have hit", () => [new(engine.Stats.GhostHits)]);
        Count("kvtier.block.evictions", "{block}", "Blocks that left a tier for others",
            () => [Of(engine.Stats.HostEvictions, "host"), Of(engine.Stats.SsdEvictions, "ssd")]);
        Count("kvtier.block.reappended", "{block}", "Blocks appended again because their segment was dropped",
            () => [new(engine.Stats.Reappended)]);
        Count("kvtier.block.corrupt", "{block}", "Blocks put into quarantine", () => [new(engine.Stats.CorruptBlocks)]);
        Count("kvtier.log.faults", "{fault}", "Appends, commits and reads that failed", () => [new(engine.Stats.LogFaults)]);
    }

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    /// <summary>A commit ended.</summary>
    internal void Committed(TimeSpan elapsed) => commitDuration.Record(elapsed.TotalSeconds);

    /// <summary>A read of the log ended.</summary>
    internal void Read(TimeSpan elapsed, int bytes)
    {
        readDuration.Record(elapsed.TotalSeconds);
        readBytes.Add(bytes);
    }

    private static Measurement<long> Of(long value, string tier) => new(value, new KeyValuePair<string, object?>("tier", tier));

    private static IEnumerable<Measurement<long>> Misses(EngineStats stats)
    {
        for (int reason = 1; reason < stats.Misses.Count; reason++)
        {
            yield return new(stats.Misses[reason], new KeyValuePair<string, object?>("reason", ((MissReason)reason).Name()));
        }
    }

    private void Gauge(string name, string unit, string text, Func<IEnumerable<Measurement<long>>> read) =>
        meter.CreateObservableUpDownCounter(name, read, unit, text);

    private void Count(string name, string unit, string text, Func<IEnumerable<Measurement<long>>> read) =>
        meter.CreateObservableCounter(name, read, unit, text);
}

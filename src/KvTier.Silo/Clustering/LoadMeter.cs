using KvTier.Cluster;
using KvTier.Engine;
using KvTier.Silo.Metrics;

namespace KvTier.Silo.Clustering;

/// <summary>Measures how the silo is doing, from one renewal of its lease to the next.</summary>
internal sealed class LoadMeter(BlockEngine engine, SiloMetrics metrics, TimeProvider time)
{
    private readonly Lock gate = new();
    private long requestsBefore;
    private long readAt = time.GetTimestamp();
    private double rate;

    /// <summary>The silo's load; requests a second are those since the call before.</summary>
    public SiloLoad Read()
    {
        EngineStats stats = engine.Stats;
        lock (gate)
        {
            long requests = metrics.RequestsTotal;
            double seconds = time.GetElapsedTime(readAt).TotalSeconds;
            if (seconds >= 0.1)
            {
                rate = (requests - requestsBefore) / seconds;
                requestsBefore = requests;
                readAt = time.GetTimestamp();
            }

            return new SiloLoad
            {
                UsedBytes = engine.UsedBytes,
                Blocks = Enumerable.Range(0, engine.Namespaces.Count).Sum(ns => engine.Count((ushort)ns)),
                HostBytes = stats.HostBytes,
                RequestsPerSecond = rate,
            };
        }
    }
}

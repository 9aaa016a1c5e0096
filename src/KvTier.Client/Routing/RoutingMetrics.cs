using System.Diagnostics.Metrics;

namespace KvTier.Client.Routing;

/// <summary>Instruments of routing, on the meter <c>KvTier.Client</c>.</summary>
internal sealed class RoutingMetrics : IDisposable
{
    private readonly Meter meter = new(Metrics.ClientMetrics.MeterName);
    private readonly Counter<long> reroutedCounter;
    private readonly Counter<long> hedgedCounter;
    private long rerouted;
    private long hedged;
    private long hedgesWon;

    public RoutingMetrics()
    {
        reroutedCounter = meter.CreateCounter<long>("kvtier.client.route.again", "{block}", "Blocks that were routed anew.");
        hedgedCounter = meter.CreateCounter<long>("kvtier.client.hedges", "{request}", "Gets that a second silo was asked, by outcome.");
    }

    public long ReroutedBlocks => Volatile.Read(ref rerouted);

    public long Hedges => Volatile.Read(ref hedged);

    public long HedgesWon => Volatile.Read(ref hedgesWon);

    public void Rerouted(int blocks)
    {
        Interlocked.Add(ref rerouted, blocks);
        reroutedCounter.Add(blocks);
    }

    public void HedgeBegun() => Interlocked.Increment(ref hedged);

    public void HedgeEnded(bool won)
    {
        if (won) Interlocked.Increment(ref hedgesWon);
        hedgedCounter.Add(1, new KeyValuePair<string, object?>("outcome", won ? "won" : "lost"));
    }

    public void Dispose() => meter.Dispose();
}

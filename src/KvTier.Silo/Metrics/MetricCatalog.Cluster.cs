using KvTier.Cluster;
using KvTier.Silo.Clustering;

namespace KvTier.Silo.Metrics;

/// <content>The metrics of a silo in a cluster; outside of one all are 0.</content>
internal sealed partial class MetricCatalog
{
    private IEnumerable<MetricDefinition> ClusterMetrics()
    {
        yield return ClusterGauge("kvtier.cluster.epoch", "{epoch}", "Epoch of the silo's map.", c => c.Map.Epoch);
        yield return ClusterGauge("kvtier.cluster.members", "{silo}", "Silos in the map.", c => c.Map.Silos.Count);
        yield return ClusterGauge("kvtier.cluster.alive", "{silo}", "Silos whose lease holds, as etcd last said.",
            c => c.Membership.State.Alive.Count);
        yield return ClusterGauge("kvtier.cluster.member", "{silo}", "1 while this silo is in the map.", c => c.IsMember ? 1 : 0);
        yield return ClusterGauge("kvtier.cluster.authority", "{silo}", "1 while this silo may change things as the owner.",
            c => c.Membership.MayWrite ? 1 : 0);
        yield return ClusterGauge("kvtier.cluster.engine_away", "{silo}", "1 while etcd can't be reached, or the silo is no member.",
            c => c.Membership.Problem is null ? 0 : 1);
        yield return ClusterGauge("kvtier.cluster.settled", "{silo}", "1 while this silo has nothing left that others are to hold.",
            c => c.Node.Stats.IsSettled ? 1 : 0);
        yield return ClusterGauge("kvtier.cluster.moved_groups", "{group}", "Groups moved away from where hashing puts them.",
            c => c.Map.Moved.Count);
        yield return NodeGauge("kvtier.cluster.replication_queue", "{block}", "Blocks that wait to be copied to other holders.",
            s => s.QueuedBlocks);
        yield return NodeGauge("kvtier.cluster.hot_groups", "{group}", "Groups of this silo with one copy more, as they are read much.",
            s => s.HotGroups);
        foreach (MetricDefinition counter in ClusterCounterList()) yield return counter;
    }

    private IEnumerable<MetricDefinition> ClusterCounterList()
    {
        yield return NodeCounter("kvtier.cluster.pushes", "{push}", "Pushes of blocks to other silos.", s => s.Pushes);
        yield return NodeCounter("kvtier.cluster.pushed_blocks", "{block}", "Blocks that other silos stored of them.", s => s.PushedBlocks);
        yield return NodeCounter("kvtier.cluster.pushed", "By", "Bytes of these blocks.", s => s.PushedBytes);
        yield return NodeCounter("kvtier.cluster.push_failures", "{push}", "Pushes that came to no answer.", s => s.PushFailures);
        yield return NodeCounter("kvtier.cluster.replica_failures", "{block}",
            "Blocks that were asked to be replicated before the answer, and were not.", s => s.ReplicaFailures);
        yield return NodeCounter("kvtier.cluster.queue_overflows", "{block}", "Blocks that found the queue of copies full.",
            s => s.QueueOverflow);
        yield return NodeCounter("kvtier.cluster.handed_over_blocks", "{block}", "Blocks handed to silos that are to hold them.",
            s => s.HandedOverBlocks);
        yield return NodeCounter("kvtier.cluster.handed_over", "By", "Bytes of these blocks.", s => s.HandedOverBytes);
        yield return NodeCounter("kvtier.cluster.dropped_blocks", "{block}", "Blocks dropped because others hold them.", s => s.Dropped);
        yield return NodeCounter("kvtier.cluster.mutable_dropped", "{value}",
            "Values of RESP2 clients dropped because another silo may have changed them meanwhile.", s => s.MutableDropped);
        yield return NodeCounter("kvtier.cluster.read_through_asked", "{block}", "Misses for which other silos were asked.",
            s => s.ReadThroughAsked);
        yield return NodeCounter("kvtier.cluster.read_through_blocks", "{block}", "Blocks that came so.", s => s.ReadThroughBlocks);
        yield return NodeCounter("kvtier.cluster.read_through", "By", "Bytes of these blocks.", s => s.ReadThroughBytes);
        yield return new MetricDefinition(
            "kvtier.cluster.migrations", MetricKind.Counter, "{group}", "Moves of groups begun here.", "result",
            () => [new("result", "done", Stats.MigrationsDone), new("result", "failed", Stats.MigrationsFailed)]);
        yield return NodeCounter("kvtier.cluster.moved_answers", "{item}", "Blocks and values asked for that another silo owns.",
            s => s.Moved);
        yield return NodeCounter("kvtier.cluster.fenced_answers", "{item}",
            "Puts and changes refused because the silo could not show that it may write.", s => s.Fenced);
        yield return new MetricDefinition("kvtier.cluster.peer_errors", MetricKind.Counter, "{call}",
            "Calls and pushes to other silos that failed.", "", () => [new("", "", metrics.Cluster.PeerErrors)]);
        yield return new MetricDefinition("kvtier.cluster.forwarded_commands", MetricKind.Counter, "{command}",
            "Commands of RESP2 clients that other silos answered.", "", () => [new("", "", metrics.Cluster.Forwarded)]);
    }

    /// <summary>The silo's part in its cluster; null outside of one, and before the silo listens.</summary>
    public SiloCluster? Cluster { get; set; }

    private ClusterStats Stats => Cluster?.Node.Stats ?? new ClusterStats();

    private MetricDefinition ClusterGauge(string name, string unit, string help, Func<SiloCluster, double> value) =>
        Gauge(name, unit, help, () => Cluster is { } cluster ? value(cluster) : 0);

    private MetricDefinition NodeGauge(string name, string unit, string help, Func<ClusterStats, double> value) =>
        Gauge(name, unit, help, () => value(Stats));

    private MetricDefinition NodeCounter(string name, string unit, string help, Func<ClusterStats, double> value) =>
        new(name, MetricKind.Counter, unit, help, "", () => [new MetricSample("", "", value(Stats))]);
}

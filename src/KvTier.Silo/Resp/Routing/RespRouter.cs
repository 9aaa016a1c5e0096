using KvTier.Cluster;
using KvTier.Silo.Clustering;

namespace KvTier.Silo.Resp.Routing;

/// <summary>What the RESP2 listener knows of the cluster: whose a key is, and the way there.</summary>
internal sealed class RespRouter(SiloCluster cluster, byte[]? password, TimeProvider time) : IDisposable
{
    /// <summary>The newest map this silo knows.</summary>
    public ClusterMap Map => cluster.Map;

    /// <summary>This silo's part in the cluster.</summary>
    public ClusterNode Node => cluster.Node;

    /// <summary>Index of this silo in the map; -1 when it is not in it.</summary>
    public int Self => Map.IndexOf(cluster.Membership.Self.Name);

    /// <summary>True while this silo may change what it owns.</summary>
    public bool MayWrite => cluster.Membership.MayWrite;

    /// <summary>Connections to the other listeners.</summary>
    public RespLinks Links { get; } = new(password, time);

    /// <summary>Counts a command that another silo answered.</summary>
    public void Forwarded() => cluster.Counters.CommandForwarded();

    /// <summary>Counts one that another silo did not answer.</summary>
    public void Failed() => cluster.Counters.PeerFailed();

    /// <inheritdoc/>
    public void Dispose() => Links.Dispose();
}

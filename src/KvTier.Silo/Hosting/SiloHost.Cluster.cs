using KvTier.Silo.Clustering;
using KvTier.Silo.Native;
using KvTier.Silo.Sequences;

namespace KvTier.Silo;

/// <content>The cluster's place in the silo.</content>
public sealed partial class SiloHost
{
    private ClusterSequences? sequences;

    /// <summary>The cluster as this silo sees it; null outside of one.</summary>
    public ClusterStatus? ClusterStatus => cluster?.Status();

    /// <summary>The silo's part in its cluster; tests look at it.</summary>
    internal SiloCluster? Cluster => cluster;

    /// <summary>The sequences, of the cluster where there is one; tests look at them.</summary>
    internal KvTier.Recall.ISequences Sequences => sequences ?? (KvTier.Recall.ISequences)store!.Recall;

    /// <summary>Makes the silo's part in its cluster, once the listeners have their ports.</summary>
    private KvError? MakeCluster(NativeContext context)
    {
        if (!SiloSelf.ReadDataId(store!.Directory).TryGet(out string? dataId, out KvError? error)) return error;
        SiloEntry self = SiloSelf.Describe(options, Endpoints, dataId);
        if (!SiloCluster.Create(options, self, store, metrics, time, logger).TryGet(out cluster, out error)) return error;
        sequences = new ClusterSequences(
            store.Recall, store.Engine, cluster.Membership, cluster.Node, cluster.Peers, store.Namespaces.Open, time);
        cluster.Sequences = sequences;
        context.Sequences = sequences;
        context.Cluster = cluster;
        cluster.Engines = desk;
        desk!.Cluster = cluster;
        catalog.Cluster = cluster;
        respListener?.Join(cluster);
        return null;
    }

    /// <summary>Joins the cluster; other silos are answered already.</summary>
    private async ValueTask<KvError?> JoinAsync()
    {
        SetState(SiloState.Joining);
        KvError? error = await cluster!.JoinAsync(store!.Recall.RestoredEpoch);
        if (error is null) sequences!.Start();
        return error;
    }
}

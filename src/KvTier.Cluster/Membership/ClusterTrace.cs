namespace KvTier.Cluster;

/// <summary>What a silo that starts still knows of the cluster that it was in; nothing by default.</summary>
/// <param name="Epoch">The highest epoch that it knows of; 0 for none.</param>
/// <param name="Silos">Silos of the map of that epoch.</param>
public readonly record struct ClusterTrace(long Epoch, int Silos)
{
    /// <summary>The same with an epoch that is known from elsewhere, if that is higher.</summary>
    public ClusterTrace Raise(long epoch) => epoch > Epoch ? this with { Epoch = epoch } : this;
}

namespace KvTier.Recall;

/// <summary>The clusters of an index as a choice reads them.</summary>
/// <param name="Shape">Which rows a cluster has.</param>
/// <param name="Segments">The clusters.</param>
/// <param name="Tokens">Tokens covered.</param>
internal readonly record struct ClusterView(ChunkShape Shape, List<ClusterSegment> Segments, int Tokens)
{
    /// <summary>Clusters of all segments.</summary>
    internal int Clusters
    {
        get
        {
            int sum = 0;
            foreach (ClusterSegment segment in Segments) sum += segment.Clusters;
            return sum;
        }
    }

    /// <summary>Finds a cluster's segment.</summary>
    /// <param name="cluster">The cluster, counted over all segments; becomes its number in the segment.</param>
    internal ClusterSegment Locate(ref int cluster)
    {
        foreach (ClusterSegment segment in Segments)
        {
            if (cluster < segment.Clusters) return segment;
            cluster -= segment.Clusters;
        }

        throw new ArgumentOutOfRangeException(nameof(cluster));
    }
}

namespace KvTier.Kernels;

/// <summary>Rows put together by k-means.</summary>
/// <param name="Centroids">The mean of each cluster's rows, fp32 <c>[k, D]</c>; of an empty cluster where it last was.</param>
/// <param name="Sizes">Rows of each cluster, <c>[k]</c>.</param>
/// <param name="Assignments">The cluster of each row, <c>[n]</c>.</param>
public sealed record Clusters(float[] Centroids, int[] Sizes, int[] Assignments);

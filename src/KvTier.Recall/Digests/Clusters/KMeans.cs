using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// k-means of keys, from evenly spaced keys on, so that it always ends the same. Spherical (RetroInfer): keys without their mean, centres
/// of length one, the largest inner product; or Euclidean (vector quantisation).
/// </summary>
internal sealed class KMeans(int dim, bool spherical)
{
    private const int Iterations = 10;
    private float[] centres = [];
    private float[] scores = [];

    /// <summary>Clusters keys.</summary>
    /// <param name="keys">Keys <c>[n, D]</c>; their mean is taken off when clustering is spherical.</param>
    /// <param name="clusters">Clusters (K), at most n.</param>
    /// <param name="clusterOf">Receives the cluster of each key.</param>
    internal void Run(Span<float> keys, int clusters, Span<int> clusterOf)
    {
        int count = keys.Length / dim;
        Grow(ref centres, (clusters + 1) * dim);
        Grow(ref scores, clusters * count);
        if (spherical) Centre(keys, count);
        for (int c = 0; c < clusters; c++)
            keys.Slice((int)((long)c * count / clusters) * dim, dim).CopyTo(centres.AsSpan(c * dim));
        for (int i = 0; i < Iterations; i++)
        {
            if (spherical) NormaliseCentres(clusters);
            Assign(keys, count, clusters, clusterOf);
            if (i + 1 < Iterations) MoveCentres(keys, clusters, clusterOf);
        }
    }

    private void Centre(Span<float> keys, int count)
    {
        Span<float> mean = centres.AsSpan(0, dim);
        KeyStatistics.Mean(keys, count, mean);
        for (int t = 0; t < count; t++) RowMath.Subtract(keys.Slice(t * dim, dim), mean);
    }

    private void NormaliseCentres(int clusters)
    {
        for (int c = 0; c < clusters; c++)
        {
            Span<float> centre = centres.AsSpan(c * dim, dim);
            float length = MathF.Sqrt(RowMath.Dot(centre, centre));
            if (length > 0) RowMath.Scale(centre, 1 / length);
        }
    }

    private void Assign(ReadOnlySpan<float> keys, int count, int clusters, Span<int> clusterOf)
    {
        ReadOnlySpan<float> all = centres.AsSpan(0, clusters * dim);
        RowDot.Dot(Dtype.Float32, MemoryMarshal.AsBytes(keys), count, dim, all, clusters, [], scores, count);
        for (int t = 0; t < count; t++) clusterOf[t] = 0;
        for (int c = 0; c < clusters; c++)
        {
            // |k - c|² is least where k·c - |c|² / 2 is largest.
            ReadOnlySpan<float> centre = all.Slice(c * dim, dim);
            RowMath.AddConstant(scores.AsSpan(c * count, count), spherical ? 0 : -RowMath.Dot(centre, centre) / 2);
            for (int t = 0; t < count; t++)
                if (scores[(c * count) + t] > scores[(clusterOf[t] * count) + t]) clusterOf[t] = c;
        }
    }

    // A centre without keys stays where it is.
    private void MoveCentres(ReadOnlySpan<float> keys, int clusters, ReadOnlySpan<int> clusterOf)
    {
        Span<float> sum = centres.AsSpan(clusters * dim, dim);
        for (int c = 0; c < clusters; c++)
        {
            sum.Clear();
            int size = 0;
            for (int t = 0; t < clusterOf.Length; t++)
            {
                if (clusterOf[t] != c) continue;
                RowMath.Add(sum, keys.Slice(t * dim, dim));
                size++;
            }

            if (size == 0) continue;
            RowMath.Scale(sum, 1f / size);
            sum.CopyTo(centres.AsSpan(c * dim));
        }
    }

    private static void Grow(ref float[] array, int length)
    {
        if (array.Length < length) array = new float[length];
    }
}

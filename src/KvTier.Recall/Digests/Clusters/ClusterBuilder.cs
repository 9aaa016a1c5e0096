using System.Runtime.InteropServices;
using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Builds segments of clusters: provisional ones of a block's chunks, and k-means ones of a run of blocks.</summary>
internal sealed class ClusterBuilder
{
    private const float LargestNumber = 1e15f;
    private const int Iterations = 10;

    /// <summary>Seed of every codebook's start, so that the same keys and queries give the same codes.</summary>
    private const int Seed = 1;
    private readonly BlockLayout layout;
    private readonly ChunkShape shape;
    private readonly BlockRows rows;
    private readonly LearntMetrics? metrics;
    private readonly float limit;
    private readonly int dim;

    /// <summary>Makes a builder.</summary>
    /// <param name="shape">Which rows a cluster has.</param>
    /// <param name="layout">Layout of the profile's blocks.</param>
    /// <param name="rotation">How stored keys are rotated before use; null when they are stored rotated.</param>
    /// <param name="metrics">What codebooks are trained under; null for centroids.</param>
    internal ClusterBuilder(ChunkShape shape, BlockLayout layout, RopeRotation? rotation, LearntMetrics? metrics)
    {
        this.shape = shape;
        this.layout = layout;
        dim = layout.HeadDim;
        rows = new BlockRows(layout, rotation);
        this.metrics = metrics;
        limit = shape.Dtype == Dtype.Float16 ? (float)Half.MaxValue : LargestNumber;
    }

    /// <summary>Makes every chunk of a block a cluster (LouisKV: what is generated stays in runs), and keeps the payload, which is
    /// empty for a block that is gone.</summary>
    /// <param name="block">Number of the block in the index.</param>
    /// <param name="tokens">Tokens in it.</param>
    /// <param name="payload">Its payload.</param>
    /// <param name="position">Number of the block in the sequence.</param>
    internal ClusterSegment BuildBlock(int block, int tokens, ReadOnlySpan<byte> payload, int position)
    {
        var kept = new SharedNumbers(Math.Max(1, (payload.Length + sizeof(float) - 1) / sizeof(float)));
        if (!payload.IsEmpty) payload.CopyTo(Bytes(kept));
        int clusters = (tokens + shape.Spec.ChunkTokens - 1) / shape.Spec.ChunkTokens;
        var segment = new ClusterSegment(NewRows(clusters), (long)block * layout.BlockTokens, tokens, clusters, kept)
        {
            IsAbsent = payload.IsEmpty,
            Position = position,
        };
        Fill(segment, [segment], provisional: true);
        return segment;
    }

    /// <summary>Clusters the tokens of full blocks.</summary>
    /// <param name="blocks">Their provisional segments, in order; they stay the caller's.</param>
    /// <param name="clusters">Clusters of each head (K).</param>
    internal ClusterSegment Cluster(ReadOnlySpan<ClusterSegment> blocks, int clusters)
    {
        var segment = new ClusterSegment(
            NewRows(clusters), blocks[0].FirstToken, blocks.Length * layout.BlockTokens, clusters, payload: null);
        Fill(segment, blocks, provisional: false);
        return segment;
    }

    private DigestSegment NewRows(int clusters) => new(new SegmentLayout(shape, layout.Layers * layout.KvHeads, clusters));

    private static Span<byte> Bytes(SharedNumbers numbers) => MemoryMarshal.AsBytes(numbers.Slice(0, (int)numbers.Length));

    private void Fill(ClusterSegment segment, ReadOnlySpan<ClusterSegment> blocks, bool provisional)
    {
        int tokens = segment.Tokens;
        int heads = layout.Layers * layout.KvHeads;
        float[] keys = new float[heads == 0 ? 0 : tokens * dim];
        float[] good = new float[tokens * dim];
        float[] values = new float[tokens * dim];
        int[] clusterOf = new int[tokens];
        for (int head = 0; head < heads; head++)
        {
            Read(blocks, head, keys, values);
            int count = 0;
            for (int t = 0; t < tokens; t++)
            {
                bool holds = RowMath.MaxAbs(keys.AsSpan(t * dim, dim)) <= limit;
                // A chunk's number would pass for "none" where there are fewer clusters than chunks.
                clusterOf[t] = !holds ? segment.Clusters : provisional ? t / shape.Spec.ChunkTokens : 0;
                if (!holds) continue;
                keys.AsSpan(t * dim, dim).CopyTo(good.AsSpan(count++ * dim));
            }

            if (!provisional && count > 0)
            {
                int[] goodOf = Assign(good.AsSpan(0, count * dim), Math.Min(segment.Clusters, count), head);
                for (int t = 0, next = 0; t < tokens; t++)
                    if (clusterOf[t] != segment.Clusters) clusterOf[t] = goodOf[next++];
            }

            segment.SetMembers(head, clusterOf);
            PutRows(segment, head, keys, values);
        }
    }

    // The cluster of each key: spherical k-means for centroids (RetroInfer), a codebook under the queries' metric for vq (A²ATS).
    private int[] Assign(ReadOnlySpan<float> keys, int clusters, int head)
    {
        if (metrics is null) return KMeans.Spherical(keys, dim, clusters, Iterations).Assignments;
        ushort[] codes = new ushort[keys.Length / dim];
        VqCodebook.Train(keys, metrics.Of(head), clusters, Iterations, new Random(Seed)).Encode(keys, codes);
        return Array.ConvertAll(codes, code => (int)code);
    }

    private void Read(ReadOnlySpan<ClusterSegment> blocks, int head, Span<float> keys, Span<float> values)
    {
        int at = 0;
        foreach (ClusterSegment block in blocks)
        {
            ReadOnlySpan<byte> payload = block.IsAbsent ? [] : Bytes(block.Payload!);
            rows.MoveTo(block.Position);
            rows.Keys(payload, head / layout.KvHeads, head % layout.KvHeads, 0, block.Tokens, keys[at..]);
            rows.Values(payload, head / layout.KvHeads, head % layout.KvHeads, 0, block.Tokens, values[at..]);
            at += block.Tokens * dim;
        }
    }

    private void PutRows(ClusterSegment segment, int head, ReadOnlySpan<float> keys, ReadOnlySpan<float> values)
    {
        float[] sum = new float[dim];
        for (int cluster = 0; cluster < segment.Clusters; cluster++)
        {
            ReadOnlySpan<ushort> members = segment.Members(head, cluster);
            if (members.IsEmpty) continue;
            Mean(members, keys, sum);
            Put(segment, head, RowPart.Main, cluster, sum);
            if (shape.RowLength(RowPart.Value) == 0) continue;
            Mean(members, values, sum);
            bool holds = RowMath.MaxAbs(sum) <= limit;
            segment.Rows.Flags(head)[cluster] = holds ? ChunkFlags.None : ChunkFlags.NoEstimate;
            if (holds) Put(segment, head, RowPart.Value, cluster, sum);
        }
    }

    private void Mean(ReadOnlySpan<ushort> members, ReadOnlySpan<float> numbers, Span<float> mean)
    {
        mean.Clear();
        foreach (ushort token in members) RowMath.Add(mean, numbers.Slice(token * dim, dim));
        RowMath.Scale(mean, 1f / members.Length);
    }

    private void Put(ClusterSegment segment, int head, RowPart part, int cluster, ReadOnlySpan<float> row)
    {
        float scale = RowForm.Nearest(shape.Dtype, row, segment.Rows.Rows(head, part, cluster, 1));
        if (shape.HasScales) segment.Rows.Scales(head, part, cluster, 1)[0] = scale;
    }
}

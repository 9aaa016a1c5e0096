namespace KvTier.Recall;

/// <summary>
/// Builds the upper level: a node's row bounds, channel by channel, the stored rows by which the chunks below it are scored, so that no
/// chunk's score is above its node's.
/// </summary>
internal sealed class NodeBuilder(ChunkShape shape)
{
    private readonly int dim = shape.HeadDim;
    private readonly float[] hull = new float[2 * shape.HeadDim];
    private readonly float[] row = new float[2 * shape.HeadDim];

    /// <summary>Builds the nodes over some chunks of a segment anew.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="firstChunk">First chunk that changed.</param>
    /// <param name="chunks">Chunks of the segment.</param>
    /// <param name="lastRows">Main rows of the last chunk, which may have fewer sub-chunks.</param>
    internal void Build(DigestSegment segment, int head, int firstChunk, int chunks, int lastRows)
    {
        int fanout = shape.Spec.Fanout;
        int perChunk = shape.HullPart == RowPart.Main ? shape.Spec.SubChunks : 1;
        for (int node = firstChunk / fanout; node * fanout < chunks; node++)
        {
            int end = Math.Min(chunks, (node + 1) * fanout);
            hull.AsSpan(0, dim).Fill(float.NegativeInfinity);
            hull.AsSpan(dim).Fill(float.PositiveInfinity);
            for (int chunk = node * fanout; chunk < end; chunk++)
            {
                if (segment.Flags(head)[chunk].HasFlag(ChunkFlags.Quarantined)) continue;
                int rows = chunk == chunks - 1 ? Math.Min(perChunk, lastRows) : perChunk;
                for (int r = 0; r < rows; r++) Widen(segment, head, (chunk * perChunk) + r);
            }

            if (float.IsNegativeInfinity(hull[0])) hull.AsSpan().Clear();
            float scale = RowForm.Outward(shape.Dtype, hull, segment.Rows(head, RowPart.Nodes, node, 1));
            if (shape.HasScales) segment.Scales(head, RowPart.Nodes, node, 1)[0] = scale;
        }
    }

    private void Widen(DigestSegment segment, int head, int index)
    {
        int length = shape.RowLength(shape.HullPart);
        float scale = shape.HasScales ? segment.Scales(head, shape.HullPart, index, 1)[0] : 1;
        RowForm.Decode(shape.Dtype, segment.Rows(head, shape.HullPart, index, 1), scale, row.AsSpan(0, length));
        RowMath.Max(hull.AsSpan(0, dim), row.AsSpan(0, dim));
        RowMath.Min(hull.AsSpan(dim), row.AsSpan(length - dim, dim));
    }
}

using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Estimates the attention over the chunks that were not chosen: a chunk of n tokens stands as n · e^score in the denominator and as that
/// times its values' mean in the numerator, its peaks as the tokens they are. With a value map the mean is moved to where the chunk's mass
/// lies: along the keys' directions and, channel by channel, with the query.
/// </summary>
internal readonly ref struct ChunkEstimator(ChunkView view, int head, ScoreTable table, Selection selection)
{
    /// <summary>Shares of the mass below this are dropped.</summary>
    private const float ShareMin = 1e-7f;
    private readonly ChunkShape shape = view.Shape;

    /// <summary>Writes the estimate.</summary>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="share">Share of the chunks that are estimated at most, best first by <see cref="ScoreTable.Keys"/>.</param>
    internal void Write(int kvHead, double share)
    {
        LeaveOutFlagged();
        int most = (int)Math.Ceiling(share * table.Units);
        if (most < table.Units) LeaveOutWorst(table.Forced, most);
        WriteKept(kvHead);
    }

    /// <summary>Writes the estimate of some chunks.</summary>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="only">Those chunks.</param>
    internal void WriteOnly(int kvHead, ReadOnlySpan<int> only)
    {
        table.Forced.Fill(1);
        foreach (int chunk in only) table.Forced[chunk] = 0;
        LeaveOutFlagged();
        WriteKept(kvHead);
    }

    private void WriteKept(int kvHead)
    {
        long estimated = KeepWhatIsEstimated();
        if (estimated == 0) return;
        int size = table.Queries * shape.HeadDim;
        Span<float> room = table.Room.Queries(3 * size);
        Span<float> sums = room[..size];
        room.Clear();
        AddRows(RowPart.Value, table.RestMasses, squares: false, sums);
        for (int p = 0; p < table.Peaks; p++) AddRows(RowPart.PeakValue + p, table.PeakPlane(p), squares: false, sums);
        ReadOnlySpan<float> map = view.Maps is null ? [] : view.Maps.Map(head);
        if (!map.IsEmpty) AddShifts(map, sums, room.Slice(size, size), room.Slice(2 * size, size));

        AttentionPart part = selection.MakeEstimate(kvHead, table.Queries, shape.HeadDim);
        for (int q = 0; q < table.Queries; q++)
        {
            float weight = RowMath.Sum(table.Line(table.RestMasses, q));
            for (int p = 0; p < table.Peaks; p++) weight += RowMath.Sum(table.Line(table.PeakPlane(p), q));
            if (!(weight > 0)) continue;
            Span<float> value = sums.Slice(q * shape.HeadDim, shape.HeadDim);
            RowMath.Scale(value, 1 / weight);
            part.AddRow(q, table.Maxima[q], weight, value);
        }

        selection.AddCost(0, estimated * shape.RowBytes(RowPart.Value) * (1 + table.Peaks));
    }

    // num += Wᵀ (z + q o s): z along the directions, s the variances, each weighted by mass.
    private void AddShifts(ReadOnlySpan<float> map, Span<float> sums, Span<float> along, Span<float> across)
    {
        for (int r = 0; r <= shape.Spec.Rank; r++)
        {
            RowMath.Multiply(table.Plane(r), table.RestMasses);
            if (r == 0) AddRows(RowPart.Sigma, table.Plane(0), squares: true, across);
            else AddRows(RowPart.Direction + (r - 1), table.Plane(r), squares: false, along);
        }

        RowMath.Multiply(across, table.Forms.Plain);
        RowMath.Add(along, across);
        int dim = shape.HeadDim;
        for (int q = 0; q < table.Queries; q++)
            for (int i = 0; i < dim; i++) RowMath.AddScaled(sums.Slice(q * dim, dim), map.Slice(i * dim, dim), along[(q * dim) + i]);
    }

    private void LeaveOutFlagged()
    {
        Span<byte> left = table.Forced;
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<ChunkFlags> flags = view.Store[s].Flags(head)[..view.ChunksOf(s)];
            for (int c = flags.IndexOfAnyExcept(ChunkFlags.None); c >= 0 && c < flags.Length; c++)
                if (flags[c] != ChunkFlags.None) left[(s * shape.ChunksPerSegment) + c] = 1;
        }
    }

    // Takes the mass of everything else away; returns how many chunks are left.
    private long KeepWhatIsEstimated()
    {
        Span<byte> left = table.Forced;
        Span<float> kept = table.Room.Numbers(table.Units);
        for (int u = 0; u < table.Units; u++) kept[u] = 1 - left[u];
        for (int q = 0; q < table.Queries; q++)
        {
            float least = ShareMin * table.Totals[q];
            Keep(table.RestMasses.Slice(q * table.Stride, table.Stride), kept, least);
            for (int p = 0; p < table.Peaks; p++) Keep(table.PeakPlane(p).Slice(q * table.Stride, table.Stride), kept, least);
        }

        return table.Units - left.Count((byte)1);
    }

    private void Keep(Span<float> line, ReadOnlySpan<float> kept, float least)
    {
        line[table.Units..].Clear();
        RowMath.Keep(line[..table.Units], kept, least);
    }

    private void LeaveOutWorst(Span<byte> left, int most)
    {
        for (int u = 0; u < table.Units; u++)
            if (left[u] != 0) table.Keys[u] = float.NaN;
        Span<int> order = table.Room.Order(most);
        int found = TopK.Select(table.Keys, most, order);
        left.Fill(1);
        foreach (int u in order[..found]) left[u] = 0;
    }

    private void AddRows(RowPart part, ReadOnlySpan<float> weights, bool squares, Span<float> sums)
    {
        for (int s = 0; s < view.Store.Count; s++)
        {
            DigestSegment segment = view.Store[s];
            int chunks = view.ChunksOf(s);
            WeightedRows.Add(
                shape.Dtype,
                segment.Rows(head, part, 0, chunks),
                chunks,
                shape.RowLength(part),
                weights[(s * shape.ChunksPerSegment)..],
                table.Stride,
                table.Queries,
                shape.HasScales ? segment.Scales(head, part, 0, chunks) : [],
                squares,
                sums);
        }
    }
}

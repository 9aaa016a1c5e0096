using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Estimates the attention over the chunks that were not chosen: a chunk of n tokens stands as n · e^score in the denominator and as that
/// times its mean value in the numerator.
/// </summary>
internal readonly ref struct ChunkEstimator(ChunkView view, int head, ScoreTable table, Selection selection)
{
    /// <summary>Where the tilt of a value flattens out: estimated far along the main direction, few keys of a chunk lie there.</summary>
    private const float TiltMax = 1.5f;
    private readonly ChunkShape shape = view.Shape;

    /// <summary>Writes the estimate.</summary>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="share">Share of the chunks that are estimated at most, best first by <see cref="ScoreTable.Keys"/>.</param>
    internal void Write(int kvHead, double share)
    {
        long estimated = KeepWhatIsEstimated(share);
        if (estimated == 0) return;
        int dim = shape.HeadDim;
        Span<float> sums = table.Room.Queries(table.Queries * dim);
        sums.Clear();
        AddRows(RowPart.Value, sums);
        Span<float> weights = table.Room.Numbers(table.Queries);
        for (int q = 0; q < table.Queries; q++) weights[q] = RowMath.Sum(table.Line(table.Masses, q));
        if (shape.Spec.Tilt)
        {
            for (int q = 0; q < table.Queries; q++) TiltMasses(table.Line(table.Masses, q), table.Line(table.Tilts, q));
            AddRows(RowPart.Tilt, sums);
        }

        AttentionPart part = selection.MakeEstimate(kvHead, table.Queries, dim);
        for (int q = 0; q < table.Queries; q++)
        {
            if (!(weights[q] > 0)) continue;
            Span<float> value = sums.Slice(q * dim, dim);
            RowMath.Scale(value, 1 / weights[q]);
            part.AddRow(q, table.Maxima[q], weights[q], value);
        }

        selection.DigestBytes += estimated * (shape.RowBytes(RowPart.Value) + shape.RowBytes(RowPart.Tilt));
    }

    // Takes the mass of everything else away; returns how many chunks are left.
    private long KeepWhatIsEstimated(double share)
    {
        Span<byte> left = table.Forced;
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<ChunkFlags> flags = view.Store[s].Flags(head)[..view.ChunksOf(s)];
            for (int c = flags.IndexOfAnyExcept(ChunkFlags.None); c >= 0 && c < flags.Length; c++)
                if (flags[c] != ChunkFlags.None) left[(s * shape.ChunksPerSegment) + c] = 1;
        }

        int most = (int)Math.Ceiling(share * table.Units);
        if (most < table.Units) LeaveOutWorst(left, most);
        long estimated = 0;
        for (int u = 0; u < table.Units; u++)
        {
            if (left[u] == 0)
            {
                estimated++;
                continue;
            }

            for (int q = 0; q < table.Queries; q++) table.Masses[(q * table.Stride) + u] = 0;
        }

        return estimated;
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

    private void AddRows(RowPart part, Span<float> sums)
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
                table.Masses[(s * shape.ChunksPerSegment)..],
                table.Stride,
                table.Queries,
                shape.HasScales ? segment.Scales(head, part, 0, chunks) : [],
                sums);
        }
    }

    // The mean position of a chunk's mass along its main direction is t deviations: the value moves by t times its tilt.
    private static void TiltMasses(Span<float> masses, ReadOnlySpan<float> alongs)
    {
        for (int u = 0; u < masses.Length; u++)
            if (masses[u] > 0) masses[u] *= TiltMax * MathF.Tanh(alongs[u] / TiltMax);
    }
}

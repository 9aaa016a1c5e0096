using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Scores chunks by their moments: the mean score, plus what the spread of the keys adds to a chunk's log-mean-exp
/// (<see cref="MomentCurve"/>), held below the min/max bound (<see cref="MomentBound"/>). Peaks are scored by themselves: they and the rest
/// together are a chunk's mass.
/// </summary>
internal readonly ref struct MomentScorer(ChunkView view, int head, ScoreTable table)
{
    private readonly ChunkShape shape = view.Shape;
    private readonly int rank = view.Shape.Spec.Rank;
    private readonly int peaks = view.Shape.Spec.Peaks;

    /// <summary>Planes of a table that the scores of a digest need: deviations, directions, peaks, masses.</summary>
    internal static int Planes(DigestSpec spec) =>
        spec.Kind == DigestKind.Moments ? spec.Rank + 1 + (spec.Peaks == 0 ? 0 : spec.Peaks + 1) : 0;

    /// <summary>Scores some chunks of one segment, peaks apart, and leaves what the estimate of their values needs in the planes.</summary>
    internal void Score(int first, int count)
    {
        int row = first % shape.ChunksPerSegment;
        DigestSegment segment = view.Store[first / shape.ChunksPerSegment];
        Dot(segment, RowPart.Main, row, count, table.Logits[first..]);
        for (int r = 0; r < rank; r++) Dot(segment, RowPart.Direction + r, row, count, table.Plane(r + 1)[first..]);
        for (int p = 0; p < peaks; p++) Dot(segment, RowPart.PeakKey + p, row, count, table.PeakPlane(p)[first..]);
        RowSquareDot.Dot(
            shape.Dtype,
            segment.Rows(head, RowPart.Sigma, row, count),
            count,
            shape.HeadDim,
            table.Forms.Squares,
            table.Queries,
            shape.HasScales ? segment.Scales(head, RowPart.Sigma, row, count) : [],
            table.Plane(0)[first..],
            table.Stride);
        AddSpread(first, count, segment, row);
        if (first + count == view.Chunks) RemoveAbsentPeaks();
    }

    /// <summary>Makes one score for a chunk of the rest's and its peaks', the log of the mean over its tokens.</summary>
    internal void Join(int first, int count)
    {
        if (peaks == 0) return;
        for (int q = 0; q < table.Queries; q++)
        {
            for (int chunk = first; chunk < first + count; chunk++)
            {
                int at = (q * table.Stride) + chunk;
                int tokens = view.TokensOf(chunk);
                int present = shape.PeaksOf(tokens);
                float top = table.Logits[at];
                for (int p = 0; p < present; p++) top = MathF.Max(top, table.PeakPlane(p)[at]);
                float mass = (tokens - present) * MathF.Exp(table.Logits[at] - top);
                for (int p = 0; p < present; p++) mass += MathF.Exp(table.PeakPlane(p)[at] - top);
                table.Logits[at] = top + MathF.Log(mass / tokens);
            }
        }
    }

    private void AddSpread(int first, int count, DigestSegment segment, int row)
    {
        bool endsRagged = first + count == view.Chunks && view.LastTokens < view.ChunkTokens;
        int full = endsRagged ? count - 1 : count;
        Span<float> room = table.Room.Numbers(2 * count * table.Queries);
        Span<float> rises = room[..(count * table.Queries)];
        Span<float> least = room[(count * table.Queries)..];
        ReadOnlySpan<float> reaches = shape.HasReach ? segment.Reaches(head).Slice(row, count) : [];
        bool cut = false;
        for (int q = 0; q < table.Queries; q++)
        {
            int at = (q * table.Stride) + first;
            Span<float> variances = table.Plane(0).Slice(at, count);
            Span<float> rise = rises.Slice(q * count, count);
            variances.CopyTo(least.Slice(q * count, count));
            for (int r = 1; r <= rank; r++) RowMath.AddSquares(variances, table.Plane(r).Slice(at, count), 1);
            MomentCurve.Apply(rise[..full], variances[..full], RestOf(view.ChunkTokens));
            if (endsRagged) MomentCurve.Apply(rise[full..], variances[full..], RestOf(view.LastTokens));
            for (int r = 1; r <= rank; r++) RowMath.Multiply(table.Plane(r).Slice(at, count), variances);
            if (shape.HasReach) cut |= MomentBound.MayCut(rise, least.Slice(q * count, count), reaches);
        }

        if (cut) CutRises(rises, least, reaches, segment, row, count);
        for (int q = 0; q < table.Queries; q++)
            RowMath.Add(table.Logits.Slice((q * table.Stride) + first, count), rises.Slice(q * count, count));
    }

    private void CutRises(
        Span<float> rises, Span<float> spreads, ReadOnlySpan<float> reaches, DigestSegment segment, int row, int count)
    {
        RowDot.Dot(
            shape.Dtype,
            segment.Rows(head, RowPart.Sigma, row, count),
            count,
            shape.HeadDim,
            table.Forms.Magnitudes,
            table.Queries,
            shape.HasScales ? segment.Scales(head, RowPart.Sigma, row, count) : [],
            spreads,
            count,
            finite: true);
        for (int q = 0; q < table.Queries; q++)
        {
            Span<float> most = spreads.Slice(q * count, count);
            RowMath.Multiply(most, reaches);
            RowMath.Min(rises.Slice(q * count, count), most);
        }
    }

    private void RemoveAbsentPeaks()
    {
        for (int p = shape.PeaksOf(view.LastTokens); p < peaks; p++)
            for (int q = 0; q < table.Queries; q++) table.PeakPlane(p)[(q * table.Stride) + view.Chunks - 1] = float.NegativeInfinity;
    }

    private int RestOf(int tokens) => tokens - shape.PeaksOf(tokens);

    private void Dot(DigestSegment segment, RowPart part, int row, int count, Span<float> scores)
    {
        if (table.OnDevice?.TryCopy(head, part, segment, row, count, scores, table.Stride) == true) return;
        RowDot.Dot(
            shape.Dtype,
            segment.Rows(head, part, row, count),
            count,
            shape.HeadDim,
            table.Forms.Plain,
            table.Queries,
            shape.HasScales ? segment.Scales(head, part, row, count) : [],
            scores,
            table.Stride,
            finite: true);
    }
}

using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Scores chunks by their moments: the mean score, plus what the spread of the keys adds to a chunk's log-mean-exp along its main
/// direction (<see cref="TwoPointLaw"/>) and across it (<see cref="MomentCurve"/>).
/// </summary>
internal readonly ref struct MomentScorer(ChunkView view, int head, ScoreTable table)
{
    private readonly ChunkShape shape = view.Shape;
    private readonly int rank = view.Shape.Spec.Rank;

    /// <summary>Planes of a table that the scores of a digest need.</summary>
    internal static int Planes(DigestSpec spec) => spec.Kind == DigestKind.Moments ? spec.Rank + 1 : 0;

    /// <summary>Scores some chunks of one segment, and leaves what the estimate of their values needs in the planes.</summary>
    internal void Score(int first, int count)
    {
        int row = first % shape.ChunksPerSegment;
        DigestSegment segment = view.Store[first / shape.ChunksPerSegment];
        Dot(segment, RowPart.Main, row, count, table.Logits[first..]);
        for (int r = 0; r < rank; r++) Dot(segment, RowPart.Direction + r, row, count, table.Plane(r + 1)[first..]);
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
        AddSpread(first, count, rank > 0 ? segment.Skews(head).Slice(row, count) : []);
    }

    private void AddSpread(int first, int count, ReadOnlySpan<float> skews)
    {
        var law = new TwoPointLaw(skews, table.Room.Numbers(TwoPointLaw.Lines * count));
        bool endsRagged = first + count == view.Chunks && view.LastTokens < view.ChunkTokens;
        int full = endsRagged ? count - 1 : count;
        for (int q = 0; q < table.Queries; q++)
        {
            int at = (q * table.Stride) + first;
            Span<float> logits = table.Logits.Slice(at, count);
            Span<float> variances = table.Plane(0).Slice(at, count);
            for (int r = 2; r <= rank; r++) RowMath.AddSquares(variances, table.Plane(r).Slice(at, count), 1);
            MomentCurve.Apply(logits[..full], variances[..full], view.ChunkTokens);
            if (endsRagged) MomentCurve.Apply(logits[full..], variances[full..], view.LastTokens);
            if (rank > 0) law.Apply(logits, table.Plane(1).Slice(at, count));
            for (int r = 2; r <= rank; r++) RowMath.Multiply(table.Plane(r).Slice(at, count), variances);
        }
    }

    private void Dot(DigestSegment segment, RowPart part, int row, int count, Span<float> scores) =>
        RowDot.Dot(
            shape.Dtype,
            segment.Rows(head, part, row, count),
            count,
            shape.HeadDim,
            table.Forms.Plain,
            table.Queries,
            shape.HasScales ? segment.Scales(head, part, row, count) : [],
            scores,
            table.Stride);
}

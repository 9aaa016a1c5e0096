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

    /// <summary>Planes of a table that the scores of a digest need: damping, directions, share of the rest, shares of the peaks.</summary>
    internal static int Planes(DigestSpec spec) => spec.Kind == DigestKind.Moments ? spec.Rank + spec.Peaks + 2 : 0;

    /// <summary>The plane with the share of a chunk's mass that is not its peaks'.</summary>
    internal static int RestPlane(DigestSpec spec) => spec.Rank + 1;

    /// <summary>The plane with a peak's share.</summary>
    internal static int PeakPlane(DigestSpec spec, int peak) => spec.Rank + 2 + peak;

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
        for (int p = 0; p < shape.Spec.Peaks; p++)
            Dot(segment, RowPart.PeakKey + p, row, count, table.Plane(PeakPlane(shape.Spec, p))[first..]);
        AddSpread(first, count, shape.HasSkew ? segment.Skews(head).Slice(row, count) : []);
    }

    private void AddSpread(int first, int count, ReadOnlySpan<float> skews)
    {
        var law = new TwoPointLaw(skews, table.Room.Numbers(TwoPointLaw.Lines * count));
        bool endsRagged = first + count == view.Chunks && view.LastTokens < view.ChunkTokens;
        int full = endsRagged ? count - 1 : count;
        int alone = shape.HasSkew ? 2 : 1;
        for (int q = 0; q < table.Queries; q++)
        {
            int at = (q * table.Stride) + first;
            Span<float> logits = table.Logits.Slice(at, count);
            Span<float> variances = table.Plane(0).Slice(at, count);
            for (int r = alone; r <= rank; r++) RowMath.AddSquares(variances, table.Plane(r).Slice(at, count), 1);
            MomentCurve.Apply(logits[..full], variances[..full], RestOf(view.ChunkTokens));
            if (endsRagged) MomentCurve.Apply(logits[full..], variances[full..], RestOf(view.LastTokens));
            if (shape.HasSkew) law.Apply(logits, table.Plane(1).Slice(at, count));
            for (int r = alone; r <= rank; r++) RowMath.Multiply(table.Plane(r).Slice(at, count), variances);
            table.Plane(RestPlane(shape.Spec)).Slice(at, count).Fill(1);
            if (shape.Spec.Peaks == 0) continue;
            AddPeaks(at, full, view.ChunkTokens);
            if (endsRagged) AddPeaks(at + full, 1, view.LastTokens);
        }
    }

    private int RestOf(int tokens) => tokens - Peaks.Of(shape.Spec, tokens);

    // From the score of the rest to that of the whole chunk.
    private void AddPeaks(int at, int count, int tokens)
    {
        Span<float> logits = table.Logits.Slice(at, count);
        Span<float> rest = table.Plane(RestPlane(shape.Spec)).Slice(at, count);
        int peaks = Peaks.Of(shape.Spec, tokens);
        for (int p = peaks; p < shape.Spec.Peaks; p++) table.Plane(PeakPlane(shape.Spec, p)).Slice(at, count).Clear();
        RowMath.AddConstant(logits, MathF.Log(RestOf(tokens)));
        for (int p = 0; p < peaks; p++)
        {
            Span<float> peak = table.Plane(PeakPlane(shape.Spec, p)).Slice(at, count);
            Peaks.Mix(logits, peak, rest);
            // The shares of earlier peaks shrink as the rest's does.
            for (int before = 0; before < p; before++)
            {
                Span<float> share = table.Plane(PeakPlane(shape.Spec, before)).Slice(at, count);
                for (int u = 0; u < count; u++) share[u] *= 1 - peak[u];
            }
        }

        RowMath.AddConstant(logits, -MathF.Log(tokens));
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

using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Scores runs of chunks of one head into a table. What it reads is counted.</summary>
internal readonly ref struct ChunkScorer(ChunkView view, int head, ScoreTable table, Selection selection)
{
    private readonly ChunkShape shape = view.Shape;

    /// <summary>Scores every chunk.</summary>
    internal void ScoreAll()
    {
        for (int s = 0; s < view.Store.Count; s++) Score(s * shape.ChunksPerSegment, view.ChunksOf(s));
    }

    /// <summary>Scores some chunks of one segment.</summary>
    /// <param name="first">First chunk, counted from the sequence's first.</param>
    /// <param name="count">How many.</param>
    internal void Score(int first, int count)
    {
        if (shape.Spec.SubChunks > 1)
        {
            ScoreBestSub(first, count);
        }
        else if (shape.Spec.Kind == DigestKind.Moments)
        {
            new MomentScorer(view, head, table).Score(first, count);
            if (shape.Spec.Bounds) Cap(first, count);
        }
        else
        {
            bool mean = shape.Spec.Kind == DigestKind.Mean;
            Dot(RowPart.Main, first, count, mean ? table.Forms.Plain : table.Forms.Signs, table.Logits[first..], table.Stride);
        }

        selection.AddCost(count, (long)count * ChunkBytes);
    }

    /// <summary>Makes the scores of some chunks comparable by themselves, where peaks and the rest have been scored apart.</summary>
    internal void Join(int first, int count)
    {
        if (shape.Spec.Peaks > 0) new MomentScorer(view, head, table).Join(first, count);
    }

    /// <summary>Scores nodes of one segment by their bounds into a line of numbers for each query.</summary>
    internal void ScoreNodes(int segment, int nodes, Span<float> bounds, int stride)
    {
        DigestSegment rows = view.Store[segment];
        RowDot.Dot(
            shape.Dtype,
            rows.Rows(head, RowPart.Nodes, 0, nodes),
            nodes,
            shape.RowLength(RowPart.Nodes),
            table.Forms.Signs,
            table.Queries,
            shape.HasScales ? rows.Scales(head, RowPart.Nodes, 0, nodes) : [],
            bounds,
            stride);
        selection.AddCost(nodes, (long)nodes * shape.RowBytes(RowPart.Nodes));
    }

    private int ChunkBytes =>
        (shape.RowBytes(RowPart.Main) * shape.Spec.SubChunks) + shape.RowBytes(RowPart.Sigma) + shape.RowBytes(RowPart.Bounds)
        + (shape.Spec.Rank * shape.RowBytes(RowPart.Direction)) + (shape.HasReach ? sizeof(float) : 0)
        + (shape.Spec.Peaks * shape.RowBytes(RowPart.PeakKey));

    private void Dot(RowPart part, int first, int count, ReadOnlySpan<float> queries, Span<float> scores, int stride)
    {
        int segment = first / shape.ChunksPerSegment;
        int perChunk = part == RowPart.Main ? shape.Spec.SubChunks : 1;
        int row = first % shape.ChunksPerSegment * perChunk;
        DigestSegment rows = view.Store[segment];
        if (table.OnDevice?.TryCopy(head, part, rows, row, count * perChunk, scores, stride) == true) return;
        RowDot.Dot(
            shape.Dtype,
            rows.Rows(head, part, row, count * perChunk),
            count * perChunk,
            shape.RowLength(part),
            queries,
            table.Queries,
            shape.HasScales ? rows.Scales(head, part, row, count * perChunk) : [],
            scores,
            stride,
            finite: true);
    }

    // A chunk is worth its best part (LServe).
    private void ScoreBestSub(int first, int count)
    {
        int subs = shape.Spec.SubChunks;
        int subTokens = view.ChunkTokens / subs;
        Span<float> scores = table.Room.Numbers(table.Queries * count * subs);
        bool mean = shape.Spec.Kind == DigestKind.Mean;
        Dot(RowPart.Main, first, count, mean ? table.Forms.Plain : table.Forms.Signs, scores, count * subs);
        for (int q = 0; q < table.Queries; q++)
        {
            for (int c = 0; c < count; c++)
            {
                int filled = (view.TokensOf(first + c) + subTokens - 1) / subTokens;
                ReadOnlySpan<float> parts = scores.Slice((((q * count) + c) * subs), filled);
                float best = parts[0];
                foreach (float part in parts) best = MathF.Max(best, part);
                table.Logits[(q * table.Stride) + first + c] = best;
            }
        }
    }

    private void Cap(int first, int count)
    {
        Span<float> bounds = table.Room.Numbers(table.Queries * count);
        Dot(RowPart.Bounds, first, count, table.Forms.Signs, bounds, count);
        for (int q = 0; q < table.Queries; q++)
        {
            RowMath.Min(table.Logits.Slice((q * table.Stride) + first, count), bounds.Slice(q * count, count));
            for (int p = 0; p < table.Peaks; p++)
                RowMath.Min(table.PeakPlane(p).Slice((q * table.Stride) + first, count), bounds.Slice(q * count, count));
        }
    }
}

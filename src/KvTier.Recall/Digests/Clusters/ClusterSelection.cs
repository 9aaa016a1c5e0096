using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Chooses the tokens of one KV head by their clusters.</summary>
internal static class ClusterSelection
{
    /// <summary>Chooses, and estimates the rest where the selector says so.</summary>
    internal static void Run(in ClusterView view, in BlockLayout layout, in SelectRequest request, int kvHead, Selection selection)
    {
        Selector selector = request.Selector;
        ScoreTable table = ScoreTable.Current;
        table.Room.Begin(view.Tokens);
        if (TokenLimit.TakesAll(request, view.Tokens))
        {
            for (int token = 0; token < view.Tokens; token++) table.Room.Add(token);
            selection.Set(kvHead, table.Room.Chosen);
            return;
        }

        int head = (request.Layer * layout.KvHeads) + kvHead;
        Begin(view, layout, request, kvHead, table);
        Score(view, head, table, selection);
        var chooser = new ClusterChooser(view, head, table, TokenLimit.Of(selector, view.Tokens));
        chooser.MarkAlways(selector);
        Choose(ref chooser, table, selector);
        for (int token = 0; token < view.Tokens; token++)
            if (chooser.Marks[token] != 0) table.Room.Add(token);
        selection.Set(kvHead, table.Room.Chosen);
        if (!selector.Estimate) return;
        GroupKeys.Write(table, selector.Reduction, selector.Softmax);
        Span<float> shares = table.Room.Numbers(table.Units);
        WriteShares(view, head, table, chooser, shares);
        Span<int> order = table.Room.Order(Math.Min(table.Units, (int)Math.Ceiling(selector.EstimateShare * table.Units)));
        int estimated = TopK.Select(table.Keys, order.Length, order);
        WriteEstimate(view, head, kvHead, table, selection, order[..estimated], shares);
    }

    /// <summary>Scores every cluster of a part of a sequence, to be ranked by whoever sees the whole.</summary>
    internal static HeadScores ScorePart(
        in ClusterView view, in BlockLayout layout, in SelectRequest request, int kvHead, ScoreTable table, Selection cost)
    {
        int head = (request.Layer * layout.KvHeads) + kvHead;
        Begin(view, layout, request, kvHead, table);
        Score(view, head, table, cost);
        var scores = new HeadScores { Segments = [.. view.Segments], Head = head };
        for (int s = 0, first = 0; s < view.Segments.Count; first += view.Segments[s++].Clusters)
        {
            ReadOnlySpan<ChunkFlags> flags = view.Segments[s].Rows.Flags(head)[..view.Segments[s].Clusters];
            for (int c = 0; c < flags.Length; c++)
                if (flags[c] != ChunkFlags.None) scores.NotEstimated.Add(first + c);
        }

        return scores;
    }

    /// <summary>Estimates clusters of a part that was scored, for those of their tokens that were not chosen.</summary>
    /// <param name="view">The clusters.</param>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="table">The scores.</param>
    /// <param name="selector">The selector.</param>
    /// <param name="selection">What was chosen; receives the estimate.</param>
    /// <param name="only">The clusters to be estimated; null for all.</param>
    internal static void EstimatePart(
        in ClusterView view, int head, int kvHead, ScoreTable table, Selector selector, Selection selection, int[]? only)
    {
        var chooser = new ClusterChooser(view, head, table, limit: view.Tokens);
        foreach (int token in selection.Units(kvHead)) chooser.MarkChosen(token);
        GroupKeys.Write(table, selector.Reduction, selector.Softmax);
        Span<float> shares = table.Room.Numbers(table.Units);
        WriteShares(view, head, table, chooser, shares);
        WriteEstimate(view, head, kvHead, table, selection, only ?? [.. Enumerable.Range(0, table.Units)], shares);
    }

    private static void Begin(in ClusterView view, in BlockLayout layout, in SelectRequest request, int kvHead, ScoreTable table)
    {
        table.Shape(
            HeadQueries.Count(request, layout.KvHeads), request.QueryHeads / layout.KvHeads, view.Clusters, planes: 0, peaks: 0);
        HeadQueries.Set(request, kvHead, layout.KvHeads, layout.HeadDim, table);
    }

    private static void Score(in ClusterView view, int head, ScoreTable table, Selection selection)
    {
        ChunkShape shape = view.Shape;
        int first = 0;
        foreach (ClusterSegment segment in view.Segments)
        {
            RowDot.Dot(
                shape.Dtype,
                segment.Rows.Rows(head, RowPart.Main, 0, segment.Clusters),
                segment.Clusters,
                shape.HeadDim,
                table.Forms.Plain,
                table.Queries,
                shape.HasScales ? segment.Rows.Scales(head, RowPart.Main, 0, segment.Clusters) : [],
                table.Logits[first..],
                table.Stride);
            for (int c = 0; c < segment.Clusters; c++) table.Counts[first + c] = segment.Members(head, c).Length;
            first += segment.Clusters;
        }

        table.Softmax();
        selection.AddCost(first, (long)first * shape.RowBytes(RowPart.Main));
        // A code says of every token which entry of the codebook stands for it.
        if (shape.Spec.Kind == DigestKind.Vq) selection.AddCost(0, (long)view.Tokens * (shape.Spec.CodebookSize <= 256 ? 1 : 2));
    }

    private static void Choose(ref ClusterChooser chooser, ScoreTable table, Selector selector)
    {
        if (RankRule.IsUnion(selector))
        {
            chooser.TakeInTurns(selector.Softmax);
            return;
        }

        RankRule.WriteKeys(selector, table);
        Take(ref chooser, selector, table.Queries, table.Group);
    }

    /// <summary>Takes clusters by their keys within a selector's budget.</summary>
    internal static void Take(ref ClusterChooser chooser, Selector selector, int queries, int group)
    {
        if (selector.Budget.Kind == BudgetKind.Threshold) chooser.TakeAbove(selector.Budget.Value * (queries / group));
        else if (selector.Budget.Kind == BudgetKind.Mass) chooser.TakeMass(selector.Budget.Value, 1.0 / queries);
        else chooser.TakeBest();
    }

    // A cluster stands for those of its tokens that were not chosen.
    private static void WriteShares(
        in ClusterView view, int head, ScoreTable table, in ClusterChooser chooser, Span<float> shares)
    {
        for (int u = 0, s = 0, first = 0; u < table.Units; u++)
        {
            while (u - first >= view.Segments[s].Clusters) first += view.Segments[s++].Clusters;
            bool stands = view.Segments[s].Rows.Flags(head)[u - first] == ChunkFlags.None && table.Counts[u] > 0;
            shares[u] = stands ? chooser.Unmarked(u) / table.Counts[u] : 0;
            if (shares[u] == 0) table.Keys[u] = float.NaN;
        }
    }

    private static void WriteEstimate(
        in ClusterView view, int head, int kvHead, ScoreTable table, Selection selection, ReadOnlySpan<int> estimated,
        ReadOnlySpan<float> shares)
    {
        if (estimated.IsEmpty) return;
        table.Keys.Clear();
        foreach (int u in estimated) table.Keys[u] = shares[u];
        for (int q = 0; q < table.Queries; q++) RowMath.Multiply(table.Line(table.Masses, q), table.Keys);
        AddValues(view, head, kvHead, table, selection);
        selection.AddCost(0, (long)estimated.Length * view.Shape.RowBytes(RowPart.Value));
    }

    private static void AddValues(in ClusterView view, int head, int kvHead, ScoreTable table, Selection selection)
    {
        ChunkShape shape = view.Shape;
        int dim = shape.HeadDim;
        Span<float> sums = table.Room.Queries(table.Queries * dim);
        sums.Clear();
        int first = 0;
        foreach (ClusterSegment segment in view.Segments)
        {
            WeightedRows.Add(
                shape.Dtype,
                segment.Rows.Rows(head, RowPart.Value, 0, segment.Clusters),
                segment.Clusters,
                dim,
                table.Masses[first..],
                table.Stride,
                table.Queries,
                shape.HasScales ? segment.Rows.Scales(head, RowPart.Value, 0, segment.Clusters) : [],
                squares: false,
                sums);
            first += segment.Clusters;
        }

        AttentionPart part = selection.MakeEstimate(kvHead, table.Queries, dim);
        for (int q = 0; q < table.Queries; q++)
        {
            float weight = RowMath.Sum(table.Line(table.Masses, q));
            if (!(weight > 0)) continue;
            RowMath.Scale(sums.Slice(q * dim, dim), 1 / weight);
            part.AddRow(q, table.Maxima[q], weight, sums.Slice(q * dim, dim));
        }
    }
}

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
        int queries = HeadQueries.Count(request, layout.KvHeads);
        table.Shape(queries, request.QueryHeads / layout.KvHeads, view.Clusters, planes: 0, peaks: 0);
        HeadQueries.Set(request, kvHead, layout.KvHeads, layout.HeadDim, table);
        Score(view, head, table, selection);
        var chooser = new ClusterChooser(view, head, table, TokenLimit.Of(selector, view.Tokens));
        chooser.MarkAlways(selector);
        Choose(ref chooser, table, selector);
        for (int token = 0; token < view.Tokens; token++)
            if (chooser.Marks[token] != 0) table.Room.Add(token);
        selection.Set(kvHead, table.Room.Chosen);
        if (selector.Estimate) Estimate(view, head, kvHead, table, selector, chooser, selection);
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
        switch (selector.Budget.Kind)
        {
            case BudgetKind.Threshold:
                GroupKeys.Write(table, selector.Reduction == GroupReduction.Sum ? GroupReduction.Mean : selector.Reduction, softmax: true);
                chooser.TakeAbove(selector.Budget.Value * (table.Queries / table.Group));
                break;
            case BudgetKind.Mass:
                GroupKeys.Write(table, GroupReduction.Sum, softmax: true);
                chooser.TakeMass(selector.Budget.Value, 1.0 / table.Queries);
                break;
            default:
                if (selector.Reduction == GroupReduction.Union)
                {
                    chooser.TakeInTurns(selector.Softmax);
                    break;
                }

                GroupKeys.Write(table, selector.Reduction, selector.Softmax);
                chooser.TakeBest();
                break;
        }
    }

    // A cluster stands for those of its tokens that were not chosen.
    private static void Estimate(
        in ClusterView view, int head, int kvHead, ScoreTable table, Selector selector, in ClusterChooser chooser, Selection selection)
    {
        GroupKeys.Write(table, selector.Reduction, selector.Softmax);
        Span<float> shares = table.Room.Numbers(table.Units);
        for (int u = 0, s = 0, first = 0; u < table.Units; u++)
        {
            while (u - first >= view.Segments[s].Clusters) first += view.Segments[s++].Clusters;
            bool stands = view.Segments[s].Rows.Flags(head)[u - first] == ChunkFlags.None && table.Counts[u] > 0;
            shares[u] = stands ? chooser.Unmarked(u) / table.Counts[u] : 0;
            if (shares[u] == 0) table.Keys[u] = float.NaN;
        }

        Span<int> order = table.Room.Order(Math.Min(table.Units, (int)Math.Ceiling(selector.EstimateShare * table.Units)));
        int estimated = TopK.Select(table.Keys, order.Length, order);
        if (estimated == 0) return;
        table.Keys.Clear();
        foreach (int u in order[..estimated]) table.Keys[u] = shares[u];
        for (int q = 0; q < table.Queries; q++) RowMath.Multiply(table.Line(table.Masses, q), table.Keys);
        AddValues(view, head, kvHead, table, selection);
        selection.AddCost(0, (long)estimated * view.Shape.RowBytes(RowPart.Value));
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

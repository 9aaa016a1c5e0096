namespace KvTier.Recall;

/// <summary>Chooses the chunks of one KV head.</summary>
internal static class ChunkSelection
{
    /// <summary>Chooses, and estimates the rest where the selector says so.</summary>
    /// <param name="view">The chunks.</param>
    /// <param name="layout">The profile's layout.</param>
    /// <param name="request">What for.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="selection">Receives the choice.</param>
    internal static void Run(in ChunkView view, in BlockLayout layout, in SelectRequest request, int kvHead, Selection selection)
    {
        Selector selector = request.Selector;
        ScoreTable table = ScoreTable.Current;
        table.Room.Begin(view.Chunks);
        table.OnDevice = request.OnDevice;
        if (TokenLimit.TakesAll(request, view.Tokens))
        {
            for (int chunk = 0; chunk < view.Chunks; chunk++) table.Room.Add(chunk);
            selection.Set(kvHead, table.Room.Chosen);
            return;
        }

        int head = (request.Layer * layout.KvHeads) + kvHead;
        int queries = HeadQueries.Count(request, layout.KvHeads);
        table.Shape(queries, request.QueryHeads / layout.KvHeads, view.Chunks, MomentScorer.Planes(view.Shape.Spec), view.Shape.Spec.Peaks);
        table.Counts.Fill(view.ChunkTokens);
        table.Counts[^1] = view.LastTokens;
        HeadQueries.Set(request, kvHead, layout.KvHeads, layout.HeadDim, table);

        int limit = TokenLimit.Of(selector, view.Tokens);
        var always = new AlwaysIn(view, head, table, limit);
        always.Mark(selector, selection);
        int chunks = view.Chunks;
        for (int chunk = 0; chunk < chunks; chunk++)
            if (table.Forced[chunk] != 0) table.Room.Add(chunk);
        Choose(view, head, table, selector, limit - always.Tokens, selection);
        selection.Set(kvHead, table.Room.Chosen);
        if (!selector.Estimate) return;
        if (selector.Reduction == GroupReduction.Union) GroupKeys.Write(table, GroupReduction.Max, selector.Softmax);
        new ChunkEstimator(view, head, table, selection).Write(kvHead, selector.EstimateShare);
    }

    private static void Choose(
        in ChunkView view, int head, ScoreTable table, Selector selector, int left, Selection selection)
    {
        var scorer = new ChunkScorer(view, head, table, selection);
        var chooser = new UnitChooser(view, table, left);
        if (NodeSearch.Serves(selector))
        {
            chooser.Take(new NodeSearch(view, scorer, table, selector.Reduction).Find(chooser.Candidates));
            return;
        }

        scorer.ScoreAll();
        table.Softmax();
        if (!selector.Softmax) scorer.Join(0, view.Chunks);
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
}

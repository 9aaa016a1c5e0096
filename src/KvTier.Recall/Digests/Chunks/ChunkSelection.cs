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
        Begin(view, layout, request, kvHead, table);
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

    /// <summary>Scores every chunk of a part of a sequence, to be ranked by whoever sees the whole.</summary>
    internal static HeadScores Score(
        in ChunkView view, in BlockLayout layout, in SelectRequest request, int kvHead, ScoreTable table, Selection cost)
    {
        int head = (request.Layer * layout.KvHeads) + kvHead;
        table.OnDevice = null;
        Begin(view, layout, request, kvHead, table);
        var scores = new HeadScores();
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<ChunkFlags> flags = view.Store[s].Flags(head)[..view.ChunksOf(s)];
            for (int c = 0; c < flags.Length; c++)
            {
                if (flags[c] == ChunkFlags.None) continue;
                int chunk = (s * view.Shape.ChunksPerSegment) + c;
                bool isQuarantined = flags[c].HasFlag(ChunkFlags.Quarantined);
                (isQuarantined ? scores.Always : scores.NotEstimated).Add(chunk);
                if (isQuarantined) table.Counts[chunk] = 0;
            }
        }

        if (view.Shape.Spec.OutlierChunks > 0)
        {
            Span<float> badness = table.Room.Numbers(view.Chunks);
            AlwaysIn.Badness(view, head, badness, cost);
            Span<int> order = table.Room.Order(Math.Min(view.Shape.Spec.OutlierChunks, view.Chunks));
            int found = KvTier.Kernels.TopK.Select(badness, order.Length, order);
            foreach (int chunk in order[..found])
            {
                scores.Outliers.Add(chunk);
                scores.Badness.Add(badness[chunk]);
            }
        }

        var scorer = new ChunkScorer(view, head, table, cost);
        scorer.ScoreAll();
        table.Softmax();
        if (!request.Selector.Softmax) scorer.Join(0, view.Chunks);
        return scores;
    }

    /// <summary>Estimates what was not chosen of a part that was scored.</summary>
    /// <param name="view">The chunks.</param>
    /// <param name="head">Layer · Hkv + KV head.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="table">The scores.</param>
    /// <param name="selection">What was chosen; receives the estimate.</param>
    /// <param name="only">The chunks to be estimated; null for all others.</param>
    internal static void Estimate(in ChunkView view, int head, int kvHead, ScoreTable table, Selection selection, int[]? only)
    {
        var estimator = new ChunkEstimator(view, head, table, selection);
        if (only is not null)
        {
            estimator.WriteOnly(kvHead, only);
            return;
        }

        table.Forced.Clear();
        foreach (int chunk in selection.Units(kvHead)) table.Forced[chunk] = 1;
        estimator.Write(kvHead, share: 1);
    }

    private static void Begin(in ChunkView view, in BlockLayout layout, in SelectRequest request, int kvHead, ScoreTable table)
    {
        int queries = HeadQueries.Count(request, layout.KvHeads);
        table.Shape(queries, request.QueryHeads / layout.KvHeads, view.Chunks, MomentScorer.Planes(view.Shape.Spec), view.Shape.Spec.Peaks);
        table.Counts.Fill(view.ChunkTokens);
        table.Counts[^1] = view.LastTokens;
        HeadQueries.Set(request, kvHead, layout.KvHeads, layout.HeadDim, table);
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
        if (RankRule.IsUnion(selector))
        {
            chooser.TakeInTurns(selector.Softmax);
            return;
        }

        RankRule.WriteKeys(selector, table);
        Take(ref chooser, selector, table.Queries, table.Group);
    }

    /// <summary>Takes chunks by their keys within a selector's budget.</summary>
    /// <param name="chooser">Takes them.</param>
    /// <param name="selector">The selector.</param>
    /// <param name="queries">Queries that were scored (W · G).</param>
    /// <param name="group">Query heads of the KV head (G).</param>
    internal static void Take(ref UnitChooser chooser, Selector selector, int queries, int group)
    {
        if (selector.Budget.Kind == BudgetKind.Threshold) chooser.TakeAbove(selector.Budget.Value * (queries / group));
        else if (selector.Budget.Kind == BudgetKind.Mass) chooser.TakeMass(selector.Budget.Value, 1.0 / queries);
        else chooser.TakeBest();
    }
}

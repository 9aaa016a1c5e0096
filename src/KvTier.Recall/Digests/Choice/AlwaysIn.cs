using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// Marks the chunks that are chosen whatever their scores: quarantined ones first, beyond the limit if need be; then the newest chunk and
/// the first sink as far as they fit; then the other recent chunks, sinks and outliers, which together with those fill at most half the
/// limit, so that a small budget still chooses.
/// </summary>
internal ref struct AlwaysIn(ChunkView view, int head, ScoreTable table, int limit)
{
    /// <summary>Tokens marked.</summary>
    internal int Tokens { get; private set; }

    /// <summary>Marks them all.</summary>
    internal void Mark(Selector selector, Selection selection)
    {
        MarkQuarantined();
        if (selector.RecentChunks > 0) TryAdd(view.Chunks - 1, limit);
        if (selector.SinkChunks > 0) TryAdd(0, limit);
        int half = limit / 2;
        for (int r = 1; r < Math.Min(selector.RecentChunks, view.Chunks); r++)
            if (!TryAdd(view.Chunks - 1 - r, half)) break;
        for (int s = 1; s < Math.Min(selector.SinkChunks, view.Chunks); s++)
            if (!TryAdd(s, half)) break;
        if (view.Shape.Spec.OutlierChunks > 0) MarkOutliers(selection, half);
    }

    private void MarkQuarantined()
    {
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<ChunkFlags> flags = view.Store[s].Flags(head)[..view.ChunksOf(s)];
            for (int c = flags.IndexOfAnyExcept(ChunkFlags.None); c >= 0 && c < flags.Length; c++)
            {
                if (!flags[c].HasFlag(ChunkFlags.Quarantined)) continue;
                int chunk = (s * view.Shape.ChunksPerSegment) + c;
                TryAdd(chunk, int.MaxValue);
                table.Counts[chunk] = 0;
            }
        }
    }

    // The chunks whose keys their mean stands for worst, as of now.
    private void MarkOutliers(Selection selection, int most)
    {
        Span<float> badness = table.Room.Numbers(view.Chunks);
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<float> cosines = view.Store[s].Cosines(head)[..view.ChunksOf(s)];
            for (int c = 0; c < cosines.Length; c++) badness[(s * view.Shape.ChunksPerSegment) + c] = -cosines[c];
        }

        selection.AddCost(0, (long)view.Chunks * sizeof(float));
        Span<int> order = table.Room.Order(Math.Min(view.Shape.Spec.OutlierChunks, view.Chunks));
        int found = TopK.Select(badness, order.Length, order);
        foreach (int chunk in order[..found])
            if (!TryAdd(chunk, most)) break;
    }

    private bool TryAdd(int chunk, int most)
    {
        if (table.Forced[chunk] != 0) return true;
        int tokens = view.TokensOf(chunk);
        if (tokens > most - Tokens) return false;
        table.Forced[chunk] = 1;
        Tokens += tokens;
        return true;
    }
}

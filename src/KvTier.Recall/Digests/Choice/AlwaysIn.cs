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
        MarkByPlace(selector);
        if (view.Shape.Spec.OutlierChunks == 0) return;
        Span<float> badness = table.Room.Numbers(view.Chunks);
        Badness(view, head, badness, selection);
        MarkOutliers(badness);
    }

    /// <summary>Marks the newest chunks and sinks.</summary>
    internal void MarkByPlace(Selector selector)
    {
        if (selector.RecentChunks > 0) TryAdd(view.Chunks - 1, limit);
        if (selector.SinkChunks > 0) TryAdd(0, limit);
        int half = limit / 2;
        for (int r = 1; r < Math.Min(selector.RecentChunks, view.Chunks); r++)
            if (!TryAdd(view.Chunks - 1 - r, half)) break;
        for (int s = 1; s < Math.Min(selector.SinkChunks, view.Chunks); s++)
            if (!TryAdd(s, half)) break;
    }

    /// <summary>Marks a quarantined chunk, beyond the limit if need be.</summary>
    internal void MarkQuarantined(int chunk)
    {
        TryAdd(chunk, int.MaxValue);
        table.Counts[chunk] = 0;
    }

    private void MarkQuarantined()
    {
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<ChunkFlags> flags = view.Store[s].Flags(head)[..view.ChunksOf(s)];
            for (int c = flags.IndexOfAnyExcept(ChunkFlags.None); c >= 0 && c < flags.Length; c++)
            {
                if (!flags[c].HasFlag(ChunkFlags.Quarantined)) continue;
                MarkQuarantined((s * view.Shape.ChunksPerSegment) + c);
            }
        }
    }

    /// <summary>Marks the chunks whose keys their mean stands for worst, as of now.</summary>
    /// <param name="badness">How badly, for each chunk; NaN for one that is not known.</param>
    internal void MarkOutliers(Span<float> badness)
    {
        Span<int> order = table.Room.Order(Math.Min(view.Shape.Spec.OutlierChunks, view.Chunks));
        int found = TopK.Select(badness, order.Length, order);
        foreach (int chunk in order[..found])
            if (!TryAdd(chunk, limit / 2)) break;
    }

    /// <summary>How badly the mean of each chunk stands for its keys: less the smallest cosine.</summary>
    internal static void Badness(in ChunkView view, int head, Span<float> badness, Selection selection)
    {
        for (int s = 0; s < view.Store.Count; s++)
        {
            ReadOnlySpan<float> cosines = view.Store[s].Cosines(head)[..view.ChunksOf(s)];
            for (int c = 0; c < cosines.Length; c++) badness[(s * view.Shape.ChunksPerSegment) + c] = -cosines[c];
        }

        selection.AddCost(0, (long)view.Chunks * sizeof(float));
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

using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Chooses chunks by their keys, best first, ties to the lower one, while tokens fit.</summary>
internal ref struct UnitChooser(ChunkView view, ScoreTable table, int tokensLeft)
{
    private const int FirstStep = 64;
    private int left = tokensLeft;

    /// <summary>Chunks to look at so that none that fits is overlooked: all others are full, so that one more than fit is enough.</summary>
    internal int Candidates => left <= 0 ? 0 : Math.Min(view.Chunks, (left / view.ChunkTokens) + 1);

    /// <summary>Chooses the best by <see cref="ScoreTable.Keys"/> within the tokens left.</summary>
    internal void TakeBest()
    {
        Span<int> order = table.Room.Order(Candidates);
        int found = TopK.Select(table.Keys, order.Length, order);
        Take(order[..found]);
    }

    /// <summary>Chooses from candidates that are ordered best first. What does not fit is skipped: then only a last, partly filled chunk
    /// can fit.</summary>
    internal void Take(ReadOnlySpan<int> order)
    {
        foreach (int chunk in order) TryTake(chunk);
        int last = view.Chunks - 1;
        if (!float.IsNaN(table.Keys[last]) && order.IndexOf(last) < 0) TryTake(last);
    }

    /// <summary>The heads take turns, each with its best chunk that is not in yet (A²ATS).</summary>
    internal void TakeInTurns(bool softmax)
    {
        int candidates = Candidates;
        Span<int> orders = table.Room.Order(table.Group * candidates);
        Span<int> found = stackalloc int[table.Group];
        for (int g = 0; g < table.Group; g++)
        {
            GroupKeys.WriteHead(table, g, softmax, table.Keys);
            GroupKeys.Exclude(table, table.Keys);
            found[g] = TopK.Select(table.Keys, candidates, orders.Slice(g * candidates, candidates));
        }

        Span<int> next = stackalloc int[table.Group];
        next.Clear();
        for (int idle = 0, g = 0; idle < table.Group && left > 0; g = (g + 1) % table.Group)
        {
            bool took = false;
            while (!took && next[g] < found[g])
            {
                int chunk = orders[(g * candidates) + next[g]++];
                took = table.Forced[chunk] == 0 && TryTake(chunk);
            }

            idle = took ? 0 : idle + 1;
        }
    }

    /// <summary>Chooses every chunk one of whose tokens has more than a share of the attention, by the reduction (Squeezed
    /// Attention).</summary>
    internal void TakeAbove(double threshold)
    {
        for (int u = 0; u < table.Units; u++)
            if (table.Keys[u] / table.Counts[u] > threshold) TryTake(u);
    }

    /// <summary>Chooses the fewest chunks that bring the share of the mass to a level, given what is in already.</summary>
    /// <param name="share">The level, above 0 to 1.</param>
    /// <param name="perUnit">What the keys are to be multiplied with to be shares of all mass.</param>
    internal void TakeMass(double share, double perUnit)
    {
        double missing = share - 1;
        for (int u = 0; u < table.Units; u++)
            if (!float.IsNaN(table.Keys[u])) missing += table.Keys[u] * perUnit;
        // What is in already has the rest of the mass: 1 - Σ keys.
        int done = 0;
        for (int step = FirstStep; missing > 0 && done < table.Units; step *= 2)
        {
            Span<int> order = table.Room.Order(Math.Min(step, table.Units));
            int found = TopK.Select(table.Keys, order.Length, order);
            if (found == done) return;
            for (; done < found && missing > 0; done++)
            {
                TryTake(order[done]);
                missing -= table.Keys[order[done]] * perUnit;
            }
        }
    }

    private bool TryTake(int chunk)
    {
        int tokens = view.TokensOf(chunk);
        if (tokens > left) return false;
        left -= tokens;
        table.Forced[chunk] = 1;
        table.Room.Add(chunk);
        return true;
    }
}

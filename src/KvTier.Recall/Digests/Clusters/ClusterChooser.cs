using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>Chooses tokens by the keys of their clusters: whole clusters that fit (centroids), or token after token (vq).</summary>
internal ref struct ClusterChooser(ClusterView view, int head, ScoreTable table, int limit)
{
    private const int FirstStep = 64;
    private readonly bool whole = view.Shape.Spec.Kind == DigestKind.Centroids;
    private readonly Span<byte> marks = table.Room.Marks(view.Tokens);
    private readonly int half = limit / 2;
    private int left = limit;

    /// <summary>1 for each token chosen.</summary>
    internal readonly ReadOnlySpan<byte> Marks => marks;

    /// <summary>Marks a token that was chosen.</summary>
    internal void MarkChosen(int token) => Mark(token);

    /// <summary>Marks what is always chosen, in the order and within the limits of <see cref="AlwaysIn"/>.</summary>
    internal void MarkAlways(Selector selector)
    {
        foreach (ClusterSegment segment in view.Segments)
            foreach (ushort token in segment.Members(head, segment.Clusters)) Mark((int)segment.FirstToken + token);
        int least = left - half;
        int chunk = selector.Digest.ChunkTokens;
        int recent = Math.Min(selector.RecentChunks * chunk, view.Tokens);
        int sinks = Math.Min(selector.SinkChunks * chunk, view.Tokens);
        for (int t = 0; t < Math.Min(chunk, recent) && left > 0; t++) Mark(view.Tokens - 1 - t);
        for (int t = 0; t < Math.Min(chunk, sinks) && left > 0; t++) Mark(t);
        for (int t = chunk; t < recent && left > least; t++) Mark(view.Tokens - 1 - t);
        for (int t = chunk; t < sinks && left > least; t++) Mark(t);
    }

    /// <summary>Chooses by <see cref="ScoreTable.Keys"/>, best first, until nothing is left to fill.</summary>
    internal void TakeBest()
    {
        int done = 0;
        for (int step = FirstStep; left > 0 && done < table.Units; step *= 4)
        {
            Span<int> order = table.Room.Order(Math.Min(step, table.Units));
            int found = TopK.Select(table.Keys, order.Length, order);
            if (found == done) return;
            for (; done < found && left > 0; done++) Take(order[done]);
        }
    }

    /// <summary>Chooses every cluster one of whose tokens has more than a share of the attention.</summary>
    internal void TakeAbove(double threshold)
    {
        for (int u = 0; u < table.Units; u++)
            if (table.Keys[u] / table.Counts[u] > threshold) Take(u);
    }

    /// <summary>Chooses the fewest clusters that bring the share of the mass to a level, given which tokens are in already.</summary>
    internal void TakeMass(double share, double perUnit)
    {
        double missing = share;
        for (int u = 0; u < table.Units; u++)
            if (table.Counts[u] > 0) missing -= table.Keys[u] * perUnit * (1 - (Unmarked(u) / table.Counts[u]));
        int done = 0;
        for (int step = FirstStep; missing > 0 && done < table.Units; step *= 4)
        {
            Span<int> order = table.Room.Order(Math.Min(step, table.Units));
            int found = TopK.Select(table.Keys, order.Length, order);
            if (found == done) return;
            for (; done < found && missing > 0; done++)
            {
                missing -= table.Keys[order[done]] * perUnit * (Unmarked(order[done]) / table.Counts[order[done]]);
                Take(order[done]);
            }
        }
    }

    /// <summary>The heads take turns with one token each (A²ATS).</summary>
    internal void TakeInTurns(bool softmax)
    {
        // Bad keys are always in, beyond the budget if need be.
        if (left <= 0) return;
        Span<int> orders = table.Room.Order(table.Group * table.Units);
        Span<int> found = stackalloc int[table.Group];
        Span<int> next = stackalloc int[table.Group];
        next.Clear();
        for (int g = 0; g < table.Group; g++)
        {
            GroupKeys.WriteHead(table, g, softmax, table.Keys);
            GroupKeys.Exclude(table, table.Keys);
            // A cluster that is in the order has a token at least.
            Span<int> order = orders.Slice(g * table.Units, table.Units);
            found[g] = TopK.Select(table.Keys, Math.Min(table.Units, left), order);
        }

        for (int idle = 0, g = 0; idle < table.Group && left > 0; g = (g + 1) % table.Group)
        {
            bool took = false;
            while (!took && next[g] < found[g])
            {
                took = TakeOne(orders[(g * table.Units) + next[g]]);
                if (!took) next[g]++;
            }

            idle = took ? 0 : idle + 1;
        }
    }

    /// <summary>Tokens of a cluster that are not chosen.</summary>
    internal readonly int Unmarked(int cluster)
    {
        ClusterSegment segment = view.Locate(ref cluster);
        int count = 0;
        foreach (ushort token in segment.Members(head, cluster)) count += 1 - marks[(int)segment.FirstToken + token];
        return count;
    }

    private void Take(int cluster)
    {
        if (whole && Unmarked(cluster) > left) return;
        ClusterSegment segment = view.Locate(ref cluster);
        foreach (ushort token in segment.Members(head, cluster))
            if (left > 0) Mark((int)segment.FirstToken + token);
    }

    private bool TakeOne(int cluster)
    {
        ClusterSegment segment = view.Locate(ref cluster);
        foreach (ushort token in segment.Members(head, cluster))
        {
            if (marks[(int)segment.FirstToken + token] != 0) continue;
            Mark((int)segment.FirstToken + token);
            return true;
        }

        return false;
    }

    private void Mark(int token)
    {
        if (marks[token] != 0) return;
        marks[token] = 1;
        left--;
    }
}

namespace KvTier.Recall;

/// <summary>
/// Finds the k best chunks without scoring them all (LeoAM): the node with the largest bound is opened next, and when the k-th best chunk
/// found scores above every bound that is left, no other chunk can be among the best. Sound for scores that grow with each query's bound:
/// raw scores under max, sum or mean.
/// </summary>
internal ref struct NodeSearch(ChunkView view, ChunkScorer scorer, ScoreTable table, GroupReduction reduction)
{
    // Bounds and scores are sums that round; a chunk is only left out when it is below by more than that.
    private const float Rounding = 1e-5f;
    private readonly ChunkScorer scorer = scorer;
    private readonly ChunkShape shape = view.Shape;
    private readonly int nodesPerSegment = view.Shape.Rows(RowPart.Nodes, view.Shape.ChunksPerSegment);
    private Span<float> nodeKeys;

    /// <summary>True when a selector's choice can be made so.</summary>
    internal static bool Serves(Selector selector) =>
        selector.Digest.Fanout > 0 && !selector.Softmax && !selector.Estimate && selector.Reduction != GroupReduction.Union
        && selector.Budget.Kind is BudgetKind.Tokens or BudgetKind.Share;

    /// <summary>Finds the best chunks that are not forced.</summary>
    /// <param name="most">How many (k).</param>
    /// <returns>They, best first, ties to the lower one; void when room for an order is taken again.</returns>
    internal ReadOnlySpan<int> Find(int most)
    {
        PrepareKeys();
        int nodes = ((view.Store.Count - 1) * nodesPerSegment) + shape.Rows(RowPart.Nodes, view.ChunksOf(view.Store.Count - 1));
        // No softmax is made, so that the room for masses is free.
        nodeKeys = table.Masses[..nodes];
        float slack = ScoreNodes(nodes) * Rounding;
        Span<int> room = table.Room.Order(nodes + most);
        Span<int> open = room[..nodes];
        for (int n = 0; n < nodes; n++) open[n] = n;
        IndexHeap heap = new(open, nodeKeys, largestOnTop: true);
        heap.Build();
        IndexHeap found = new(room[nodes..], table.Keys, largestOnTop: false) { Count = 0 };
        while (most > 0 && heap.Count > 0)
        {
            int node = heap.Pop();
            if (found.Count == most && table.Keys[found.Top] > nodeKeys[node] + slack) break;
            Open(node, ref found);
        }

        return found.SortDown();
    }

    private readonly void PrepareKeys()
    {
        table.Keys.Fill(float.NaN);
        int last = view.Chunks - 1;
        // A last chunk that is not full may fit where no other does, without being scored.
        if (table.Forced[last] == 0) table.Keys[last] = float.NegativeInfinity;
    }

    private readonly float ScoreNodes(int nodes)
    {
        Span<float> bounds = table.Room.Numbers(table.Queries * nodes);
        for (int s = 0; s < view.Store.Count; s++)
            scorer.ScoreNodes(s, shape.Rows(RowPart.Nodes, view.ChunksOf(s)), bounds[(s * nodesPerSegment)..], nodes);
        float largest = 0;
        for (int n = 0; n < nodes; n++)
        {
            nodeKeys[n] = Reduce(bounds, nodes, n);
            largest = MathF.Max(largest, MathF.Abs(nodeKeys[n]));
        }

        return largest;
    }

    private readonly void Open(int node, ref IndexHeap found)
    {
        int inSegment = node % nodesPerSegment * shape.Spec.Fanout;
        int segment = node / nodesPerSegment;
        int first = (segment * shape.ChunksPerSegment) + inSegment;
        int count = Math.Min(shape.Spec.Fanout, view.ChunksOf(segment) - inSegment);
        scorer.Score(first, count);
        scorer.Join(first, count);
        for (int chunk = first; chunk < first + count; chunk++)
        {
            if (table.Forced[chunk] != 0 || table.Counts[chunk] == 0) continue;
            float key = Reduce(table.Logits, table.Stride, chunk);
            table.Keys[chunk] = float.IsNaN(key) ? float.NegativeInfinity : key;
            found.Offer(chunk);
        }
    }

    private readonly float Reduce(ReadOnlySpan<float> scores, int stride, int column)
    {
        float reduced = 0;
        for (int g = 0; g < table.Group; g++)
        {
            float sum = 0;
            for (int q = g; q < table.Queries; q += table.Group) sum += scores[(q * stride) + column];
            if (g == 0) reduced = sum;
            else if (reduction == GroupReduction.Max) reduced = MathF.Max(reduced, sum);
            else reduced += sum;
        }

        return reduction == GroupReduction.Mean ? reduced * (1f / table.Group) : reduced;
    }
}

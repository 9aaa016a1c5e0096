namespace KvTier.Recall;

/// <summary>A binary heap of indexes by their keys, in room that the caller gives. Of equal keys the lower index is the better one.
/// </summary>
/// <param name="items">Room for the indexes.</param>
/// <param name="keys">The key of each index; no NaN among those in the heap.</param>
/// <param name="largestOnTop">True for the best on top, false for the worst.</param>
internal ref struct IndexHeap(Span<int> items, ReadOnlySpan<float> keys, bool largestOnTop)
{
    private readonly Span<int> items = items;
    private readonly ReadOnlySpan<float> keys = keys;

    /// <summary>Indexes in it. Begins as all of the room.</summary>
    internal int Count { get; set; } = items.Length;

    /// <summary>The index on top.</summary>
    internal readonly int Top => items[0];

    /// <summary>Makes a heap of what the room holds.</summary>
    internal readonly void Build()
    {
        for (int i = (Count / 2) - 1; i >= 0; i--) Sink(i);
    }

    /// <summary>Takes the top.</summary>
    internal int Pop()
    {
        int top = items[0];
        items[0] = items[--Count];
        Sink(0);
        return top;
    }

    /// <summary>Keeps the best as many as there is room for, in a heap with the worst on top.</summary>
    internal void Offer(int index)
    {
        if (Count < items.Length)
        {
            items[Count++] = index;
            Rise(Count - 1);
        }
        else if (Count > 0 && Better(index, items[0]))
        {
            items[0] = index;
            Sink(0);
        }
    }

    /// <summary>Sorts a heap with the worst on top, best first.</summary>
    internal ReadOnlySpan<int> SortDown()
    {
        int count = Count;
        while (Count > 0)
        {
            int worst = items[0];
            items[0] = items[--Count];
            Sink(0);
            items[Count] = worst;
        }

        return items[..count];
    }

    private readonly bool Better(int a, int b) => keys[a] > keys[b] || (keys[a] == keys[b] && a < b);

    private readonly bool Above(int a, int b) => largestOnTop ? Better(a, b) : Better(b, a);

    private readonly void Rise(int at)
    {
        for (int parent = (at - 1) / 2; at > 0 && Above(items[at], items[parent]); parent = (at - 1) / 2)
        {
            (items[at], items[parent]) = (items[parent], items[at]);
            at = parent;
        }
    }

    private readonly void Sink(int at)
    {
        while ((2 * at) + 1 < Count)
        {
            int child = (2 * at) + 1;
            if (child + 1 < Count && Above(items[child + 1], items[child])) child++;
            if (!Above(items[child], items[at])) return;
            (items[at], items[child]) = (items[child], items[at]);
            at = child;
        }
    }
}

namespace KvTier.Memory;

/// <summary>A binary heap of small numbers by deadline from which any of them can be removed.</summary>
internal sealed class DeadlineHeap
{
    private Node[] nodes = new Node[16];

    /// <summary>Where an item stands in <see cref="nodes"/>, by item.</summary>
    private int[] places = new int[16];
    private int count;

    /// <summary>The item with the earliest deadline; -1 when there is none.</summary>
    public int First => count == 0 ? -1 : nodes[0].Item;

    /// <summary>Adds an item that is not in the heap.</summary>
    /// <param name="item">0 or more; memory is taken by the highest one.</param>
    /// <param name="deadline">Its deadline.</param>
    /// <param name="order">Decides between equal deadlines, the lower first.</param>
    public void Add(int item, long deadline, ulong order)
    {
        if (count == nodes.Length) Array.Resize(ref nodes, count * 2);
        if (item >= places.Length) Array.Resize(ref places, Math.Max(item + 1, places.Length * 2));
        Rise(count++, new Node(deadline, order, item));
    }

    /// <summary>Removes an item that is in the heap.</summary>
    public void Remove(int item)
    {
        int hole = places[item];
        Node last = nodes[--count];
        if (hole == count) return;
        if (hole > 0 && last.IsBefore(nodes[(hole - 1) / 2])) Rise(hole, last);
        else Sink(hole, last);
    }

    private void Rise(int hole, Node node)
    {
        while (hole > 0 && node.IsBefore(nodes[(hole - 1) / 2]))
        {
            Place(hole, nodes[(hole - 1) / 2]);
            hole = (hole - 1) / 2;
        }

        Place(hole, node);
    }

    private void Sink(int hole, Node node)
    {
        while (true)
        {
            int child = (2 * hole) + 1;
            if (child >= count) break;
            if (child + 1 < count && nodes[child + 1].IsBefore(nodes[child])) child++;
            if (!nodes[child].IsBefore(node)) break;
            Place(hole, nodes[child]);
            hole = child;
        }

        Place(hole, node);
    }

    private void Place(int place, Node node)
    {
        nodes[place] = node;
        places[node.Item] = place;
    }

    private readonly record struct Node(long Deadline, ulong Order, int Item)
    {
        public bool IsBefore(Node other) => Deadline < other.Deadline || (Deadline == other.Deadline && Order < other.Order);
    }
}

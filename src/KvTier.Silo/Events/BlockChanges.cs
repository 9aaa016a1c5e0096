using KvTier.Engine;

namespace KvTier.Silo.Events;

/// <summary>
/// Blocks whose tiers have changed, in the order in which they did, each once until it is taken. When more change than it holds, it says so
/// and all blocks are looked at again: nothing is lost but order. Thread-safe.
/// </summary>
/// <param name="capacity">Most blocks.</param>
internal sealed class BlockChanges(int capacity) : IBlockWatch
{
    private readonly Lock gate = new();
    private readonly Queue<(ushort Namespace, BlockId Id)> queue = new();
    private readonly HashSet<(ushort Namespace, BlockId Id)> queued = [];
    private readonly SemaphoreSlim wake = new(0, 1);
    private volatile bool[] wanted = [];
    private bool overflow;
    private bool awake;

    /// <summary>Begins to note the blocks of a namespace.</summary>
    public void Want(ushort ns)
    {
        if (IsWanted(ns)) return;
        lock (gate)
        {
            bool[] grown = new bool[Math.Max(wanted.Length, ns + 1)];
            wanted.CopyTo(grown, 0);
            grown[ns] = true;
            wanted = grown;
        }
    }

    /// <inheritdoc/>
    public void OnChanged(ushort ns, BlockId id)
    {
        if (!IsWanted(ns)) return;
        Add(ns, id);
    }

    /// <summary>Has a block looked at.</summary>
    public void Add(ushort ns, BlockId id)
    {
        lock (gate)
        {
            if (!queued.Contains((ns, id)))
            {
                if (queue.Count >= capacity)
                {
                    overflow = true;
                }
                else
                {
                    queue.Enqueue((ns, id));
                    queued.Add((ns, id));
                }
            }

            if (awake) return;
            awake = true;
        }

        wake.Release();
    }

    /// <summary>Waits until there is something to look at.</summary>
    public Task WaitAsync(CancellationToken stop) => wake.WaitAsync(stop);

    /// <summary>Takes blocks.</summary>
    /// <param name="destination">Takes them.</param>
    /// <param name="max">Most to take.</param>
    /// <param name="mustLookAtAll">True when some were lost.</param>
    public void Take(List<(ushort Namespace, BlockId Id)> destination, int max, out bool mustLookAtAll)
    {
        lock (gate)
        {
            mustLookAtAll = overflow;
            overflow = false;
            if (mustLookAtAll)
            {
                queue.Clear();
                queued.Clear();
            }

            while (destination.Count < max && queue.TryDequeue(out (ushort Namespace, BlockId Id) next))
            {
                queued.Remove(next);
                destination.Add(next);
            }

            if (destination.Count == 0 && !mustLookAtAll) awake = false;
        }
    }

    private bool IsWanted(ushort ns)
    {
        bool[] now = wanted;
        return ns < now.Length && now[ns];
    }
}

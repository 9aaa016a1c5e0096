using KvTier.Engine;

namespace KvTier.Silo.Events;

/// <summary>
/// Blocks whose tiers have changed, in the order in which they did, each once until it is taken. When more change than it holds, it says so
/// and all blocks are looked at again: nothing is lost but order. Thread-safe.
/// </summary>
/// <param name="capacity">Most blocks.</param>
/// <param name="isKnown">
/// True for blocks of which an engine has spoken. Others wait for that, and have their turn then: nobody could be told of them before, and
/// their parents, spoken of first, might come to stand behind them. Called under the engine's lock.
/// </param>
internal sealed class BlockChanges(int capacity, Func<ushort, BlockId, bool> isKnown) : IBlockWatch
{
    private readonly Lock gate = new();
    private readonly Queue<(ushort Namespace, BlockId Id)> queue = new();
    private readonly HashSet<(ushort Namespace, BlockId Id)> queued = [];
    private readonly SemaphoreSlim wake = new(0, 1);
    private volatile bool[] wanted = [];
    private bool overflow;

    // Who takes begins by looking: until it has found nothing it need not be woken.
    private bool awake = true;

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
        if (IsWanted(ns) && isKnown(ns, id)) Add(ns, id);
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

using KvTier.Kernels;

namespace KvTier.Recall;

/// <summary>
/// The metrics that a sequence's queries teach (A²ATS), one for each layer and KV head: H = Σ q qᵀ over the queries served. A metric takes
/// the first queries up to a number and is never changed again, so that learning costs nothing in the long run. Forks share metrics;
/// who learns on copies the shared one first.
/// </summary>
internal sealed class LearntMetrics
{
    /// <summary>Queries that a metric must have seen to be used, in units of D: with fewer, H says nothing about most directions.</summary>
    private const int LeastPerDim = 2;

    /// <summary>Queries that a metric takes, in units of D.</summary>
    private const int MostPerDim = 8;
    private readonly int dim;
    private readonly Slot[] slots;
    private readonly QueryMetric unit;

    /// <summary>Makes metrics that have seen nothing.</summary>
    /// <param name="heads">Layers · KV heads.</param>
    /// <param name="dim">Elements of a query (D).</param>
    internal LearntMetrics(int heads, int dim)
    {
        this.dim = dim;
        unit = new QueryMetric(dim);
        slots = new Slot[heads];
        for (int head = 0; head < heads; head++) slots[head] = new Slot();
    }

    /// <summary>Learns from queries of one layer; several layers may be at it at once.</summary>
    /// <param name="request">The request, queries <c>[W, Hq, D]</c>.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="kvHeads">KV heads (Hkv).</param>
    internal void Learn(in SelectRequest request, int kvHead, int kvHeads)
    {
        Slot slot = slots[(request.Layer * kvHeads) + kvHead];
        int group = request.QueryHeads / kvHeads * dim;
        lock (slot)
        {
            if (slot.Metric?.Count >= MostPerDim * dim) return;
            if (slot.Metric is null) slot.Metric = new QueryMetric(dim);
            else if (slot.IsShared) slot.Metric = slot.Metric.Copy();
            slot.IsShared = false;
            for (int w = 0; w < request.Window; w++)
                slot.Metric.Add(request.Queries.Slice(((w * kvHeads) + kvHead) * group, group));
        }
    }

    /// <summary>The metric of a head: that of the plain distance until enough queries were seen.</summary>
    internal QueryMetric Of(int head)
    {
        lock (slots[head]) return slots[head].Metric is { } learnt && learnt.Count >= LeastPerDim * dim ? learnt : unit;
    }

    /// <summary>The same metrics for a fork, which goes on learning by itself.</summary>
    internal LearntMetrics Share()
    {
        var copy = new LearntMetrics(slots.Length, dim);
        for (int head = 0; head < slots.Length; head++)
        {
            lock (slots[head])
            {
                slots[head].IsShared = true;
                copy.slots[head].Metric = slots[head].Metric;
                copy.slots[head].IsShared = true;
            }
        }

        return copy;
    }

    private sealed class Slot
    {
        internal QueryMetric? Metric { get; set; }

        internal bool IsShared { get; set; }
    }
}

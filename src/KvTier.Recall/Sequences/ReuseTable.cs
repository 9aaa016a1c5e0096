namespace KvTier.Recall;

/// <summary>
/// Earlier choices by layer and selector, for the reuse rules of LServe (a choice serves n steps) and LouisKV (it serves until the queries
/// turn away). What is appended to the sequence ends them, as recent chunks are always in.
/// </summary>
internal sealed class ReuseTable
{
    /// <summary>Choices remembered; with one more all are forgotten.</summary>
    internal const int EntriesMax = 4096;

    /// <summary>Bytes of queries and choices remembered; a choice that alone has more is not remembered.</summary>
    internal const long BytesMax = 64L << 20;

    private readonly Dictionary<(int Layer, Selector Selector), ReuseEntry> entries = [];

    /// <summary>Bytes of queries and choices that it remembers.</summary>
    internal long Bytes { get; private set; }

    /// <summary>Forgets everything.</summary>
    internal void Clear()
    {
        entries.Clear();
        Bytes = 0;
    }

    /// <summary>Finds the choice that serves these queries.</summary>
    /// <returns>Null when a new one is to be made.</returns>
    internal Selection? Find(Selector selector, int layer, ReadOnlySpan<float> queries, int headDim)
    {
        if (!Remembers(selector.Reuse.Kind) || !entries.TryGetValue((layer, selector), out ReuseEntry? entry)) return null;
        if (entry.QueryLength != queries.Length) return null;
        bool serves = selector.Reuse.Kind == ReuseKind.EverySteps
            ? entry.Served < selector.Reuse.Value
            : MeanCosine(entry.Queries, queries, headDim) >= selector.Reuse.Value;
        if (!serves) return null;
        entry.Served++;
        return entry.Choice;
    }

    /// <summary>Remembers a choice, and the queries that it was made for.</summary>
    internal void Add(Selector selector, int layer, ReadOnlySpan<float> queries, Selection choice, int kvHeads)
    {
        if (!Remembers(selector.Reuse.Kind)) return;
        if (entries.Remove((layer, selector), out ReuseEntry? before)) Bytes -= before.Bytes;
        bool keepsQueries = selector.Reuse.Kind == ReuseKind.QueryCosine;
        long bytes = keepsQueries ? sizeof(float) * (long)queries.Length : 0;
        for (int head = 0; head < kvHeads; head++) bytes += sizeof(int) * (long)choice.Units(head).Length;
        if (bytes > BytesMax) return;
        if (entries.Count >= EntriesMax || Bytes + bytes > BytesMax) Clear();
        float[] kept = keepsQueries ? queries.ToArray() : [];
        entries[(layer, selector)] = new ReuseEntry(kept, queries.Length, Copy(choice, kvHeads), bytes) { Served = 1 };
        Bytes += bytes;
    }

    /// <summary>Mean over query heads of the cosine with the query before (LouisKV's r).</summary>
    internal static double MeanCosine(ReadOnlySpan<float> before, ReadOnlySpan<float> now, int headDim)
    {
        double sum = 0;
        int heads = now.Length / headDim;
        for (int h = 0; h < heads; h++)
            sum += Cosine(before.Slice(h * headDim, headDim), now.Slice(h * headDim, headDim));
        return heads == 0 ? 0 : sum / heads;
    }

    private static bool Remembers(ReuseKind kind) => kind is ReuseKind.EverySteps or ReuseKind.QueryCosine;

    private static double Cosine(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double dot = 0, aa = 0, bb = 0;
        for (int i = 0; i < a.Length; i++)
        {
            dot += (double)a[i] * b[i];
            aa += (double)a[i] * a[i];
            bb += (double)b[i] * b[i];
        }

        return aa == 0 || bb == 0 ? 0 : dot / Math.Sqrt(aa * bb);
    }

    /// <summary>The units alone: an estimate is for the queries that it was made for.</summary>
    private static Selection Copy(Selection choice, int kvHeads)
    {
        var copy = new Selection(kvHeads) { UnitTokens = choice.UnitTokens, Certified = choice.Certified };
        for (int head = 0; head < kvHeads; head++) copy.Set(head, choice.Units(head));
        return copy;
    }

    private sealed record ReuseEntry(float[] Queries, int QueryLength, Selection Choice, long Bytes)
    {
        internal int Served { get; set; }
    }
}

namespace KvTier.Recall;

/// <summary>Brings the queries of one KV head together.</summary>
internal static class HeadQueries
{
    /// <summary>Queries that choose for a KV head: those of the whole window, or one probe for each query head.</summary>
    internal static int Count(in SelectRequest request, int kvHeads) =>
        request.QueryHeads / kvHeads * (IsProbe(request) ? 1 : request.Window);

    /// <summary>Puts a KV head's queries into a table's transformed forms.</summary>
    /// <param name="request">The request, queries <c>[W, Hq, D]</c>.</param>
    /// <param name="kvHead">The KV head.</param>
    /// <param name="kvHeads">KV heads (Hkv).</param>
    /// <param name="headDim">Elements of a query (D).</param>
    /// <param name="table">Receives them as <c>[W · G, D]</c>.</param>
    internal static void Set(in SelectRequest request, int kvHead, int kvHeads, int headDim, ScoreTable table)
    {
        int width = request.QueryHeads * headDim;
        int part = width / kvHeads;
        int window = IsProbe(request) ? 1 : request.Window;
        Span<float> room = table.Room.Queries(width + (window * part));
        ReadOnlySpan<float> queries = request.Queries;
        if (window != request.Window)
        {
            ProbeQuery.Write(queries, request.Window, room[..width]);
            queries = room[..width];
        }

        Span<float> gathered = room.Slice(width, window * part);
        for (int w = 0; w < window; w++) queries.Slice((w * width) + (kvHead * part), part).CopyTo(gathered[(w * part)..]);
        table.Forms.Set(gathered, headDim, request.Scale);
    }

    private static bool IsProbe(in SelectRequest request) => request.Selector.Reuse.Kind == ReuseKind.Probe && request.Window > 1;
}

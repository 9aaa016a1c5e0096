namespace KvTier.Client.Tests.Docs;

/// <summary>The samples of docs/how-to/recall.md.</summary>
public static class RecallQuickstart
{
    // <decode>
    public static async Task<float[]> AttendAsync(KvNamespace ns, ReadOnlyMemory<BlockId> blocks, long tokens, float[] queries, int heads)
    {
        KvSequence chat = (await ns.OpenSequenceAsync("chat-1")).Value;
        _ = (await chat.AppendAsync(blocks, tokens)).Value;

        int layers = ns.Descriptor.Profile.Layers, dim = ns.Descriptor.Profile.HeadDim;
        var output = new float[layers * heads * dim];
        var lse = new float[layers * heads];
        RecallQueryItem[] items = [.. Enumerable.Range(0, layers).Select(layer => new RecallQueryItem
        {
            Sequence = chat.Name,
            Layer = layer,
            Queries = queries.AsMemory(layer * heads * dim, heads * dim),
            Output = output.AsMemory(layer * heads * dim, heads * dim),
            Lse = lse.AsMemory(layer * heads, heads),
        })];
        var query = new RecallQuery
        {
            Mode = RecallMode.Attend,
            Selector = Selectors.Moments,
            QueryHeads = heads,
            Items = items,
        };
        RecallItemResult[] results = (await ns.RecallAsync(query)).Value;
        foreach (MissingTokens missing in results[0].Missing) Console.WriteLine($"{missing.Tokens} tokens: {missing.Reason.Name()}");
        return output;
    }
    // </decode>

    // <lease>
    public static async Task<long> GatherInPlaceAsync(KvNamespace ns, RecallQuery gather)
    {
        using RecallLease lease = (await ns.RecallLeaseAsync(gather)).Value;
        long sum = 0;
        for (int i = 0; i < lease.Items.Count; i++)
        {
            foreach (byte b in lease.PayloadOf(i).Span) sum += b;
        }

        return lease.IsValid ? sum : throw new InvalidOperationException("read too slowly: the memory may hold something else");
    }
    // </lease>
}

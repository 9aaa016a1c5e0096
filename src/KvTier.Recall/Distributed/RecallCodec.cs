using System.Runtime.InteropServices;

namespace KvTier.Recall;

/// <summary>A recall request between silos: everything but the items, whose queries are the payload.</summary>
internal static class RecallCodec
{
    /// <summary>Most items of a request between silos.</summary>
    internal const int ItemsMax = 65_536;

    /// <summary>Writes what holds for all items.</summary>
    internal static void WriteHead(MessageWriter writer, NamespaceId ns, RecallRequest request)
    {
        writer.Namespace(ns);
        writer.Byte((byte)request.Mode);
        writer.Int(request.QueryHeads);
        writer.Int(request.Window);
        writer.Double(request.Temperature);
        WriteSelector(writer, request.Selector);
    }

    /// <summary>Reads what holds for all items.</summary>
    /// <returns>The request without items; null when it is none.</returns>
    internal static (NamespaceId Namespace, RecallRequest Request)? ReadHead(ref MessageReader reader)
    {
        NamespaceId ns = reader.Namespace();
        var mode = (RecallMode)reader.Byte();
        int heads = reader.Int();
        int window = reader.Int();
        double temperature = reader.Double();
        if (ReadSelector(ref reader) is not { } selector) return null;
        return (ns, new RecallRequest
        {
            Namespace = 0,
            Mode = mode,
            Selector = selector,
            QueryHeads = heads,
            Window = window,
            Temperature = (float)temperature,
            Items = [],
        });
    }

    /// <summary>Puts queries of items one after the other.</summary>
    internal static byte[] Queries(IEnumerable<RecallItem> items)
    {
        RecallItem[] all = [.. items];
        var bytes = new byte[all.Sum(item => item.Queries.Length * sizeof(float))];
        int at = 0;
        foreach (RecallItem item in all)
        {
            MemoryMarshal.AsBytes(item.Queries.Span).CopyTo(bytes.AsSpan(at));
            at += item.Queries.Length * sizeof(float);
        }

        return bytes;
    }

    /// <summary>The queries of an item, all items having as many.</summary>
    /// <returns>Null when the payload has not as many.</returns>
    internal static float[]? QueriesOf(ReadOnlySpan<byte> payload, int item, int items)
    {
        if (items == 0 || payload.Length % (items * sizeof(float)) != 0) return null;
        int each = payload.Length / items;
        var queries = new float[each / sizeof(float)];
        payload.Slice(item * each, each).CopyTo(MemoryMarshal.AsBytes(queries.AsSpan()));
        return queries;
    }

    private static void WriteSelector(MessageWriter writer, Selector selector)
    {
        MessageShapes.Write(writer, [selector.Digest], rotation: null);
        writer.Byte((byte)selector.Reduction);
        writer.Flag(selector.Softmax);
        writer.Byte((byte)selector.Budget.Kind);
        writer.Double(selector.Budget.Value);
        writer.Int(selector.SinkChunks);
        writer.Int(selector.RecentChunks);
        writer.Int(selector.MinChunks);
        writer.Int(selector.DenseLayers);
        writer.Flag(selector.Estimate);
        writer.Double(selector.EstimateShare);
        writer.Flag(selector.Reuse.Kind == ReuseKind.Probe);
    }

    private static Selector? ReadSelector(ref MessageReader reader)
    {
        if (!MessageShapes.TryRead(ref reader, out DigestSpec[] digests, out _)) return null;
        return new Selector
        {
            Name = "part",
            Digest = digests[0],
            Reduction = (GroupReduction)reader.Byte(),
            Softmax = reader.Flag(),
            Budget = new RecallBudget((BudgetKind)reader.Byte(), reader.Double()),
            SinkChunks = reader.Int(),
            RecentChunks = reader.Int(),
            MinChunks = reader.Int(),
            DenseLayers = reader.Int(),
            Estimate = reader.Flag(),
            EstimateShare = reader.Double(),
            Reuse = reader.Flag() ? new ReuseRule(ReuseKind.Probe, 0) : default,
        };
    }
}

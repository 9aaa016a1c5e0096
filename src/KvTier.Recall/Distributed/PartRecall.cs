namespace KvTier.Recall;

/// <summary>One item of a recall over parts.</summary>
/// <param name="Item">What is asked; held units are the matter of whoever asks.</param>
/// <param name="Stamp">What the part must be.</param>
/// <param name="Choice">The units chosen, counted in the part; null for all.</param>
/// <param name="Scored">Its number among the items of the session's scores; -1 when it has none.</param>
internal sealed record PartRecallItem(RecallItem Item, ulong Stamp, PartChoice? Choice, int Scored = -1);

/// <summary>A recall over parts, as it is sent.</summary>
/// <param name="Namespace">Fingerprint of the namespace.</param>
/// <param name="Request">What holds for all items; its items are void.</param>
/// <param name="Items">The items.</param>
/// <param name="Session">Names the scores that were made for it at this silo; 0 for none.</param>
internal sealed record PartRecall(NamespaceId Namespace, RecallRequest Request, IReadOnlyList<PartRecallItem> Items, long Session = 0)
{
    /// <summary>Writes it.</summary>
    internal (ReadOnlyMemory<byte> Body, byte[] Payload) Write()
    {
        byte[] queries = RecallCodec.Queries(Items.Select(each => each.Item));
        var writer = new MessageWriter();
        writer.Int(unchecked((int)Crc32C.Compute(queries)));
        writer.Long(Session);
        RecallCodec.WriteHead(writer, Namespace, Request);
        writer.Int(Items.Count);
        foreach (PartRecallItem each in Items)
        {
            writer.Text(each.Item.Sequence);
            writer.Long((long)each.Stamp);
            writer.Int(each.Item.Layer);
            writer.Flag(each.Choice is not null);
            if (each.Choice is null) continue;
            each.Choice.Write(writer);
            writer.Int(each.Scored);
        }

        return (writer.Written, queries);
    }

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none, or its queries are damaged.</returns>
    internal static PartRecall? Read(ReadOnlySpan<byte> body, ReadOnlySpan<byte> payload)
    {
        var reader = new MessageReader(body);
        if (unchecked((uint)reader.Int()) != Crc32C.Compute(payload)) return null;
        long session = reader.Long();
        if (RecallCodec.ReadHead(ref reader) is not { } head) return null;
        int count = reader.Count(leastBytes: 17);
        if (count is < 1 or > RecallCodec.ItemsMax) return null;
        var items = new List<PartRecallItem>(count);
        for (int i = 0; i < count; i++)
        {
            string name = reader.Text();
            ulong stamp = (ulong)reader.Long();
            int layer = reader.Int();
            PartChoice? choice = reader.Flag() ? PartChoice.Read(ref reader) : null;
            int scored = choice is null ? -1 : reader.Int();
            if (RecallCodec.QueriesOf(payload, i, count) is not { } queries) return null;
            items.Add(new PartRecallItem(new RecallItem { Sequence = name, Layer = layer, Queries = queries }, stamp, choice, scored));
        }

        return reader.IsDone ? new PartRecall(head.Namespace, head.Request, items, session) : null;
    }
}

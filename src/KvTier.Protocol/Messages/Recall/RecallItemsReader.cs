namespace KvTier.Protocol;

/// <summary>One item of a recall's answer as it stands in a body.</summary>
public readonly ref struct RecallItemView
{
    /// <summary>Tokens of a unit.</summary>
    public required int UnitTokens { get; init; }

    /// <summary>Units chosen for each KV head <c>[Hkv]</c>.</summary>
    public required Int32List Counts { get; init; }

    /// <summary>The units, one KV head after the other, ascending.</summary>
    public required Int32List Units { get; init; }

    /// <summary>What each slot is to hold now; empty when the caller holds none.</summary>
    public required Int32List Slots { get; init; }

    /// <summary>Units of each KV head whose rows are in the payload <c>[Hkv]</c>; empty without a gather.</summary>
    public required Int32List SentCounts { get; init; }

    /// <summary>Those units, one KV head after the other, in the order of their rows.</summary>
    public required Int32List Sent { get; init; }

    /// <summary>Tokens chosen that could not be read.</summary>
    public required MissingList Missing { get; init; }

    /// <summary>Rows (n) of each KV head in a gather's payload.</summary>
    public required int GatherRows { get; init; }

    /// <summary>First byte of the item's part of the payload.</summary>
    public required long PayloadOffset { get; init; }

    /// <summary>Bytes of it.</summary>
    public required int PayloadLength { get; init; }

    /// <summary>CRC32C of them.</summary>
    public required uint Check { get; init; }

    /// <summary>What it cost.</summary>
    public required RecallCost Cost { get; init; }
}

/// <summary>The items of a recall's answer. Every one is checked before the first is handed out.</summary>
public ref struct RecallItemsReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>Number of items.</summary>
    public int Count { get; private set; }

    /// <summary>Hands out the next answer, in the order of the request.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out RecallItemView item)
    {
        item = default;
        if (left == 0) return false;
        left--;
        int fields = items.ReadArrayHeader();
        item = new RecallItemView
        {
            UnitTokens = items.ReadInt32(),
            Counts = new Int32List(items.ReadBytes()),
            Units = new Int32List(items.ReadBytes()),
            Slots = new Int32List(items.ReadBytes()),
            SentCounts = new Int32List(items.ReadBytes()),
            Sent = new Int32List(items.ReadBytes()),
            Missing = new MissingList(items.ReadBytes()),
            GatherRows = items.ReadInt32(),
            PayloadOffset = items.ReadInt64(),
            PayloadLength = items.ReadInt32(),
            Check = items.ReadUInt32(),
            Cost = ReadCost(ref items),
        };
        for (int i = RecallResponseItem.Fields; i < fields; i++) items.Skip();
        return true;
    }

    /// <summary>Reads and checks the list of items, and the end of the body.</summary>
    /// <param name="body">The body that the reader reads.</param>
    /// <param name="reader">Stands before the list.</param>
    /// <param name="shape">What was asked for.</param>
    /// <param name="payloadLength">Bytes of the payload.</param>
    /// <param name="mayHaveGaps">True when there may be bytes of no meaning between and after the items' parts.</param>
    internal static RecallItemsReader Read(
        ReadOnlySpan<byte> body, scoped ref BodyReader reader, in RecallShape shape, long payloadLength, bool mayHaveGaps)
    {
        var result = new RecallItemsReader();
        result.Count = result.left = reader.List("items", shape.Items);
        result.items = new MessagePackReader(body[reader.Consumed..]);
        if (reader.IsOk && result.Count != shape.Items)
            reader.Refuse("items.count", $"{result.Count}", $"{shape.Items}, one for each item");
        long end = 0;
        for (int i = 0; i < result.Count && reader.IsOk; i++)
        {
            reader.At(i);
            end = CheckItem(ref reader, shape, end, mayHaveGaps ? payloadLength : end);
        }

        reader.Finish();
        if (reader.IsOk && (mayHaveGaps ? end > payloadLength : end != payloadLength))
            reader.Refuse("payloadLength", $"{payloadLength}", $"{end}, the end of the last item's part");
        return result;
    }

    /// <summary>Checks an item.</summary>
    /// <param name="reader">Stands before it.</param>
    /// <param name="shape">What was asked for.</param>
    /// <param name="first">The first byte where its part may begin.</param>
    /// <param name="last">The last one.</param>
    /// <returns>The end of its part.</returns>
    private static long CheckItem(ref BodyReader reader, in RecallShape shape, long first, long last)
    {
        int extra = reader.BeginItem("item", RecallResponseItem.Fields);
        int unitTokens = reader.Int("unitTokens", ushort.MaxValue, 1);
        var counts = new Int32List(reader.Blob("counts", sizeof(int), shape.KvHeads));
        var units = new Int32List(reader.Blob("units", sizeof(int), int.MaxValue / sizeof(int)));
        CheckUnits(ref reader, "units", counts, units, shape.KvHeads, ascending: true);
        var slots = new Int32List(reader.Blob("slots", sizeof(int), int.MaxValue / sizeof(int)));
        if (reader.IsOk && slots.Count % shape.KvHeads != 0)
            reader.Refuse("slots.count", $"{slots.Count}", $"a multiple of {shape.KvHeads} KV heads");
        var sentCounts = new Int32List(reader.Blob("sentCounts", sizeof(int), shape.KvHeads));
        var sent = new Int32List(reader.Blob("sent", sizeof(int), int.MaxValue / sizeof(int)));
        if (shape.Mode == RecallMode.Gather) CheckUnits(ref reader, "sent", sentCounts, sent, shape.KvHeads, ascending: false);
        else if (reader.IsOk && sentCounts.Count + sent.Count > 0) reader.Refuse("sent.count", $"{sent.Count}", "0 without a gather");
        CheckMissing(ref reader, new MissingList(reader.Blob("missing", MissingList.EntryBytes, int.MaxValue / MissingList.EntryBytes)));
        int rows = reader.Int("gatherRows", int.MaxValue);
        CheckRows(ref reader, shape, sentCounts, unitTokens, rows);
        long start = reader.Long("payloadOffset");
        int length = reader.Int("payloadLength", int.MaxValue);
        if (reader.IsOk && (start < first || start > last)) reader.Refuse("payloadOffset", $"{start}", $"{first} to {last}");
        if (reader.IsOk && length != shape.PayloadBytes(rows)) reader.Refuse("payloadLength", $"{length}", $"{shape.PayloadBytes(rows)}");
        reader.Unsigned("check", uint.MaxValue);
        SkipCost(ref reader);
        reader.EndItem("item", extra);
        return start + length;
    }

    private static void CheckUnits(
        ref BodyReader reader, string field, Int32List counts, Int32List units, int kvHeads, bool ascending)
    {
        if (!reader.IsOk) return;
        if (counts.Count != kvHeads)
        {
            string name = ascending ? "counts.count" : "sentCounts.count";
            reader.Refuse(name, $"{counts.Count}", $"{kvHeads}, one for each KV head");
            return;
        }

        long at = 0;
        for (int head = 0; head < kvHeads && reader.IsOk; head++)
        {
            int count = counts[head];
            if (count < 0 || count > units.Count - at)
            {
                reader.Refuse($"{field}.count", $"{count}", $"0 to {units.Count - at}, what is left of the list");
                return;
            }

            int last = -1;
            for (int i = 0; i < count; i++, at++)
            {
                int unit = units[(int)at];
                if (unit < 0 || (ascending && unit <= last))
                {
                    reader.Refuse(field, $"{unit}", ascending ? $"above {last}" : "0 or more");
                    return;
                }

                last = unit;
            }
        }

        if (at != units.Count) reader.Refuse($"{field}.count", $"{units.Count}", $"{at}, the sum of the counts");
    }

    private static void CheckMissing(ref BodyReader reader, MissingList missing)
    {
        for (int i = 0; i < missing.Count && reader.IsOk; i++)
        {
            MissingTokens run = missing[i];
            if (run.FirstToken < 0 || run.Tokens < 1 || (byte)run.Reason is 0 or >= 128)
                reader.Refuse("missing", $"{run}", "a run of 1 or more tokens with a reason");
        }
    }

    private static void CheckRows(ref BodyReader reader, in RecallShape shape, Int32List sentCounts, int unitTokens, int rows)
    {
        if (!reader.IsOk) return;
        long most = 0;
        for (int i = 0; i < sentCounts.Count; i++) most = Math.Max(most, (long)sentCounts[i] * unitTokens);
        if (rows > most) reader.Refuse("gatherRows", $"{rows}", $"0 to {most}, the tokens of the units sent");
        else if (shape.PayloadBytes(rows) > int.MaxValue)
            reader.Refuse(KvError.LimitExceeded("recall.payloadLength", shape.PayloadBytes(rows), int.MaxValue));
    }

    private static void SkipCost(ref BodyReader reader)
    {
        int extra = reader.BeginItem("cost", RecallResponseItem.CostFields);
        reader.Long("cost.unitsScored");
        reader.Long("cost.digestBytes");
        reader.Long("cost.kvBytes");
        reader.Long("cost.ssdBytes");
        reader.Long("cost.hotHits");
        reader.Long("cost.hotMisses");
        reader.Bool("cost.reused");
        reader.Bool("cost.certified");
        reader.EndItem("cost", extra);
    }

    private static RecallCost ReadCost(ref MessagePackReader items)
    {
        int fields = items.ReadArrayHeader();
        var cost = new RecallCost(
            items.ReadInt64(), items.ReadInt64(), items.ReadInt64(), items.ReadInt64(), items.ReadInt64(), items.ReadInt64(),
            items.ReadBoolean(), items.ReadBoolean());
        for (int i = RecallResponseItem.CostFields; i < fields; i++) items.Skip();
        return cost;
    }
}

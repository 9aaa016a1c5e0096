namespace KvTier.Protocol;

/// <summary>One layer of one sequence that a recall asks about; its queries are the next part of the payload.</summary>
public readonly ref struct RecallRequestItem
{
    /// <summary>Name of the sequence as UTF-8, standing in the body.</summary>
    public required ReadOnlySpan<byte> Sequence { get; init; }

    /// <summary>The layer.</summary>
    public required int Layer { get; init; }

    /// <summary>Units that the caller holds, <c>[Hkv, slots]</c>, -1 for a free slot; empty when it wants no slots.</summary>
    public required Int32List Held { get; init; }
}

/// <summary>
/// Writes the body of a recall: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct RecallRequestWriter
{
    internal const int Fields = 14;
    internal const int ItemFields = 3;

    private readonly MessagePackWriter writer;
    private readonly FrameBuffer buffer;
    private readonly long epoch;

    private RecallRequestWriter(MessagePackWriter writer, FrameBuffer buffer, long epoch)
    {
        this.writer = writer;
        this.buffer = buffer;
        this.epoch = epoch;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="head">What all items have in common.</param>
    /// <param name="count">How many items will be added.</param>
    public static RecallRequestWriter Begin(FrameBuffer buffer, in RecallHead head, int count)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields + EpochField.CountOf(head.Epoch));
        head.Write(output);
        output.WriteArrayHeader(count);
        return new RecallRequestWriter(output, buffer, head.Epoch);
    }

    /// <summary>Adds an item.</summary>
    /// <param name="sequence">Name of the sequence.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="held">Units that the caller holds; empty when it wants no slots.</param>
    public void Add(string sequence, int layer, ReadOnlySpan<int> held)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write(sequence);
        writer.Write(layer);
        writer.WriteInt32s(buffer, held);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => EpochField.Write(writer, epoch);
}

/// <summary>
/// The body of a recall. Every item is checked before the first is handed out, and the payload is as long as the queries of all items.
/// </summary>
public ref struct RecallRequestReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>What all items have in common.</summary>
    public RecallHead Head { get; private set; }

    /// <summary>Number of items, 1 or more.</summary>
    public int Count { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="payloadLength">Bytes of the frame's payload: the queries.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="request">The request.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, long payloadLength, Limits limits, out RecallRequestReader request)
    {
        request = default;
        var reader = new BodyReader(body, "recall", RecallRequestWriter.Fields);
        request.Head = RecallHead.Read(ref reader, limits);
        request.Count = request.left = reader.List("items", WireBounds.RecallItemsMax);
        if (reader.IsOk && request.Count == 0) reader.Refuse("items.count", "0", $"1 to {WireBounds.RecallItemsMax}");
        request.items = new MessagePackReader(body[reader.Consumed..]);
        for (int i = 0; i < request.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", RecallRequestWriter.ItemFields);
            if (reader.Utf8("sequence", WireBounds.SequenceNameBytesMax).IsEmpty && reader.IsOk)
                reader.Refuse("sequence.length", "0", $"1 to {WireBounds.SequenceNameBytesMax}");
            reader.Int("layer", ushort.MaxValue);
            reader.Blob("held", sizeof(int), int.MaxValue / sizeof(int));
            reader.EndItem("item", extra);
        }

        request.Head = request.Head with { Epoch = EpochField.Read(ref reader) };
        reader.Finish();
        CheckQueries(ref reader, request.Count * request.Head.ItemQueryBytes, payloadLength);
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }

    /// <summary>Hands out the next item, in the order of the payload.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out RecallRequestItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new RecallRequestItem
        {
            Sequence = items.ReadStringSpan(),
            Layer = items.ReadInt32(),
            Held = new Int32List(items.ReadBytes()),
        };
        for (int i = RecallRequestWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }

    private static void CheckQueries(ref BodyReader reader, long bytes, long payloadLength)
    {
        if (!reader.IsOk) return;
        if (bytes > WireBounds.RecallQueryBytesMax)
            reader.Refuse(KvError.LimitExceeded("recall.queryBytes", bytes, WireBounds.RecallQueryBytesMax));
        else if (bytes != payloadLength)
            reader.Refuse("payloadLength", $"{payloadLength}", $"{bytes}, items · window · queryHeads · headDim · bytes of dtype");
    }
}

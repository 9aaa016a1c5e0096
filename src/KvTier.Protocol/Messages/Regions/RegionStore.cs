namespace KvTier.Protocol;

/// <summary>One row to store.</summary>
public readonly ref struct RegionStoreItem
{
    /// <summary>The block's key, 1 to <see cref="Limits.KeyBytesMax"/> bytes, in the body.</summary>
    public required ReadOnlySpan<byte> Key { get; init; }

    /// <summary>The row.</summary>
    public required int Row { get; init; }
}

/// <summary>Writes the body of a region store: <see cref="Begin"/>, <see cref="Add"/> as often as announced, <see cref="End"/>.</summary>
public readonly ref struct RegionStoreRequestWriter
{
    internal const int Fields = 5;
    internal const int ItemFields = 2;

    private readonly FrameBuffer buffer;
    private readonly MessagePackWriter writer;
    private readonly Route route;
    private readonly int count;

    private RegionStoreRequestWriter(FrameBuffer buffer, MessagePackWriter writer, Route route, int count)
    {
        this.buffer = buffer;
        this.writer = writer;
        this.route = route;
        this.count = count;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="region">Number of the region.</param>
    /// <param name="ack">How far the blocks must come before the answer.</param>
    /// <param name="ttlMs">Time to live in ms; 0 for none.</param>
    /// <param name="deadlineNs">Until when rows may be read, on <c>CLOCK_MONOTONIC</c> of the machine.</param>
    /// <param name="count">How many items will be added.</param>
    /// <param name="route">What it says to a cluster; nothing by default.</param>
    public static RegionStoreRequestWriter Begin(
        FrameBuffer buffer, int region, AckLevel ack, long ttlMs, long deadlineNs, int count, Route route = default)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields + route.FieldCount);
        output.Write(region);
        output.Write((uint)ack);
        output.Write(ttlMs);
        output.Write(deadlineNs);
        output.WriteArrayHeader(count);
        return new RegionStoreRequestWriter(buffer, output, route, count);
    }

    /// <summary>Adds a row.</summary>
    public void Add(ReadOnlySpan<byte> key, int row)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write(key);
        writer.Write(row);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => route.Write(buffer, count);
}

/// <summary>The body of a region store; it is answered by a <see cref="PutResponse"/>. Every item is checked before the first is handed
/// out.</summary>
public ref struct RegionStoreRequestReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>Number of the region.</summary>
    public int Region { get; private set; }

    /// <summary>How far the blocks must come before the answer.</summary>
    public AckLevel Ack { get; private set; }

    /// <summary>Time to live in ms; 0 for none.</summary>
    public long TtlMs { get; private set; }

    /// <summary>Until when rows may be read, on <c>CLOCK_MONOTONIC</c> of the machine.</summary>
    public long DeadlineNs { get; private set; }

    /// <summary>Number of rows.</summary>
    public int Count { get; private set; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out RegionStoreRequestReader request)
    {
        request = default;
        var reader = new BodyReader(body, "regionStore", RegionStoreRequestWriter.Fields);
        request.Region = reader.Int("region", int.MaxValue, min: 1);
        request.Ack = (AckLevel)reader.Unsigned("ack", (ulong)AckLevel.Replica);
        request.TtlMs = reader.Long("ttl", WireBounds.TtlMsMax);
        request.DeadlineNs = reader.Long("deadlineNs");
        request.Count = request.left = reader.List("items", limits.BatchBlocksMax);
        request.items = new MessagePackReader(body[reader.Consumed..]);
        for (int i = 0; i < request.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", RegionStoreRequestWriter.ItemFields);
            reader.Bytes("key", limits.KeyBytesMax, min: 1);
            reader.Int("row", int.MaxValue);
            reader.EndItem("item", extra);
        }

        request.Route = RouteView.Read(ref reader);
        RouteView.Check(ref reader, request.Route, request.Count);
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }

    /// <summary>Hands out the next row.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out RegionStoreItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new RegionStoreItem { Key = items.ReadBytes(), Row = items.ReadInt32() };
        for (int i = RegionStoreRequestWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }
}

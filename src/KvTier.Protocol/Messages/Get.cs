namespace KvTier.Protocol;

/// <summary>A get: ids, and a range for each or none. An id may occur more than once, with other ranges.</summary>
public readonly ref struct GetRequest
{
    private const int Fields = 4;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private init; }

    /// <summary>The blocks, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>The range of each block, standing in the body; empty for whole blocks.</summary>
    public RangeList Ranges { get; private init; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private init; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="deadlineMs">Deadline in ms; 0 for the silo's default.</param>
    /// <param name="ids">The blocks.</param>
    /// <param name="ranges">A range for each, or empty for whole blocks.</param>
    /// <param name="route">What it says to a cluster; nothing by default.</param>
    public static void Write(
        FrameBuffer buffer, ushort ns, int deadlineMs, ReadOnlySpan<BlockId> ids, ReadOnlySpan<ByteRange> ranges = default,
        Route route = default)
    {
        if (!ranges.IsEmpty) ArgumentOutOfRangeException.ThrowIfNotEqual(ranges.Length, ids.Length, nameof(ranges));
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + route.FieldCount);
        writer.Write((uint)ns);
        writer.Write(deadlineMs);
        writer.WriteIds(buffer, ids);
        if (ranges.IsEmpty) writer.WriteNil();
        else writer.WriteRanges(buffer, ranges);
        route.Write(buffer, ids.Length);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out GetRequest request)
    {
        var reader = new BodyReader(body, "get", Fields);
        request = new GetRequest
        {
            Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
            DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax),
            Ids = new IdList(reader.Blob("ids", BlockId.SizeBytes, limits.BatchBlocksMax)),
            Ranges = reader.TryNil() ? default : new RangeList(reader.Blob("ranges", ByteRange.SizeBytes, limits.BatchBlocksMax)),
            Route = RouteView.Read(ref reader),
        };
        RouteView.Check(ref reader, request.Route, request.Ids.Count);
        reader.Finish();
        CheckRanges(ref reader, request, limits);
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }

    private static void CheckRanges(ref BodyReader reader, scoped GetRequest request, Limits limits)
    {
        if (!reader.IsOk || request.Ranges.Count == 0) return;
        if (request.Ranges.Count != request.Ids.Count)
        {
            reader.Refuse("ranges.count", $"{request.Ranges.Count}", $"{request.Ids.Count}, one for each id, or nil");
            return;
        }

        for (int i = 0; i < request.Ranges.Count; i++)
        {
            (int offset, int length) = request.Ranges[i];
            if (offset >= 0 && length >= 0 && offset <= limits.BlockBytesMax && length <= limits.BlockBytesMax - offset) continue;
            reader.At(i);
            reader.Refuse("range", $"offset {(uint)offset}, length {(uint)length}", $"within {limits.BlockBytesMax} bytes");
            return;
        }
    }
}

/// <summary>The answer for one block of a get; the bytes of hits stand in the payload, in their order.</summary>
/// <param name="Status">Hit or miss.</param>
/// <param name="Length">Bytes of it in the payload; 0 for a miss.</param>
/// <param name="Codec">Stored form of the bytes.</param>
/// <param name="Check"><see cref="BlockCheck"/> of id, codec, the range's offset, length and bytes; 0 for a miss.</param>
/// <param name="BlockLength">Bytes of the whole block; 0 for a miss.</param>
public readonly record struct GetItem(GetStatus Status, int Length, byte Codec, uint Check, int BlockLength)
{
    /// <summary>A miss.</summary>
    public static GetItem Miss(MissReason reason) => new(reason.ToGetStatus(), 0, 0, 0, 0);
}

/// <summary>
/// Writes the body of a get's answer: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct GetResponseWriter
{
    internal const int Fields = 1;
    internal const int ItemFields = 5;

    private readonly MessagePackWriter writer;
    private readonly CopiesFields copies;

    private GetResponseWriter(MessagePackWriter writer, CopiesFields copies)
    {
        this.writer = writer;
        this.copies = copies;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="count">How many items will be added: one for each id of the request.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then neither it nor <paramref name="copies"/> is written.</param>
    /// <param name="copies">Silos that hold the group of the first id, the owner included.</param>
    public static GetResponseWriter Begin(FrameBuffer buffer, int count, long epoch = 0, int copies = 1)
    {
        var output = new MessagePackWriter(buffer);
        var after = new CopiesFields(epoch, copies);
        output.WriteArrayHeader(Fields + after.Count);
        output.WriteArrayHeader(count);
        return new GetResponseWriter(output, after);
    }

    /// <summary>Adds the answer for the next id.</summary>
    public void Add(in GetItem item)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write((uint)item.Status);
        writer.Write(item.Length);
        writer.Write((uint)item.Codec);
        writer.Write(item.Check);
        writer.Write(item.BlockLength);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => copies.Write(writer);
}

/// <summary>The answer to a get. Every item is checked before the first is handed out.</summary>
public ref struct GetResponseReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>Number of blocks.</summary>
    public int Count { get; private set; }

    /// <summary>The silo's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; private set; }

    /// <summary>Silos that hold the group of the first id, the owner included.</summary>
    public int Copies { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many items must be there.</param>
    /// <param name="payloadLength">Bytes of the frame's payload, which the lengths must add up to.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="response">The response.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, long payloadLength, Limits limits, out GetResponseReader response)
    {
        response = default;
        var reader = new BodyReader(body, "get", GetResponseWriter.Fields);
        response.Count = response.left = reader.List("items", count);
        response.items = new MessagePackReader(body[reader.Consumed..]);
        if (reader.IsOk && response.Count != count) reader.Refuse("items.count", $"{response.Count}", $"{count}, one for each id");
        long total = 0;
        for (int i = 0; i < response.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", GetResponseWriter.ItemFields);
            var status = (GetStatus)reader.Unsigned("status", byte.MaxValue);
            int length = reader.Int("length", limits.BlockBytesMax);
            reader.Unsigned("codec", byte.MaxValue);
            reader.Unsigned("check", uint.MaxValue);
            int blockLength = reader.Int("blockLength", limits.BlockBytesMax);
            reader.EndItem("item", extra);
            if (length > blockLength || (length > 0 && !status.IsHit()))
                reader.Refuse("length", $"{length}", status.IsHit() ? $"0 to {blockLength}" : "0 for a miss");
            total += length;
        }

        (response.Epoch, response.Copies) = CopiesFields.Read(ref reader);
        reader.Finish();
        if (total != payloadLength) reader.Refuse("payloadLength", $"{payloadLength}", $"{total}, the sum of the items' lengths");
        if (reader.Error is null) return null;
        response = default;
        return reader.Error;
    }

    /// <summary>Hands out the next answer, in the order of the ids.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out GetItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new GetItem((GetStatus)items.ReadByte(), items.ReadInt32(), items.ReadByte(), items.ReadUInt32(), items.ReadInt32());
        for (int i = GetResponseWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }
}

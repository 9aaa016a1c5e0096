namespace KvTier.Protocol;

/// <summary>One block of a put: its bytes are the next <see cref="Length"/> bytes of the payload.</summary>
public readonly ref struct PutItem
{
    /// <summary>The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes, in the body.</summary>
    public required ReadOnlySpan<byte> Key { get; init; }

    /// <summary>Bytes of the block.</summary>
    public required int Length { get; init; }

    /// <summary>Stored form of the bytes; 0 is raw.</summary>
    public required byte Codec { get; init; }

    /// <summary><see cref="BlockCheck"/> of id, codec, offset 0, length and bytes.</summary>
    public required uint Check { get; init; }
}

/// <summary>
/// Writes the body of a put: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct PutRequestWriter
{
    internal const int Fields = 6;
    internal const int ItemFields = 4;

    private readonly FrameBuffer buffer;
    private readonly MessagePackWriter writer;
    private readonly Route route;
    private readonly int count;

    private PutRequestWriter(FrameBuffer buffer, MessagePackWriter writer, Route route, int count)
    {
        this.buffer = buffer;
        this.writer = writer;
        this.route = route;
        this.count = count;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="ack">How far the put must come before it is answered.</param>
    /// <param name="flags">Flags.</param>
    /// <param name="ttlMs">Time to live in ms; 0 for none.</param>
    /// <param name="deadlineMs">Deadline in ms; 0 for the silo's default.</param>
    /// <param name="count">How many items will be added.</param>
    /// <param name="route">What it says to a cluster; nothing by default.</param>
    public static PutRequestWriter Begin(
        FrameBuffer buffer, ushort ns, AckLevel ack, PutFlags flags, long ttlMs, int deadlineMs, int count, Route route = default)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields + route.FieldCount);
        output.Write((uint)ns);
        output.Write((uint)ack);
        output.Write((uint)flags);
        output.Write(ttlMs);
        output.Write(deadlineMs);
        output.WriteArrayHeader(count);
        return new PutRequestWriter(buffer, output, route, count);
    }

    /// <summary>Adds a block.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="length">Its bytes.</param>
    /// <param name="codec">Their stored form; 0 is raw.</param>
    /// <param name="check">Their <see cref="BlockCheck"/>.</param>
    public void Add(ReadOnlySpan<byte> key, int length, byte codec, uint check)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write(key);
        writer.Write(length);
        writer.Write((uint)codec);
        writer.Write(check);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => route.Write(buffer, count);
}

/// <summary>
/// The body of a put. Every item is checked before the first is handed out, and the lengths add up to the payload's, so that
/// <see cref="TryReadNext"/> can't fail half way.
/// </summary>
public ref struct PutRequestReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private set; }

    /// <summary>How far the put must come before it is answered.</summary>
    public AckLevel Ack { get; private set; }

    /// <summary>Flags.</summary>
    public PutFlags Flags { get; private set; }

    /// <summary>Time to live in ms; 0 for none.</summary>
    public long TtlMs { get; private set; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private set; }

    /// <summary>Number of blocks.</summary>
    public int Count { get; private set; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="payloadLength">Bytes of the frame's payload, which the items' lengths must add up to.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="request">The request.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, long payloadLength, Limits limits, out PutRequestReader request)
    {
        request = default;
        var reader = new BodyReader(body, "put", PutRequestWriter.Fields);
        request.Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue);
        request.Ack = (AckLevel)reader.Unsigned("ack", (ulong)AckLevel.Replica);
        request.Flags = (PutFlags)reader.Unsigned("flags", (ulong)PutFlags.Overwrite);
        request.TtlMs = reader.Long("ttl", WireBounds.TtlMsMax);
        request.DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax);
        request.Count = request.left = reader.List("items", limits.BatchBlocksMax);
        request.items = new MessagePackReader(body[reader.Consumed..]);
        long total = 0;
        for (int i = 0; i < request.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", PutRequestWriter.ItemFields);
            reader.Bytes("key", limits.KeyBytesMax, min: 1);
            total += reader.Int("length", limits.BlockBytesMax);
            reader.Unsigned("codec", byte.MaxValue);
            reader.Unsigned("check", uint.MaxValue);
            reader.EndItem("item", extra);
        }

        request.Route = RouteView.Read(ref reader);
        RouteView.Check(ref reader, request.Route, request.Count);
        reader.Finish();
        if (total != payloadLength) reader.Refuse("payloadLength", $"{payloadLength}", $"{total}, the sum of the items' lengths");
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }

    /// <summary>Hands out the next block, in the order of the payload.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out PutItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new PutItem
        {
            Key = items.ReadBytes(),
            Length = items.ReadInt32(),
            Codec = items.ReadByte(),
            Check = items.ReadUInt32(),
        };
        for (int i = PutRequestWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }
}

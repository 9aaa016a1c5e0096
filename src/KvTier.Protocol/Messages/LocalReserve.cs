namespace KvTier.Protocol;

/// <summary>One block of a reserve.</summary>
public readonly ref struct ReserveItem
{
    /// <summary>The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes, in the body.</summary>
    public required ReadOnlySpan<byte> Key { get; init; }

    /// <summary>Bytes of the block.</summary>
    public required int Length { get; init; }

    /// <summary>Stored form of the bytes that will be written; 0 is raw.</summary>
    public required byte Codec { get; init; }
}

/// <summary>
/// Writes the body of a reserve: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct LocalReserveRequestWriter
{
    internal const int Fields = 6;
    internal const int ItemFields = 3;

    private readonly FrameBuffer buffer;
    private readonly MessagePackWriter writer;
    private readonly Route route;
    private readonly int count;

    private LocalReserveRequestWriter(FrameBuffer buffer, MessagePackWriter writer, Route route, int count)
    {
        this.buffer = buffer;
        this.writer = writer;
        this.route = route;
        this.count = count;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="flags">Flags.</param>
    /// <param name="ttlMs">Time to live in ms; 0 for none.</param>
    /// <param name="deadlineMs">Deadline in ms; 0 for the silo's default.</param>
    /// <param name="leaseMs">How long the reservations last, in ms; 0 for 10,000, or <see cref="Limits.LeaseMsMax"/> where that is
    /// less.</param>
    /// <param name="count">How many items will be added.</param>
    /// <param name="route">What it says to a cluster; nothing by default.</param>
    public static LocalReserveRequestWriter Begin(
        FrameBuffer buffer, ushort ns, PutFlags flags, long ttlMs, int deadlineMs, int leaseMs, int count, Route route = default)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields + route.FieldCount);
        output.Write((uint)ns);
        output.Write((uint)flags);
        output.Write(ttlMs);
        output.Write(deadlineMs);
        output.Write(leaseMs);
        output.WriteArrayHeader(count);
        return new LocalReserveRequestWriter(buffer, output, route, count);
    }

    /// <summary>Adds a block.</summary>
    public void Add(ReadOnlySpan<byte> key, int length, byte codec)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write(key);
        writer.Write(length);
        writer.Write((uint)codec);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => route.Write(buffer, count);
}

/// <summary>The body of a reserve. Every item is checked before the first is handed out.</summary>
public ref struct LocalReserveRequestReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private set; }

    /// <summary>Flags.</summary>
    public PutFlags Flags { get; private set; }

    /// <summary>Time to live in ms; 0 for none.</summary>
    public long TtlMs { get; private set; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private set; }

    /// <summary>How long the reservations last, in ms; 0 for 10,000, or <see cref="Limits.LeaseMsMax"/> where that is less.</summary>
    public int LeaseMs { get; private set; }

    /// <summary>Number of blocks.</summary>
    public int Count { get; private set; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out LocalReserveRequestReader request)
    {
        request = default;
        var reader = new BodyReader(body, "localReserve", LocalReserveRequestWriter.Fields);
        request.Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue);
        request.Flags = (PutFlags)reader.Unsigned("flags", (ulong)PutFlags.Overwrite);
        request.TtlMs = reader.Long("ttl", WireBounds.TtlMsMax);
        request.DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax);
        request.LeaseMs = reader.Int("leaseMs", limits.LeaseMsMax);
        request.Count = request.left = reader.List("items", limits.BatchBlocksMax);
        request.items = new MessagePackReader(body[reader.Consumed..]);
        for (int i = 0; i < request.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", LocalReserveRequestWriter.ItemFields);
            reader.Bytes("key", limits.KeyBytesMax, min: 1);
            reader.Int("length", limits.BlockBytesMax);
            reader.Unsigned("codec", byte.MaxValue);
            reader.EndItem("item", extra);
        }

        request.Route = RouteView.Read(ref reader);
        RouteView.Check(ref reader, request.Route, request.Count);
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }

    /// <summary>Hands out the next block.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out ReserveItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new ReserveItem { Key = items.ReadBytes(), Length = items.ReadInt32(), Codec = items.ReadByte() };
        for (int i = LocalReserveRequestWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }
}

/// <summary>The answer for one block of a reserve.</summary>
/// <param name="Status">Reserved, present or refused.</param>
/// <param name="Reservation">Number of the reservation, to commit or abort with; 0 unless reserved.</param>
/// <param name="Offset">First byte in the arena.</param>
/// <param name="Capacity">Bytes that may be written there.</param>
public readonly record struct ReservedItem(ReserveStatus Status, ulong Reservation, long Offset, int Capacity);

/// <summary>
/// Writes the body of a reserve's answer: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct LocalReserveResponseWriter
{
    internal const int Fields = 3;
    internal const int ItemFields = 4;

    private readonly FrameBuffer buffer;
    private readonly MessagePackWriter writer;
    private readonly long epoch;

    private LocalReserveResponseWriter(FrameBuffer buffer, MessagePackWriter writer, long epoch)
    {
        this.buffer = buffer;
        this.writer = writer;
        this.epoch = epoch;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="leaseDeadlineNs">When the reservations end, on <c>CLOCK_MONOTONIC</c>.</param>
    /// <param name="count">How many items will be added: one for each of the request.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then it is not written.</param>
    public static LocalReserveResponseWriter Begin(FrameBuffer buffer, long leaseDeadlineNs, int count, long epoch = 0)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields + EpochField.CountOf(epoch));
        output.Write(leaseDeadlineNs);
        output.WriteArrayHeader(count);
        return new LocalReserveResponseWriter(buffer, output, epoch);
    }

    /// <summary>Adds the answer for the next block.</summary>
    public void Add(in ReservedItem item)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write((uint)item.Status);
        writer.Write(item.Reservation);
        writer.Write(item.Offset);
        writer.Write(item.Capacity);
    }

    /// <summary>Writes what stands after the items.</summary>
    /// <param name="error">Why the first refused one was; null when none was.</param>
    public void End(KvError? error)
    {
        ErrorBody.WriteOrNil(buffer, error);
        EpochField.Write(writer, epoch);
    }
}

/// <summary>The answer to a reserve. Every item is checked before the first is handed out.</summary>
public ref struct LocalReserveResponseReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>When the reservations end, in ns on <c>CLOCK_MONOTONIC</c>.</summary>
    public long LeaseDeadlineNs { get; private set; }

    /// <summary>Number of blocks.</summary>
    public int Count { get; private set; }

    /// <summary>Why the first refused one was; null when none was.</summary>
    public KvError? Error { get; private set; }

    /// <summary>The silo's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Blocks of the request; that many items must be there.</param>
    /// <param name="arenaBytes">Bytes of the mapped arena, which every reservation must lie in.</param>
    /// <param name="response">The response.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, long arenaBytes, out LocalReserveResponseReader response)
    {
        response = default;
        var reader = new BodyReader(body, "localReserve", LocalReserveResponseWriter.Fields);
        response.LeaseDeadlineNs = reader.Long("leaseDeadlineNs");
        response.Count = response.left = reader.List("items", count);
        response.items = new MessagePackReader(body[reader.Consumed..]);
        if (reader.IsOk && response.Count != count) reader.Refuse("items.count", $"{response.Count}", $"{count}, one for each block");
        for (int i = 0; i < response.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", LocalReserveResponseWriter.ItemFields);
            reader.Unsigned("status", (ulong)ReserveStatus.Moved);
            reader.Unsigned("reservation", ulong.MaxValue);
            long offset = reader.Long("offset", arenaBytes);
            int capacity = reader.Int("capacity", int.MaxValue);
            reader.EndItem("item", extra);
            if (capacity > arenaBytes - offset) reader.Refuse("capacity", $"{capacity}", $"{arenaBytes - offset}, the end of the arena");
        }

        reader.At(-1);
        response.Error = ErrorBody.ReadOrNil(ref reader);
        response.Epoch = EpochField.Read(ref reader);
        reader.Finish();
        if (reader.Error is null) return null;
        response = default;
        return reader.Error;
    }

    /// <summary>Hands out the next answer.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out ReservedItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new ReservedItem((ReserveStatus)items.ReadByte(), items.ReadUInt64(), items.ReadInt64(), items.ReadInt32());
        for (int i = LocalReserveResponseWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }
}

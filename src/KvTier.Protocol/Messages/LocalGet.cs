namespace KvTier.Protocol;

/// <summary>The answer to a local attach: <c>[path, sizeBytes, nonce]</c>.</summary>
public static class LocalAttachResponse
{
    internal const int Fields = 3;

    /// <summary>Writes the body.</summary>
    public static void Write(FrameBuffer buffer, SharedArenaInfo arena)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(arena.Path);
        writer.Write(arena.SizeBytes);
        writer.Write(arena.Nonce);
    }

    /// <summary>Reads the body.</summary>
    public static Result<SharedArenaInfo> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "localAttach", Fields);
        SharedArenaInfo arena = ReadFields(ref reader);
        reader.Finish();
        return reader.Error is null ? arena : reader.Error;
    }

    internal static SharedArenaInfo ReadFields(ref BodyReader reader) => new(
        reader.Text("arena.path", WireBounds.PathBytesMax), reader.Long("arena.sizeBytes"), reader.Unsigned("arena.nonce", ulong.MaxValue));
}

/// <summary>A get that leases blocks in the arena instead of sending their bytes.</summary>
public readonly ref struct LocalGetRequest
{
    private const int Fields = 4;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private init; }

    /// <summary>How long the leases last, in ms; 0 for 10,000, or <see cref="Limits.LeaseMsMax"/> where that is less.</summary>
    public int LeaseMs { get; private init; }

    /// <summary>The blocks, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>What the request says to a cluster.</summary>
    public RouteView Route { get; private init; }

    /// <summary>Flags; none where the body does not say.</summary>
    public LocalGetFlags Flags { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(
        FrameBuffer buffer, ushort ns, int deadlineMs, int leaseMs, ReadOnlySpan<BlockId> ids, Route route = default,
        LocalGetFlags flags = LocalGetFlags.None)
    {
        var writer = new MessagePackWriter(buffer);
        bool isFlagged = flags != LocalGetFlags.None;
        writer.WriteArrayHeader(Fields + route.FieldsBefore(isFlagged ? 1 : 0));
        writer.Write((uint)ns);
        writer.Write(deadlineMs);
        writer.Write(leaseMs);
        writer.WriteIds(buffer, ids);
        route.Write(buffer, ids.Length, always: isFlagged);
        if (isFlagged) writer.Write((uint)flags);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out LocalGetRequest request)
    {
        var reader = new BodyReader(body, "localGet", Fields);
        request = new LocalGetRequest
        {
            Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
            DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax),
            LeaseMs = reader.Int("leaseMs", limits.LeaseMsMax),
            Ids = new IdList(reader.Blob("ids", BlockId.SizeBytes, limits.BatchBlocksMax)),
            Route = RouteView.Read(ref reader),
            Flags = reader.TryOptional(1) ? (LocalGetFlags)reader.Unsigned("flags", (ulong)LocalGetFlags.CheckBySilo) : default,
        };
        RouteView.Check(ref reader, request.Route, request.Ids.Count);
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }
}

/// <summary>The answer for one block of a local get.</summary>
/// <param name="Status">Hit or miss.</param>
/// <param name="Lease">Number of the lease, to give it back with; 0 for a miss only: an empty block has a lease like any other.</param>
/// <param name="Offset">First byte in the arena.</param>
/// <param name="Length">Bytes of the block.</param>
/// <param name="Codec">Stored form of the bytes.</param>
/// <param name="Check"><see cref="BlockCheck"/> of id, codec, offset 0, length and bytes; 0 for a miss.</param>
/// <param name="IsChecked">True when the silo has computed the check of the bytes anew for this answer, as it was asked to.</param>
public readonly record struct LocalGetItem(
    GetStatus Status, ulong Lease, long Offset, int Length, byte Codec, uint Check, bool IsChecked = false)
{
    /// <summary>A miss.</summary>
    public static LocalGetItem Miss(MissReason reason) => new(reason.ToGetStatus(), 0, 0, 0, 0, 0);
}

/// <summary>
/// Writes the body of a local get's answer: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct LocalGetResponseWriter
{
    internal const int Fields = 2;
    internal const int ItemFields = 6;

    private readonly MessagePackWriter writer;
    private readonly CopiesFields copies;

    private LocalGetResponseWriter(MessagePackWriter writer, CopiesFields copies)
    {
        this.writer = writer;
        this.copies = copies;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="leaseDeadlineNs">When the leases end, on <c>CLOCK_MONOTONIC</c>.</param>
    /// <param name="count">How many items will be added: one for each id of the request.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then neither it nor <paramref name="copies"/> is written.</param>
    /// <param name="copies">Silos that hold the group of the first id, the owner included.</param>
    public static LocalGetResponseWriter Begin(FrameBuffer buffer, long leaseDeadlineNs, int count, long epoch = 0, int copies = 1)
    {
        var output = new MessagePackWriter(buffer);
        var after = new CopiesFields(epoch, copies);
        output.WriteArrayHeader(Fields + after.Count);
        output.Write(leaseDeadlineNs);
        output.WriteArrayHeader(count);
        return new LocalGetResponseWriter(output, after);
    }

    /// <summary>Adds the answer for the next id.</summary>
    public void Add(in LocalGetItem item)
    {
        writer.WriteArrayHeader(item.IsChecked ? ItemFields + 1 : ItemFields);
        writer.Write((uint)item.Status);
        writer.Write(item.Lease);
        writer.Write(item.Offset);
        writer.Write(item.Length);
        writer.Write((uint)item.Codec);
        writer.Write(item.Check);
        if (item.IsChecked) writer.Write(1u);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => copies.Write(writer);
}

/// <summary>The answer to a local get. Every item is checked before the first is handed out.</summary>
public ref struct LocalGetResponseReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>When the leases end, in ns on <c>CLOCK_MONOTONIC</c>.</summary>
    public long LeaseDeadlineNs { get; private set; }

    /// <summary>Number of blocks.</summary>
    public int Count { get; private set; }

    /// <summary>The silo's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; private set; }

    /// <summary>Silos that hold the group of the first id, the owner included.</summary>
    public int Copies { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many items must be there.</param>
    /// <param name="arenaBytes">Bytes of the mapped arena, which every hit must lie in.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="response">The response.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, int count, long arenaBytes, Limits limits, out LocalGetResponseReader response)
    {
        response = default;
        var reader = new BodyReader(body, "localGet", LocalGetResponseWriter.Fields);
        response.LeaseDeadlineNs = reader.Long("leaseDeadlineNs");
        response.Count = response.left = reader.List("items", count);
        response.items = new MessagePackReader(body[reader.Consumed..]);
        if (reader.IsOk && response.Count != count) reader.Refuse("items.count", $"{response.Count}", $"{count}, one for each id");
        for (int i = 0; i < response.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", LocalGetResponseWriter.ItemFields);
            reader.Unsigned("status", byte.MaxValue);
            reader.Unsigned("lease", ulong.MaxValue);
            long offset = reader.Long("offset", arenaBytes);
            int length = reader.Int("length", limits.BlockBytesMax);
            reader.Unsigned("codec", byte.MaxValue);
            reader.Unsigned("check", uint.MaxValue);
            if (extra > 0) reader.Unsigned("checked", 1);
            reader.EndItem("item", Math.Max(0, extra - 1));
            if (length > arenaBytes - offset) reader.Refuse("length", $"{length}", $"{arenaBytes - offset}, the end of the arena");
        }

        (response.Epoch, response.Copies) = CopiesFields.Read(ref reader);
        reader.Finish();
        if (reader.Error is null) return null;
        response = default;
        return reader.Error;
    }

    /// <summary>Hands out the next answer, in the order of the ids.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out LocalGetItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new LocalGetItem(
            (GetStatus)items.ReadByte(), items.ReadUInt64(), items.ReadInt64(), items.ReadInt32(), items.ReadByte(), items.ReadUInt32(),
            fields > LocalGetResponseWriter.ItemFields && items.ReadUInt64() == 1);
        for (int i = LocalGetResponseWriter.ItemFields + 1; i < fields; i++) items.Skip();
        return true;
    }
}

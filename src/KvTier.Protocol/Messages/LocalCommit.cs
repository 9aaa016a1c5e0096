namespace KvTier.Protocol;

/// <summary>One slot to seal.</summary>
/// <param name="Reservation">Number of the reservation.</param>
/// <param name="Check"><see cref="BlockCheck"/> of the block's id, codec, offset 0, length and the bytes written.</param>
public readonly record struct CommitItem(ulong Reservation, uint Check);

/// <summary>Writes the body of a commit: <see cref="Begin"/>, then <see cref="Add"/> as often as announced.</summary>
public readonly ref struct LocalCommitRequestWriter
{
    internal const int Fields = 3;
    internal const int ItemFields = 2;

    private readonly MessagePackWriter writer;
    private readonly CommitFlags flags;

    private LocalCommitRequestWriter(MessagePackWriter writer, CommitFlags flags)
    {
        this.writer = writer;
        this.flags = flags;
    }

    /// <summary>Writes all but the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="ack">How far the put must come before it is answered.</param>
    /// <param name="deadlineMs">Deadline in ms; 0 for the silo's default.</param>
    /// <param name="count">How many items will be added.</param>
    /// <param name="flags">Flags; with any, <see cref="End"/> must be called after the last item.</param>
    public static LocalCommitRequestWriter Begin(
        FrameBuffer buffer, AckLevel ack, int deadlineMs, int count, CommitFlags flags = CommitFlags.None)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(flags == CommitFlags.None ? Fields : Fields + 1);
        output.Write((uint)ack);
        output.Write(deadlineMs);
        output.WriteArrayHeader(count);
        return new LocalCommitRequestWriter(output, flags);
    }

    /// <summary>Adds a slot.</summary>
    public void Add(in CommitItem item)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write(item.Reservation);
        writer.Write(item.Check);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End()
    {
        if (flags != CommitFlags.None) writer.Write((uint)flags);
    }
}

/// <summary>
/// The body of a commit; it is answered by a <see cref="PutResponse"/>. Every item is checked before the first is handed out.
/// </summary>
public ref struct LocalCommitRequestReader
{
    private MessagePackReader items;
    private int left;

    /// <summary>How far the put must come before it is answered.</summary>
    public AckLevel Ack { get; private set; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private set; }

    /// <summary>Number of slots.</summary>
    public int Count { get; private set; }

    /// <summary>Flags; none where the body does not say.</summary>
    public CommitFlags Flags { get; private set; }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out LocalCommitRequestReader request)
    {
        request = default;
        var reader = new BodyReader(body, "localCommit", LocalCommitRequestWriter.Fields);
        request.Ack = (AckLevel)reader.Unsigned("ack", (ulong)AckLevel.Replica);
        request.DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax);
        request.Count = request.left = reader.List("items", limits.BatchBlocksMax);
        request.items = new MessagePackReader(body[reader.Consumed..]);
        for (int i = 0; i < request.Count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", LocalCommitRequestWriter.ItemFields);
            reader.Unsigned("reservation", ulong.MaxValue);
            reader.Unsigned("check", uint.MaxValue);
            reader.EndItem("item", extra);
        }

        if (reader.TryOptional(1)) request.Flags = (CommitFlags)reader.Unsigned("flags", (ulong)CommitFlags.ChecksBySilo);
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }

    /// <summary>Hands out the next slot.</summary>
    /// <returns>False after the last one.</returns>
    public bool TryReadNext(out CommitItem item)
    {
        if (left == 0)
        {
            item = default;
            return false;
        }

        left--;
        int fields = items.ReadArrayHeader();
        item = new CommitItem(items.ReadUInt64(), items.ReadUInt32());
        for (int i = LocalCommitRequestWriter.ItemFields; i < fields; i++) items.Skip();
        return true;
    }
}

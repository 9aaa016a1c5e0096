namespace KvTier.Protocol;

/// <summary>What routers are to be told of a block, in the words of its engine.</summary>
/// <param name="Id">The block.</param>
/// <param name="Hash">The engine's hash of it, 1 to <see cref="WireBounds.EventHashBytesMax"/> bytes.</param>
/// <param name="ParentHash">That of the block before it; empty for the first one.</param>
/// <param name="Tokens">Its token ids.</param>
/// <param name="ExtraKeys">What else went into the hash, as MessagePack; empty for nothing.</param>
/// <param name="GroupIndex">Its group of layers in the engine; -1 for none.</param>
public sealed record EventNote(
    BlockId Id, ReadOnlyMemory<byte> Hash, ReadOnlyMemory<byte> ParentHash, ReadOnlyMemory<int> Tokens,
    ReadOnlyMemory<byte> ExtraKeys = default, int GroupIndex = -1);

/// <summary>Notes of blocks that were put, or are about to be.</summary>
/// <param name="Namespace">Handle of the namespace.</param>
/// <param name="BlockTokens">Tokens of a block in the engine.</param>
/// <param name="LoraName">Name of the adapter; null for none.</param>
/// <param name="Notes">The notes, parents before their children.</param>
public sealed record EventNotesRequest(ushort Namespace, int BlockTokens, string? LoraName, IReadOnlyList<EventNote> Notes)
{
    private const int Fields = 4;
    private const int NoteFields = 6;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)Namespace);
        writer.Write(BlockTokens);
        writer.Write(LoraName);
        writer.WriteArrayHeader(Notes.Count);
        Span<byte> id = stackalloc byte[BlockId.SizeBytes];
        foreach (EventNote note in Notes)
        {
            writer.WriteArrayHeader(NoteFields);
            note.Id.WriteTo(id);
            writer.Write((ReadOnlySpan<byte>)id);
            writer.Write(note.Hash.Span);
            if (note.ParentHash.IsEmpty) writer.WriteNil();
            else writer.Write(note.ParentHash.Span);
            writer.WriteInt32s(buffer, note.Tokens.Span);
            if (note.ExtraKeys.IsEmpty) writer.WriteNil();
            else writer.Write(note.ExtraKeys.Span);
            if (note.GroupIndex < 0) writer.WriteNil();
            else writer.Write(note.GroupIndex);
        }
    }

    /// <summary>Reads and checks the body.</summary>
    public static Result<EventNotesRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "eventNotes", Fields);
        var ns = (ushort)reader.Unsigned("ns", ushort.MaxValue);
        int blockTokens = reader.Int("blockTokens", WireBounds.EventTokensMax, min: 1);
        string? lora = reader.TryNil() ? null : reader.Text("loraName", WireBounds.EngineTextBytesMax);
        int count = reader.List("notes", limits.BatchBlocksMax);
        var notes = new List<EventNote>(reader.IsOk ? count : 0);
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("note", NoteFields);
            EventNote? note = ReadNote(ref reader);
            reader.EndItem("note", extra);
            if (note is not null) notes.Add(note);
        }

        reader.Finish();
        return reader.Error is null ? new EventNotesRequest(ns, blockTokens, lora, notes) : reader.Error;
    }

    private static EventNote? ReadNote(ref BodyReader reader)
    {
        ReadOnlySpan<byte> id = reader.Bytes("id", BlockId.SizeBytes, BlockId.SizeBytes);
        ReadOnlySpan<byte> hash = reader.Bytes("hash", WireBounds.EventHashBytesMax, 1);
        ReadOnlySpan<byte> parent = reader.TryNil() ? default : reader.Bytes("parentHash", WireBounds.EventHashBytesMax, 1);
        var tokens = new Int32List(reader.Blob("tokens", sizeof(int), WireBounds.EventTokensMax));
        ReadOnlySpan<byte> extraKeys = reader.TryNil() ? default : reader.Bytes("extraKeys", WireBounds.EventExtraBytesMax, 1);
        if (reader.IsOk && !extraKeys.IsEmpty && !IsOneValue(extraKeys))
            reader.Refuse("extraKeys", $"{extraKeys.Length} bytes", "one value of MessagePack");
        int group = reader.TryNil() ? -1 : reader.Int("groupIndex", ushort.MaxValue);
        return reader.IsOk
            ? new EventNote(BlockId.Read(id), hash.ToArray(), parent.ToArray(), tokens.ToArray(), extraKeys.ToArray(), group)
            : null;
    }

    private static bool IsOneValue(ReadOnlySpan<byte> bytes)
    {
        var reader = new MessagePackReader(bytes);
        reader.Skip();
        return reader.End;
    }
}

/// <summary>What became of notes.</summary>
/// <param name="Taken">Notes kept.</param>
/// <param name="Dropped">Notes for which there was no room.</param>
/// <param name="Publishing">False when the silo publishes no events: a client may then save itself the notes.</param>
public readonly record struct EventNotesResponse(int Taken, int Dropped, bool Publishing)
{
    private const int Fields = 3;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Taken);
        writer.Write(Dropped);
        writer.Write(Publishing);
    }

    /// <summary>Reads and checks the body.</summary>
    public static Result<EventNotesResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "eventNotes", Fields);
        var response = new EventNotesResponse(
            reader.Int("taken", int.MaxValue), reader.Int("dropped", int.MaxValue), reader.Bool("publishing"));
        reader.Finish();
        return reader.Error is null ? response : reader.Error;
    }
}

using System.Buffers.Binary;

namespace KvTier.Protocol;

/// <summary>How events are written.</summary>
public enum KvEventForm : byte
{
    /// <summary>The batch and every event is an array, by position.</summary>
    Array,

    /// <summary>The batch is an array, every event a map with its <c>type</c>.</summary>
    Map,

    /// <summary>The batch is a map too.</summary>
    FullMap,
}

/// <summary>How hashes are written.</summary>
public enum KvEventHashes : byte
{
    /// <summary>The last 8 bytes as an unsigned integer.</summary>
    Int,

    /// <summary>The last 8 bytes as a signed integer.</summary>
    Signed,

    /// <summary>All bytes.</summary>
    Bytes,
}

/// <summary>What happened to blocks.</summary>
public enum KvEventKind : byte
{
    /// <summary>They came into a medium.</summary>
    Stored,

    /// <summary>They left it.</summary>
    Removed,

    /// <summary>Whatever was told before holds no more.</summary>
    Cleared,
}

/// <summary>One event: a run of blocks that came into a medium or left it.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Medium"><c>GPU</c>, <c>CPU</c> or <c>STORAGE</c>; empty for <see cref="KvEventKind.Cleared"/>.</param>
/// <param name="Blocks">The blocks; each but the first of a stored run is the child of the one before it.</param>
/// <param name="BlockTokens">Tokens of a block.</param>
/// <param name="LoraName">Name of the adapter; null for none.</param>
public sealed record KvEvent(KvEventKind Kind, string Medium, IReadOnlyList<EventNote> Blocks, int BlockTokens, string? LoraName);

/// <summary>
/// Writes batches of events as inference engines publish them: <c>[time, events, rank]</c>, with BlockStored, BlockRemoved and
/// AllBlocksCleared.
/// </summary>
/// <param name="form">Arrays or maps.</param>
/// <param name="hashes">How hashes are written.</param>
public sealed class KvEventWriter(KvEventForm form, KvEventHashes hashes)
{
    /// <summary>Writes a batch.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="seconds">Seconds since 1970.</param>
    /// <param name="events">The events.</param>
    public void Write(FrameBuffer buffer, double seconds, IReadOnlyList<KvEvent> events)
    {
        var writer = new MessagePackWriter(buffer);
        if (form == KvEventForm.FullMap)
        {
            writer.WriteMapHeader(4);
            writer.WriteString("type"u8);
            writer.WriteString("KVEventBatch"u8);
            writer.WriteString("ts"u8);
            writer.Write(seconds);
            writer.WriteString("events"u8);
            WriteEvents(buffer, events);
            writer.WriteString("data_parallel_rank"u8);
            writer.Write(0);
            return;
        }

        writer.WriteArrayHeader(3);
        writer.Write(seconds);
        WriteEvents(buffer, events);
        writer.Write(0);
    }

    private void WriteEvents(FrameBuffer buffer, IReadOnlyList<KvEvent> events)
    {
        new MessagePackWriter(buffer).WriteArrayHeader(events.Count);
        foreach (KvEvent each in events)
        {
            if (form == KvEventForm.Array) WriteArray(buffer, each);
            else WriteMap(buffer, each);
        }
    }

    private void WriteArray(FrameBuffer buffer, KvEvent what)
    {
        var writer = new MessagePackWriter(buffer);
        int group = GroupOf(what);
        switch (what.Kind)
        {
            case KvEventKind.Stored:
                writer.WriteArrayHeader(10);
                writer.WriteString("BlockStored"u8);
                WriteHashes(buffer, what);
                WriteHash(buffer, what.Blocks[0].ParentHash.Span);
                WriteTokens(buffer, what);
                writer.Write(what.BlockTokens);
                writer.WriteNil();
                writer.Write(what.Medium);
                writer.Write(what.LoraName);
                WriteExtraKeys(buffer, what);
                WriteGroup(writer, group);
                break;
            case KvEventKind.Removed:
                writer.WriteArrayHeader(4);
                writer.WriteString("BlockRemoved"u8);
                WriteHashes(buffer, what);
                writer.Write(what.Medium);
                WriteGroup(writer, group);
                break;
            default:
                writer.WriteArrayHeader(1);
                writer.WriteString("AllBlocksCleared"u8);
                break;
        }
    }

    private void WriteMap(FrameBuffer buffer, KvEvent what)
    {
        var writer = new MessagePackWriter(buffer);
        int group = GroupOf(what);
        bool hasExtra = what.Kind == KvEventKind.Stored && HasExtraKeys(what);
        int fields = what.Kind switch { KvEventKind.Stored => 8, KvEventKind.Removed => 3, _ => 1 };
        writer.WriteMapHeader(fields + (group >= 0 ? 1 : 0) + (hasExtra ? 1 : 0));
        writer.WriteString("type"u8);
        writer.WriteString(what.Kind switch
        {
            KvEventKind.Stored => "BlockStored"u8,
            KvEventKind.Removed => "BlockRemoved"u8,
            _ => "AllBlocksCleared"u8,
        });
        if (what.Kind == KvEventKind.Cleared) return;
        writer.WriteString("block_hashes"u8);
        WriteHashes(buffer, what);
        if (what.Kind == KvEventKind.Stored) WriteStoredFields(buffer, what, hasExtra);
        writer.WriteString("medium"u8);
        writer.Write(what.Medium);
        if (group < 0) return;
        writer.WriteString("group_idx"u8);
        writer.Write(group);
    }

    private void WriteStoredFields(FrameBuffer buffer, KvEvent what, bool hasExtra)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteString("parent_block_hash"u8);
        WriteHash(buffer, what.Blocks[0].ParentHash.Span);
        writer.WriteString("token_ids"u8);
        WriteTokens(buffer, what);
        writer.WriteString("block_size"u8);
        writer.Write(what.BlockTokens);
        writer.WriteString("lora_id"u8);
        writer.WriteNil();
        writer.WriteString("lora_name"u8);
        writer.Write(what.LoraName);
        if (!hasExtra) return;
        writer.WriteString("extra_keys"u8);
        WriteExtraKeys(buffer, what);
    }

    private void WriteHashes(FrameBuffer buffer, KvEvent what)
    {
        new MessagePackWriter(buffer).WriteArrayHeader(what.Blocks.Count);
        foreach (EventNote note in what.Blocks) WriteHash(buffer, note.Hash.Span);
    }

    private void WriteHash(FrameBuffer buffer, ReadOnlySpan<byte> hash)
    {
        var writer = new MessagePackWriter(buffer);
        if (hash.IsEmpty)
        {
            writer.WriteNil();
            return;
        }

        if (hashes == KvEventHashes.Bytes)
        {
            writer.Write(hash);
            return;
        }

        Span<byte> last = stackalloc byte[sizeof(ulong)];
        int length = Math.Min(hash.Length, last.Length);
        hash[^length..].CopyTo(last[^length..]);
        ulong value = BinaryPrimitives.ReadUInt64BigEndian(last);
        if (hashes == KvEventHashes.Int) writer.Write(value);
        else writer.Write(unchecked((long)value));
    }

    private static void WriteTokens(FrameBuffer buffer, KvEvent what)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(what.Blocks.Sum(note => note.Tokens.Length));
        foreach (EventNote note in what.Blocks)
        {
            foreach (int token in note.Tokens.Span) writer.Write(token);
        }
    }

    private static void WriteExtraKeys(FrameBuffer buffer, KvEvent what)
    {
        var writer = new MessagePackWriter(buffer);
        if (!HasExtraKeys(what))
        {
            writer.WriteNil();
            return;
        }

        writer.WriteArrayHeader(what.Blocks.Count);
        foreach (EventNote note in what.Blocks)
        {
            if (note.ExtraKeys.IsEmpty) writer.WriteNil();
            else writer.WriteRaw(note.ExtraKeys.Span);
        }
    }

    private static bool HasExtraKeys(KvEvent what) => what.Blocks.Any(note => !note.ExtraKeys.IsEmpty);

    private static int GroupOf(KvEvent what) => what.Blocks.Count > 0 ? what.Blocks[0].GroupIndex : -1;

    private static void WriteGroup(MessagePackWriter writer, int group)
    {
        if (group < 0) writer.WriteNil();
        else writer.Write(group);
    }
}

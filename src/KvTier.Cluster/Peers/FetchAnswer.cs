using KvTier.Protocol;

namespace KvTier.Cluster;

/// <summary>
/// Blocks in answer to <see cref="BlockOps.Fetch"/>: <c>[[index u, group bin16, key bin, codec u, crc u, expiry i, length u], …]</c>;
/// their bytes follow each other in the payload. What would not fit is left out, and asked for again.
/// </summary>
internal static class FetchAnswer
{
    /// <summary>Bytes at which an answer ends, unless a single block has more.</summary>
    public const int BytesMax = 8 << 20;

    private const int ItemFields = 7;

    /// <summary>Encodes as many blocks as fit into an answer.</summary>
    /// <param name="asked">The ids of the question.</param>
    /// <param name="blocks">What is there of them.</param>
    public static (byte[] Body, byte[] Payload) Write(BlockId[] asked, IReadOnlyList<StoredBlock> blocks)
    {
        int count = 0;
        int bytes = 0;
        while (count < blocks.Count && (count == 0 || bytes + (long)blocks[count].Payload.Length <= BytesMax))
            bytes += blocks[count++].Payload.Length;
        using var buffer = new FrameBuffer();
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(1);
        writer.WriteArrayHeader(count);
        byte[] payload = GC.AllocateUninitializedArray<byte>(bytes);
        int offset = 0;
        for (int i = 0; i < count; i++)
        {
            WriteItem(buffer, Array.IndexOf(asked, blocks[i].Id), blocks[i]);
            blocks[i].Payload.CopyTo(payload.AsMemory(offset));
            offset += blocks[i].Payload.Length;
        }

        return (buffer.WrittenSpan.ToArray(), payload);
    }

    /// <summary>Decodes blocks and compares each with its check and with the id that was asked for.</summary>
    /// <param name="message">The answer.</param>
    /// <param name="ns">Their namespace.</param>
    /// <param name="asked">The ids of the question.</param>
    public static Result<List<StoredBlock>> Read(PeerMessage message, NamespaceId ns, BlockId[] asked)
    {
        var found = new List<StoredBlock>();
        var reader = new MessagePackReader(message.Body.Span);
        int extra = reader.ReadArrayHeader() - 1;
        int count = reader.ReadArrayHeader();
        int offset = 0;
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            if (ReadItem(ref reader, message.Payload[offset..], ns, asked, out StoredBlock? block) is { } error) return error;
            found.Add(block!);
            offset += block!.Payload.Length;
        }

        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.End || offset != message.Payload.Length)
            return KvError.InvalidArgument("peer.body", "malformed", "blocks whose lengths add up to the payload");
        return found;
    }

    private static void WriteItem(FrameBuffer buffer, int index, StoredBlock block)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(ItemFields);
        writer.Write(index);
        Span<byte> group = stackalloc byte[BlockId.SizeBytes];
        block.Group.WriteTo(group);
        writer.Write(group);
        writer.Write(block.Key.Span);
        writer.Write((uint)block.Codec);
        writer.Write(block.PayloadCrc);
        writer.Write(block.ExpiryUnixMs);
        writer.Write(block.Payload.Length);
    }

    private static KvError? ReadItem(
        ref MessagePackReader reader, ReadOnlyMemory<byte> payload, NamespaceId ns, BlockId[] asked, out StoredBlock? block)
    {
        block = null;
        int extra = reader.ReadArrayHeader() - ItemFields;
        int index = reader.ReadInt32();
        ReadOnlySpan<byte> group = reader.ReadBytes();
        byte[] key = reader.ReadBytes().ToArray();
        byte codec = reader.ReadByte();
        uint crc = reader.ReadUInt32();
        long expiry = reader.ReadInt64();
        int length = reader.ReadInt32();
        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.IsOk || group.Length != BlockId.SizeBytes || (uint)index >= (uint)asked.Length || key.Length == 0
            || (uint)length > (uint)payload.Length)
            return KvError.InvalidArgument("peer.block", "malformed", "index, group, key, codec, crc, expiry, length");
        BlockId id = BlockId.Compute(ns, key);
        if (id != asked[index]) return new KvError(ErrorCode.Corrupt, "peer.block", $"{id}", $"{asked[index]}");
        ReadOnlyMemory<byte> bytes = payload[..length];
        uint actual = Crc32C.Compute(bytes.Span);
        if (actual != crc) return new KvError(ErrorCode.Corrupt, $"payload of {id}", $"crc {actual:x8}", $"{crc:x8}");
        block = new StoredBlock(id, BlockId.Read(group), key, codec, crc, expiry, bytes);
        return null;
    }
}

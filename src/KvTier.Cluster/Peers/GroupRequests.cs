using KvTier.Protocol;

namespace KvTier.Cluster;

/// <summary>Asks for room for a group, or gives it back: <c>[group bin16, bytes u]</c>.</summary>
/// <param name="Group">The group.</param>
/// <param name="Bytes">Bytes of it; 0 where room is given back.</param>
internal sealed record ReserveRequest(BlockId Group, long Bytes)
{
    private const int Fields = 2;

    /// <summary>Encodes it.</summary>
    public byte[] Write()
    {
        using var buffer = new FrameBuffer(64);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        Span<byte> group = stackalloc byte[BlockId.SizeBytes];
        Group.WriteTo(group);
        writer.Write(group);
        writer.Write(Bytes);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Decodes it.</summary>
    public static Result<ReserveRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessagePackReader(body);
        int extra = reader.ReadArrayHeader() - Fields;
        ReadOnlySpan<byte> group = reader.ReadBytes();
        long bytes = reader.ReadInt64();
        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.End || group.Length != BlockId.SizeBytes || bytes < 0)
            return KvError.InvalidArgument("peer.body", "malformed", "[group bin16, bytes u]");
        return new ReserveRequest(BlockId.Read(group), bytes);
    }
}

/// <summary>Asks the owner of a group to move it: <c>[group bin16, silo str, deadline u]</c>.</summary>
/// <param name="Group">The group.</param>
/// <param name="Silo">Where to.</param>
/// <param name="DeadlineMs">Time for it, in ms.</param>
internal sealed record MoveRequest(BlockId Group, string Silo, int DeadlineMs)
{
    private const int Fields = 3;

    /// <summary>Encodes it.</summary>
    public byte[] Write()
    {
        using var buffer = new FrameBuffer(256);
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        Span<byte> group = stackalloc byte[BlockId.SizeBytes];
        Group.WriteTo(group);
        writer.Write(group);
        writer.Write(Silo);
        writer.Write(DeadlineMs);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Decodes it.</summary>
    public static Result<MoveRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessagePackReader(body);
        int extra = reader.ReadArrayHeader() - Fields;
        ReadOnlySpan<byte> group = reader.ReadBytes();
        string silo = reader.ReadString();
        int deadline = reader.ReadInt32();
        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.End || group.Length != BlockId.SizeBytes || !Names.IsValid(silo) || deadline < 0)
            return KvError.InvalidArgument("peer.body", "malformed", "[group bin16, silo str, deadline u]");
        return new MoveRequest(BlockId.Read(group), silo, deadline);
    }
}

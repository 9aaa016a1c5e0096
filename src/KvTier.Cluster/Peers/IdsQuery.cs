using KvTier.Protocol;

namespace KvTier.Cluster;

/// <summary>A question about blocks of one namespace: <c>[namespace bin16, ids bin, descriptor bin or nil]</c>.</summary>
/// <param name="Namespace">Fingerprint of the namespace.</param>
/// <param name="Ids">The blocks, at most <see cref="IdsMax"/>; none asks for nothing but the answer's epoch.</param>
internal sealed record IdsQuery(NamespaceId Namespace, BlockId[] Ids)
{
    /// <summary>Most blocks of a question.</summary>
    public const int IdsMax = 4096;

    private const int Fields = 3;

    /// <summary>The namespace itself, for whoever does not know it yet; null where it does not matter.</summary>
    public NamespaceDescriptor? Descriptor { get; init; }

    /// <summary>Encodes it.</summary>
    public byte[] Write()
    {
        using var buffer = new FrameBuffer(64 + (Ids.Length * BlockId.SizeBytes));
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        Span<byte> ns = stackalloc byte[NamespaceId.SizeBytes];
        Namespace.WriteTo(ns);
        writer.Write(ns);
        writer.WriteBinHeader(Ids.Length * BlockId.SizeBytes);
        Span<byte> ids = buffer.GetSpan(Ids.Length * BlockId.SizeBytes);
        for (int i = 0; i < Ids.Length; i++) Ids[i].WriteTo(ids[(i * BlockId.SizeBytes)..]);
        buffer.Advance(Ids.Length * BlockId.SizeBytes);
        if (Descriptor is null)
        {
            writer.WriteNil();
        }
        else
        {
            using var descriptor = new FrameBuffer();
            new NamespaceOpenRequest(Descriptor).Write(descriptor);
            writer.Write(descriptor.WrittenSpan);
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Decodes it.</summary>
    public static Result<IdsQuery> Read(ReadOnlySpan<byte> body)
    {
        var reader = new MessagePackReader(body);
        int extra = reader.ReadArrayHeader() - Fields;
        ReadOnlySpan<byte> ns = reader.ReadBytes();
        ReadOnlySpan<byte> bytes = reader.ReadBytes();
        ReadOnlySpan<byte> opened = reader.TryReadNil() ? default : reader.ReadBytes();
        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.End)
            return KvError.InvalidArgument("peer.body", "malformed", "[namespace bin16, ids bin, descriptor bin or nil]");
        if (ns.Length != NamespaceId.SizeBytes) return KvError.InvalidArgument("peer.namespace", $"{ns.Length} bytes", "16 bytes");
        if (bytes.Length % BlockId.SizeBytes != 0) return KvError.InvalidArgument("peer.ids", $"{bytes.Length} bytes", "16 bytes each");
        if (bytes.Length / BlockId.SizeBytes > IdsMax)
            return KvError.LimitExceeded("peer.ids", bytes.Length / BlockId.SizeBytes, IdsMax);
        var ids = new BlockId[bytes.Length / BlockId.SizeBytes];
        for (int i = 0; i < ids.Length; i++) ids[i] = BlockId.Read(bytes[(i * BlockId.SizeBytes)..]);
        if (opened.IsEmpty) return new IdsQuery(NamespaceId.Read(ns), ids);
        if (!NamespaceOpenRequest.Read(opened).TryGet(out NamespaceOpenRequest? request, out KvError? error)) return error;
        return new IdsQuery(request.Descriptor.Id, ids) { Descriptor = request.Descriptor };
    }
}

/// <summary>An answer to <see cref="IdsQuery"/>: yes or no for each block, <c>[bits bin]</c>, the first in the lowest bit.</summary>
/// <param name="Bits">One for each block that was asked for.</param>
internal sealed record IdsAnswer(bool[] Bits)
{
    private const int Fields = 1;

    /// <summary>Encodes it.</summary>
    public byte[] Write()
    {
        using var buffer = new FrameBuffer(64 + (Bits.Length / 8));
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        byte[] packed = new byte[(Bits.Length + 7) / 8];
        for (int i = 0; i < Bits.Length; i++)
        {
            if (Bits[i]) packed[i / 8] |= (byte)(1 << (i % 8));
        }

        writer.Write(packed);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Decodes the answer to a question about so many blocks.</summary>
    public static Result<IdsAnswer> Read(ReadOnlySpan<byte> body, int count)
    {
        var reader = new MessagePackReader(body);
        int extra = reader.ReadArrayHeader() - Fields;
        ReadOnlySpan<byte> packed = reader.ReadBytes();
        for (int i = 0; i < extra; i++) reader.Skip();
        if (extra < 0 || !reader.End || packed.Length != (count + 7) / 8)
            return KvError.InvalidArgument("peer.body", "malformed", $"[bits bin] for {count} blocks");
        bool[] bits = new bool[count];
        for (int i = 0; i < count; i++) bits[i] = (packed[i / 8] & (1 << (i % 8))) != 0;
        return new IdsAnswer(bits);
    }
}

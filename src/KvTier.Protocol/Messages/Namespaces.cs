namespace KvTier.Protocol;

/// <summary>Asks for a namespace: registers it, or finds the one that is registered under its name.</summary>
/// <param name="Descriptor">The namespace; valid when it was read.</param>
public sealed record NamespaceOpenRequest(NamespaceDescriptor Descriptor)
{
    private const int Fields = 2;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Descriptor.Tenant);
        ProfileCodec.Write(buffer, Descriptor.Profile);
    }

    /// <summary>Reads the body.</summary>
    public static Result<NamespaceOpenRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "namespaceOpen", Fields);
        NamespaceDescriptor? descriptor = ProfileCodec.ReadDescriptor(ref reader);
        reader.Finish();
        if (reader.Error is not null) return reader.Error;
        return new NamespaceOpenRequest(descriptor!);
    }
}

/// <summary>The answer to <see cref="NamespaceOpenRequest"/>.</summary>
/// <param name="Handle">Stands for the namespace in further requests of this connection.</param>
/// <param name="Fingerprint">The silo's <see cref="NamespaceDescriptor.Id"/>; a client that computes another one must not go on.</param>
/// <param name="BlockBytes">Bytes that every block of it has; 0 when each has its own length.</param>
public sealed record NamespaceOpenResponse(ushort Handle, NamespaceId Fingerprint, long BlockBytes)
{
    private const int Fields = 3;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)Handle);
        Span<byte> fingerprint = stackalloc byte[NamespaceId.SizeBytes];
        Fingerprint.WriteTo(fingerprint);
        writer.Write(fingerprint);
        writer.Write(BlockBytes);
    }

    /// <summary>Reads the body.</summary>
    public static Result<NamespaceOpenResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "namespaceOpen", Fields);
        ushort handle = (ushort)reader.Unsigned("handle", ushort.MaxValue);
        ReadOnlySpan<byte> fingerprint = reader.Bytes("fingerprint", NamespaceId.SizeBytes, NamespaceId.SizeBytes);
        long blockBytes = reader.Long("blockBytes");
        reader.Finish();
        if (reader.Error is not null) return reader.Error;
        return new NamespaceOpenResponse(handle, NamespaceId.Read(fingerprint), blockBytes);
    }
}

/// <summary>A namespace in a list.</summary>
/// <param name="Descriptor">The namespace.</param>
/// <param name="Fingerprint">Its id as the silo computes it.</param>
/// <param name="Blocks">Blocks in it.</param>
public sealed record NamespaceListEntry(NamespaceDescriptor Descriptor, NamespaceId Fingerprint, long Blocks);

/// <summary>The namespaces of a silo.</summary>
/// <param name="Entries">One for each namespace.</param>
public sealed record NamespaceListResponse(IReadOnlyList<NamespaceListEntry> Entries)
{
    private const int Fields = 1;
    private const int EntryFields = 4;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.WriteArrayHeader(Entries.Count);
        Span<byte> fingerprint = stackalloc byte[NamespaceId.SizeBytes];
        foreach (NamespaceListEntry entry in Entries)
        {
            writer.WriteArrayHeader(EntryFields);
            writer.Write(entry.Descriptor.Tenant);
            ProfileCodec.Write(buffer, entry.Descriptor.Profile);
            entry.Fingerprint.WriteTo(fingerprint);
            writer.Write(fingerprint);
            writer.Write(entry.Blocks);
        }
    }

    /// <summary>Reads the body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="limits">Of which <see cref="Limits.NamespacesMax"/> bounds the list.</param>
    public static Result<NamespaceListResponse> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "namespaceList", Fields);
        int count = reader.List("items", limits.NamespacesMax);
        var entries = new List<NamespaceListEntry>();
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("entry", EntryFields);
            NamespaceDescriptor? descriptor = ProfileCodec.ReadDescriptor(ref reader);
            ReadOnlySpan<byte> fingerprint = reader.Bytes("fingerprint", NamespaceId.SizeBytes, NamespaceId.SizeBytes);
            long blocks = reader.Long("blocks");
            reader.EndItem("entry", extra);
            if (reader.IsOk) entries.Add(new NamespaceListEntry(descriptor!, NamespaceId.Read(fingerprint), blocks));
        }

        reader.Finish();
        if (reader.Error is not null) return reader.Error;
        return new NamespaceListResponse(entries);
    }
}

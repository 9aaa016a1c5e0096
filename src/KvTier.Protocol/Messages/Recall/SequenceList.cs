namespace KvTier.Protocol;

/// <summary>Asks for a page of the sequences of a namespace, by name.</summary>
/// <param name="Namespace">Handle of the namespace.</param>
/// <param name="After">The name after which the page begins; empty for the first page.</param>
/// <param name="Max">Most sequences wanted, 1 to <see cref="WireBounds.SequencePageMax"/>; the page may have fewer.</param>
/// <param name="Epoch">The caller's epoch; 0 outside of a cluster.</param>
public sealed record SequenceListRequest(ushort Namespace, string After, int Max, long Epoch = 0)
{
    private const int Fields = 3;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(Epoch));
        writer.Write((uint)Namespace);
        writer.Write(After);
        writer.Write(Max);
        EpochField.Write(writer, Epoch);
    }

    /// <summary>Reads the body.</summary>
    public static Result<SequenceListRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "sequenceList", Fields);
        var request = new SequenceListRequest(
            (ushort)reader.Unsigned("ns", ushort.MaxValue),
            reader.Text("after", WireBounds.SequenceNameBytesMax),
            reader.Int("max", WireBounds.SequencePageMax, 1),
            EpochField.Read(ref reader));
        reader.Finish();
        return reader.Error is null ? request : reader.Error;
    }
}

/// <summary>A page of sequences; an empty one ends the list.</summary>
/// <param name="Entries">The sequences, by name.</param>
public sealed record SequenceListResponse(IReadOnlyList<SequenceEntry> Entries)
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.WriteArrayHeader(Entries.Count);
        foreach (SequenceEntry entry in Entries) entry.Write(buffer);
    }

    /// <summary>Reads the body.</summary>
    public static Result<SequenceListResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "sequenceList", Fields);
        int count = reader.List("items", WireBounds.SequencePageMax);
        var entries = new List<SequenceEntry>();
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            reader.At(i);
            entries.Add(SequenceEntry.ReadItem(ref reader));
        }

        reader.Finish();
        return reader.Error is null ? new SequenceListResponse(entries) : reader.Error;
    }
}

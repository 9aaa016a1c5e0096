namespace KvTier.Protocol;

/// <summary>Opens a sequence, or finds it when it is open in the same way.</summary>
/// <param name="Namespace">Handle of the namespace.</param>
/// <param name="DeadlineMs">Deadline in ms; 0 for the silo's default.</param>
/// <param name="Name">Its name.</param>
/// <param name="Digests">The digests it keeps, 1 to <see cref="WireBounds.SequenceDigestsMax"/>.</param>
/// <param name="Rotation">How stored keys are to be rotated before use; null when they are stored rotated.</param>
/// <param name="Epoch">The caller's epoch; 0 outside of a cluster.</param>
public sealed record SequenceOpenRequest(
    ushort Namespace, int DeadlineMs, string Name, IReadOnlyList<DigestSpec> Digests, RopeRotation? Rotation, long Epoch = 0)
{
    private const int Fields = 5;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(Epoch));
        writer.Write((uint)Namespace);
        writer.Write(DeadlineMs);
        writer.Write(Name);
        writer.WriteArrayHeader(Digests.Count);
        foreach (DigestSpec digest in Digests) SelectorCodec.WriteDigest(writer, digest);
        SelectorCodec.WriteRotation(writer, Rotation);
        EpochField.Write(writer, Epoch);
    }

    /// <summary>Reads the body.</summary>
    public static Result<SequenceOpenRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "sequenceOpen", Fields);
        var request = new SequenceOpenRequest(
            (ushort)reader.Unsigned("ns", ushort.MaxValue),
            reader.Int("deadline", limits.DeadlineMsMax),
            SequenceNames.Read(ref reader, "name"),
            SequenceEntry.ReadDigests(ref reader),
            SelectorCodec.ReadRotation(ref reader),
            EpochField.Read(ref reader));
        reader.Finish();
        return reader.Error is null ? request : reader.Error;
    }
}

/// <summary>Makes a sequence that begins as another one does.</summary>
/// <param name="Namespace">Handle of the namespace.</param>
/// <param name="DeadlineMs">Deadline in ms; 0 for the silo's default.</param>
/// <param name="Name">The sequence to fork.</param>
/// <param name="NewName">Name of the new one.</param>
/// <param name="Tokens">Tokens to keep; 0 for all.</param>
/// <param name="Epoch">The caller's epoch; 0 outside of a cluster.</param>
public sealed record SequenceForkRequest(ushort Namespace, int DeadlineMs, string Name, string NewName, long Tokens, long Epoch = 0)
{
    private const int Fields = 5;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(Epoch));
        writer.Write((uint)Namespace);
        writer.Write(DeadlineMs);
        writer.Write(Name);
        writer.Write(NewName);
        writer.Write(Tokens);
        EpochField.Write(writer, Epoch);
    }

    /// <summary>Reads the body.</summary>
    public static Result<SequenceForkRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "sequenceFork", Fields);
        var request = new SequenceForkRequest(
            (ushort)reader.Unsigned("ns", ushort.MaxValue),
            reader.Int("deadline", limits.DeadlineMsMax),
            SequenceNames.Read(ref reader, "name"),
            SequenceNames.Read(ref reader, "newName"),
            reader.Long("tokens"),
            EpochField.Read(ref reader));
        reader.Finish();
        return reader.Error is null ? request : reader.Error;
    }
}

/// <summary>A close or describe: a namespace and a sequence's name.</summary>
/// <param name="Namespace">Handle of the namespace.</param>
/// <param name="DeadlineMs">Deadline in ms; 0 for the silo's default.</param>
/// <param name="Name">The sequence.</param>
/// <param name="Epoch">The caller's epoch; 0 outside of a cluster.</param>
public sealed record SequenceRequest(ushort Namespace, int DeadlineMs, string Name, long Epoch = 0)
{
    private const int Fields = 3;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(Epoch));
        writer.Write((uint)Namespace);
        writer.Write(DeadlineMs);
        writer.Write(Name);
        EpochField.Write(writer, Epoch);
    }

    /// <summary>Reads the body.</summary>
    public static Result<SequenceRequest> Read(ReadOnlySpan<byte> body, Limits limits)
    {
        var reader = new BodyReader(body, "sequence", Fields);
        var request = new SequenceRequest(
            (ushort)reader.Unsigned("ns", ushort.MaxValue),
            reader.Int("deadline", limits.DeadlineMsMax),
            SequenceNames.Read(ref reader, "name"),
            EpochField.Read(ref reader));
        reader.Finish();
        return reader.Error is null ? request : reader.Error;
    }
}

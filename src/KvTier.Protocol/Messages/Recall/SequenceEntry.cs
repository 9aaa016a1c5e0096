namespace KvTier.Protocol;

/// <summary>What a silo tells of a sequence: the answer to every request about one, and each item of a list.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Blocks">Blocks.</param>
/// <param name="Tokens">Tokens.</param>
/// <param name="Digests">The digests it keeps.</param>
/// <param name="Rotation">How stored keys are rotated before use; null when they are stored rotated.</param>
/// <param name="DigestBytes">Bytes of its digests.</param>
/// <param name="HotBytes">Bytes of its hot set.</param>
/// <param name="QuarantinedChunks">Chunks with a NaN or an infinity in a key.</param>
/// <param name="DeviceBytes">Bytes of it on the device.</param>
public sealed record SequenceEntry(
    string Name,
    int Blocks,
    long Tokens,
    IReadOnlyList<DigestSpec> Digests,
    RopeRotation? Rotation,
    long DigestBytes,
    long HotBytes,
    long QuarantinedChunks,
    long DeviceBytes)
{
    /// <summary>Bytes that an entry takes in a body at most.</summary>
    public const int SizeBytesMax = 512;

    private const int Fields = 9;

    /// <summary>Writes the body of an answer about one sequence, or one item of a list.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Name);
        writer.Write(Blocks);
        writer.Write(Tokens);
        writer.WriteArrayHeader(Digests.Count);
        foreach (DigestSpec digest in Digests) SelectorCodec.WriteDigest(writer, digest);
        SelectorCodec.WriteRotation(writer, Rotation);
        writer.Write(DigestBytes);
        writer.Write(HotBytes);
        writer.Write(QuarantinedChunks);
        writer.Write(DeviceBytes);
    }

    /// <summary>Reads the body of an answer about one sequence.</summary>
    public static Result<SequenceEntry> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "sequence", Fields);
        SequenceEntry entry = ReadFields(ref reader);
        reader.Finish();
        return reader.Error is null ? entry : reader.Error;
    }

    internal static SequenceEntry ReadItem(ref BodyReader reader)
    {
        int extra = reader.BeginItem("sequence", Fields);
        SequenceEntry entry = ReadFields(ref reader);
        reader.EndItem("sequence", extra);
        return entry;
    }

    private static SequenceEntry ReadFields(ref BodyReader reader) => new(
        SequenceNames.Read(ref reader, "name"),
        reader.Int("blocks", int.MaxValue),
        reader.Long("tokens"),
        ReadDigests(ref reader),
        SelectorCodec.ReadRotation(ref reader),
        reader.Long("digestBytes"),
        reader.Long("hotBytes"),
        reader.Long("quarantinedChunks"),
        reader.Long("deviceBytes"));

    internal static DigestSpec[] ReadDigests(ref BodyReader reader)
    {
        int count = reader.List("digests", WireBounds.SequenceDigestsMax);
        if (reader.IsOk && count == 0) reader.Refuse("digests.count", "0", $"1 to {WireBounds.SequenceDigestsMax}");
        if (!reader.IsOk) return [];
        var digests = new DigestSpec[count];
        for (int i = 0; i < count; i++) digests[i] = SelectorCodec.ReadDigest(ref reader, "digest");
        return digests;
    }
}

/// <summary>Names of sequences in bodies.</summary>
internal static class SequenceNames
{
    public static string Read(ref BodyReader reader, string field)
    {
        string name = reader.Text(field, WireBounds.SequenceNameBytesMax);
        if (reader.IsOk && name.Length == 0) reader.Refuse($"{field}.length", "0", $"1 to {WireBounds.SequenceNameBytesMax}");
        return name;
    }
}

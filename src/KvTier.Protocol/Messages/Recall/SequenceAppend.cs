namespace KvTier.Protocol;

/// <summary>Appends stored blocks to a sequence.</summary>
public readonly ref struct SequenceAppendRequest
{
    private const int Fields = 7;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private init; }

    /// <summary>The sequence.</summary>
    public string Name { get; private init; }

    /// <summary>Tokens in the blocks: all are full but the last one.</summary>
    public long Tokens { get; private init; }

    /// <summary>True when the first block takes the place of the sequence's last one, which was partly filled.</summary>
    public bool ReplaceLast { get; private init; }

    /// <summary>Tokens that the sequence must have before the append; -1 for any.</summary>
    public long ExpectedTokens { get; private init; }

    /// <summary>The blocks in order, standing in the body.</summary>
    public IdList Ids { get; private init; }

    /// <summary>The caller's epoch; 0 outside of a cluster.</summary>
    public long Epoch { get; private init; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="ns">Handle of the namespace.</param>
    /// <param name="deadlineMs">Deadline in ms; 0 for the silo's default.</param>
    /// <param name="name">The sequence.</param>
    /// <param name="tokens">Tokens in the blocks.</param>
    /// <param name="replaceLast">True when the first block takes the place of the sequence's last one.</param>
    /// <param name="expectedTokens">Tokens that the sequence must have before; -1 for any.</param>
    /// <param name="ids">The blocks.</param>
    /// <param name="epoch">The caller's epoch; 0 outside of a cluster, and then it is not written.</param>
    public static void Write(
        FrameBuffer buffer, ushort ns, int deadlineMs, string name, long tokens, bool replaceLast, long expectedTokens,
        ReadOnlySpan<BlockId> ids, long epoch = 0)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields + EpochField.CountOf(epoch));
        writer.Write((uint)ns);
        writer.Write(deadlineMs);
        writer.Write(name);
        writer.Write(tokens);
        writer.Write(replaceLast);
        if (expectedTokens < 0) writer.WriteNil();
        else writer.Write(expectedTokens);
        writer.WriteIds(buffer, ids);
        EpochField.Write(writer, epoch);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out SequenceAppendRequest request)
    {
        var reader = new BodyReader(body, "sequenceAppend", Fields);
        request = new SequenceAppendRequest
        {
            Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
            DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax),
            Name = SequenceNames.Read(ref reader, "name"),
            Tokens = reader.Long("tokens"),
            ReplaceLast = reader.Bool("replaceLast"),
            ExpectedTokens = reader.TryNil() ? -1 : reader.Long("expectedTokens"),
            Ids = new IdList(reader.Blob("ids", BlockId.SizeBytes, limits.BatchBlocksMax)),
            Epoch = EpochField.Read(ref reader),
        };
        reader.Finish();
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }
}

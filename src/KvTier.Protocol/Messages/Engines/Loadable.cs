namespace KvTier.Protocol;

/// <summary>Asks how many blocks of a prefix are loaded sooner than they are computed anew.</summary>
public readonly ref struct LoadableRequest
{
    private const int Fields = 8;

    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; private init; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private init; }

    /// <summary>The blocks in the order of the sequence.</summary>
    public IdList Ids { get; private init; }

    /// <summary>Tokens a second that the engine prefills; 0 for what the silo was told.</summary>
    public double PrefillTokensPerSecond { get; private init; }

    /// <summary>Bytes a second at which blocks come, whatever their tier; 0 for what the silo has measured.</summary>
    public double BytesPerSecond { get; private init; }

    /// <summary>Tokens of a block; 0 for those of the profile.</summary>
    public int BlockTokens { get; private init; }

    /// <summary>Bytes of a block, used with <see cref="Tiers"/>; 0 for those of the profile.</summary>
    public long BlockBytes { get; private init; }

    /// <summary>Where each block of the prefix is, when the client has asked that of all silos; empty to look here.</summary>
    public ReadOnlySpan<byte> Tiers { get; private init; }

    /// <summary>True when the client says where the blocks are.</summary>
    public bool HasTiers { get; private init; }

    /// <summary>Writes the body.</summary>
    public static void Write(
        FrameBuffer buffer, ushort ns, int deadlineMs, ReadOnlySpan<BlockId> ids, LoadableTerms terms, ReadOnlySpan<TierSet> tiers,
        bool hasTiers)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)ns);
        writer.Write(deadlineMs);
        writer.WriteIds(buffer, ids);
        writer.Write(terms.PrefillTokensPerSecond);
        writer.Write(terms.BytesPerSecond);
        writer.Write(terms.BlockTokens);
        writer.Write(terms.BlockBytes);
        if (hasTiers) writer.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(tiers));
        else writer.WriteNil();
    }

    /// <summary>Reads and checks a body.</summary>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, Limits limits, out LoadableRequest request)
    {
        var reader = new BodyReader(body, "loadable", Fields);
        var ns = (ushort)reader.Unsigned("ns", ushort.MaxValue);
        int deadlineMs = reader.Int("deadline", limits.DeadlineMsMax);
        var ids = new IdList(reader.Blob("ids", BlockId.SizeBytes, limits.BatchBlocksMax));
        double prefill = Rate(ref reader, "prefillTokensPerSecond");
        double bandwidth = Rate(ref reader, "bytesPerSecond");
        int blockTokens = reader.Int("blockTokens", 1 << 20);
        long blockBytes = reader.Long("blockBytes", limits.BlockBytesMax);
        bool hasTiers = !reader.TryNil();
        ReadOnlySpan<byte> tiers = hasTiers ? reader.Bytes("tiers", ids.Count) : default;
        reader.Finish();
        request = reader.Error is not null ? default : new LoadableRequest
        {
            Namespace = ns,
            DeadlineMs = deadlineMs,
            Ids = ids,
            PrefillTokensPerSecond = prefill,
            BytesPerSecond = bandwidth,
            BlockTokens = blockTokens,
            BlockBytes = blockBytes,
            Tiers = tiers,
            HasTiers = hasTiers,
        };
        return reader.Error;
    }

    private static double Rate(ref BodyReader reader, string field)
    {
        double value = reader.Double(field);
        if (reader.IsOk && !(value >= 0 && double.IsFinite(value))) reader.Refuse(field, $"{value}", "0 or a finite number above");
        return value;
    }
}

/// <summary>By what a client has blocks judged; 0 everywhere for what the silo knows.</summary>
/// <param name="PrefillTokensPerSecond">Tokens a second that the engine prefills.</param>
/// <param name="BytesPerSecond">Bytes a second at which blocks come.</param>
/// <param name="BlockTokens">Tokens of a block.</param>
/// <param name="BlockBytes">Bytes of a block.</param>
public readonly record struct LoadableTerms(
    double PrefillTokensPerSecond = 0, double BytesPerSecond = 0, int BlockTokens = 0, long BlockBytes = 0);

/// <summary>How many blocks are worth loading, and why.</summary>
/// <param name="Blocks">Blocks of the prefix to load.</param>
/// <param name="Present">Blocks of the prefix that are here.</param>
/// <param name="LoadMs">How long loading <paramref name="Blocks"/> takes, in ms.</param>
/// <param name="RecomputeMs">How long computing them takes, in ms; 0 when the prefill rate is not known.</param>
/// <param name="Reason">Why, in words.</param>
public sealed record LoadableResponse(int Blocks, int Present, double LoadMs, double RecomputeMs, string Reason)
{
    private const int Fields = 5;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Blocks);
        writer.Write(Present);
        writer.Write(LoadMs);
        writer.Write(RecomputeMs);
        writer.Write(Reason);
    }

    /// <summary>Reads and checks the body.</summary>
    public static Result<LoadableResponse> Read(ReadOnlySpan<byte> body, int idCount)
    {
        var reader = new BodyReader(body, "loadable", Fields);
        int blocks = reader.Int("blocks", idCount);
        int present = reader.Int("present", idCount);
        double loadMs = reader.Double("loadMs");
        double recomputeMs = reader.Double("recomputeMs");
        string reason = reader.Text("reason", WireBounds.EngineFixBytesMax);
        reader.Finish();
        return reader.Error is null ? new LoadableResponse(blocks, present, loadMs, recomputeMs, reason) : reader.Error;
    }
}

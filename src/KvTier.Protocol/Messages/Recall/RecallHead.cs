namespace KvTier.Protocol;

/// <summary>What all items of a recall have in common.</summary>
public readonly record struct RecallHead
{
    /// <summary>Handle of the namespace.</summary>
    public ushort Namespace { get; init; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; init; }

    /// <summary>How long the lease of a local recall lasts, in ms, 0 for the silo's default; 0 in other recalls.</summary>
    public int LeaseMs { get; init; }

    /// <summary>What is answered.</summary>
    public RecallMode Mode { get; init; }

    /// <summary>Query heads (Hq).</summary>
    public int QueryHeads { get; init; }

    /// <summary>Queries in the window (W).</summary>
    public int Window { get; init; }

    /// <summary>Elements of a query (D).</summary>
    public int HeadDim { get; init; }

    /// <summary>Element type of the queries: fp32, fp16 or bf16.</summary>
    public Dtype Dtype { get; init; }

    /// <summary>Order of a gather's rows.</summary>
    public GatherLayout Layout { get; init; }

    /// <summary>Divides logits.</summary>
    public float Temperature { get; init; }

    /// <summary>Multiplies the lse that is answered.</summary>
    public float LseMultiplier { get; init; }

    /// <summary>How units are chosen.</summary>
    public Selector Selector { get; init; }

    /// <summary>The caller's epoch; 0 outside of a cluster. It stands after the items.</summary>
    public long Epoch { get; init; }

    /// <summary>CRC32C of the payload: the queries <c>[item][W][Hq][D]</c>.</summary>
    public uint QueryCheck { get; init; }

    /// <summary>Bytes of the queries of one item.</summary>
    public long ItemQueryBytes => (long)Window * QueryHeads * HeadDim * Dtype.SizeBytes();

    internal void Write(MessagePackWriter writer)
    {
        writer.Write((uint)Namespace);
        writer.Write(DeadlineMs);
        writer.Write(LeaseMs);
        writer.Write((uint)Mode);
        writer.Write(QueryHeads);
        writer.Write(Window);
        writer.Write(HeadDim);
        writer.Write(Dtype.Name());
        writer.Write((uint)Layout);
        writer.Write((double)Temperature);
        writer.Write((double)LseMultiplier);
        SelectorCodec.WriteSelector(writer, Selector);
        writer.Write(QueryCheck);
    }

    internal static RecallHead Read(ref BodyReader reader, Limits limits) => new()
    {
        Namespace = (ushort)reader.Unsigned("ns", ushort.MaxValue),
        DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax),
        LeaseMs = reader.Int("leaseMs", limits.LeaseMsMax),
        Mode = (RecallMode)reader.Unsigned("mode", (ulong)RecallMode.Attend, (ulong)RecallMode.Ids),
        QueryHeads = reader.Int("queryHeads", WireBounds.RecallQueryHeadsMax, 1),
        Window = reader.Int("window", WireBounds.RecallWindowMax, 1),
        HeadDim = reader.Int("headDim", ushort.MaxValue, 1),
        Dtype = ReadDtype(ref reader),
        Layout = (GatherLayout)reader.Unsigned("layout", (ulong)GatherLayout.KvTokenHead, (ulong)GatherLayout.KvHeadToken),
        Temperature = ReadFactor(ref reader, "temperature"),
        LseMultiplier = ReadFactor(ref reader, "lseMultiplier"),
        Selector = SelectorCodec.ReadSelector(ref reader),
        QueryCheck = (uint)reader.Unsigned("queryCheck", uint.MaxValue),
    };

    private static Dtype ReadDtype(ref BodyReader reader)
    {
        ReadOnlySpan<byte> name = reader.Utf8("dtype", Names.LengthMax);
        if (name.SequenceEqual("fp32"u8)) return Dtype.Float32;
        if (name.SequenceEqual("fp16"u8)) return Dtype.Float16;
        if (name.SequenceEqual("bf16"u8)) return Dtype.BFloat16;
        if (reader.IsOk) reader.Refuse("dtype", System.Text.Encoding.UTF8.GetString(name), "fp32, fp16 or bf16");
        return Dtype.Float32;
    }

    private static float ReadFactor(ref BodyReader reader, string field)
    {
        float value = (float)reader.Double(field);
        if (reader.IsOk && !(value > 0 && float.IsFinite(value))) reader.Refuse(field, $"{value}", "above 0 and finite");
        return value;
    }
}

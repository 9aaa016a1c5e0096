namespace KvTier.Protocol;

/// <summary>What a silo knows of a block.</summary>
/// <param name="Tiers">Where it is; <see cref="TierSet.None"/> for a miss.</param>
/// <param name="Reason">Why it is a miss.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Codec">Stored form.</param>
/// <param name="PayloadCrc">CRC32C of the bytes.</param>
/// <param name="ExpiryUnixMs">When it expires, in ms since 1970; 0 for never.</param>
/// <param name="PinnedUntilUnixMs">Until when it is pinned, in ms since 1970; 0 when it is not.</param>
/// <param name="Durable">True when its log record is committed.</param>
public readonly record struct DescribeItem(
    TierSet Tiers, MissReason Reason, int Length, byte Codec, uint PayloadCrc, long ExpiryUnixMs, long PinnedUntilUnixMs, bool Durable);

/// <summary>
/// Writes the body of a describe's answer: <see cref="Begin"/>, then <see cref="Add"/> as often as announced, then <see cref="End"/>.
/// </summary>
public readonly ref struct DescribeResponseWriter
{
    internal const int Fields = 1;
    internal const int ItemFields = 8;

    private readonly MessagePackWriter writer;
    private readonly long epoch;

    private DescribeResponseWriter(MessagePackWriter writer, long epoch)
    {
        this.writer = writer;
        this.epoch = epoch;
    }

    /// <summary>Writes what stands before the items.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="count">How many items will be added: one for each id of the request.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster, and then it is not written.</param>
    public static DescribeResponseWriter Begin(FrameBuffer buffer, int count, long epoch = 0)
    {
        var output = new MessagePackWriter(buffer);
        output.WriteArrayHeader(Fields + EpochField.CountOf(epoch));
        output.WriteArrayHeader(count);
        return new DescribeResponseWriter(output, epoch);
    }

    /// <summary>Adds the answer for the next id.</summary>
    public void Add(in DescribeItem item)
    {
        writer.WriteArrayHeader(ItemFields);
        writer.Write((uint)item.Tiers);
        writer.Write((uint)item.Reason);
        writer.Write(item.Length);
        writer.Write((uint)item.Codec);
        writer.Write(item.PayloadCrc);
        writer.Write(item.ExpiryUnixMs);
        writer.Write(item.PinnedUntilUnixMs);
        writer.Write(item.Durable);
    }

    /// <summary>Writes what stands after the items.</summary>
    public void End() => EpochField.Write(writer, epoch);
}

/// <summary>The answer to a describe.</summary>
public static class DescribeResponse
{
    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many items must be there.</param>
    /// <param name="limits">The limits.</param>
    /// <returns>The items in the order of the ids.</returns>
    public static Result<DescribeItem[]> Read(ReadOnlySpan<byte> body, int count, Limits limits) => Read(body, count, limits, out _);

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="count">Ids of the request; that many items must be there.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="epoch">The silo's epoch; 0 outside of a cluster.</param>
    /// <returns>The items in the order of the ids.</returns>
    public static Result<DescribeItem[]> Read(ReadOnlySpan<byte> body, int count, Limits limits, out long epoch)
    {
        epoch = 0;
        var reader = new BodyReader(body, "describe", DescribeResponseWriter.Fields);
        int found = reader.List("items", count);
        if (reader.IsOk && found != count) reader.Refuse("items.count", $"{found}", $"{count}, one for each id");
        if (reader.Error is not null) return reader.Error;
        var items = new DescribeItem[count];
        for (int i = 0; i < count && reader.IsOk; i++)
        {
            reader.At(i);
            int extra = reader.BeginItem("item", DescribeResponseWriter.ItemFields);
            items[i] = new DescribeItem(
                (TierSet)reader.Unsigned("tiers", byte.MaxValue),
                (MissReason)reader.Unsigned("reason", byte.MaxValue),
                reader.Int("length", limits.BlockBytesMax),
                (byte)reader.Unsigned("codec", byte.MaxValue),
                (uint)reader.Unsigned("payloadCrc", uint.MaxValue),
                reader.Long("expiryUnixMs"),
                reader.Long("pinnedUntilUnixMs"),
                reader.Bool("durable"));
            reader.EndItem("item", extra);
        }

        epoch = EpochField.Read(ref reader);
        reader.Finish();
        if (reader.Error is not null) return reader.Error;
        return items;
    }
}

/// <summary>The answer to a stat, to the status of a cluster and to what an operator asks of it: one JSON object.</summary>
public static class StatResponse
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="json">The JSON as UTF-8.</param>
    public static void Write(FrameBuffer buffer, ReadOnlySpan<byte> json)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.WriteString(json);
    }

    /// <summary>Reads the body.</summary>
    public static Result<string> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "stat", Fields);
        string json = reader.Text("json", int.MaxValue);
        reader.Finish();
        return reader.Error is null ? json : reader.Error;
    }
}

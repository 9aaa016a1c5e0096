namespace KvTier.Protocol;

/// <summary>Limits on the wire: a map from name to value. Unknown names are skipped; missing ones keep their default.</summary>
internal static class LimitsCodec
{
    private const int NameBytesMax = 64;

    /// <summary>Names and values in the order in which they are written and shown.</summary>
    public static IReadOnlyList<(string Name, long Value)> List(Limits limits) =>
    [
        ("keyBytesMax", limits.KeyBytesMax),
        ("blockBytesMax", limits.BlockBytesMax),
        ("batchBlocksMax", limits.BatchBlocksMax),
        ("frameBodyBytesMax", limits.FrameBodyBytesMax),
        ("framePayloadBytesMax", limits.FramePayloadBytesMax),
        ("connectionsMax", limits.ConnectionsMax),
        ("inflightRequestsMax", limits.InflightRequestsMax),
        ("leasesMax", limits.LeasesMax),
        ("reservationsMax", limits.ReservationsMax),
        ("leaseMsMax", limits.LeaseMsMax),
        ("pinMsMax", limits.PinMsMax),
        ("deadlineMsMax", limits.DeadlineMsMax),
        ("namespacesMax", limits.NamespacesMax),
    ];

    public static void Write(FrameBuffer buffer, Limits limits)
    {
        var writer = new MessagePackWriter(buffer);
        IReadOnlyList<(string Name, long Value)> list = List(limits);
        writer.WriteMapHeader(list.Count);
        foreach ((string name, long value) in list)
        {
            writer.Write(name);
            writer.Write(value);
        }
    }

    public static Limits Read(ref BodyReader reader)
    {
        Limits limits = Limits.Default;
        int count = reader.Map("limits");
        for (int i = 0; i < count && reader.IsOk; i++) limits = ReadEntry(ref reader, limits);
        return limits;
    }

    private static Limits ReadEntry(ref BodyReader reader, Limits limits)
    {
        string name = reader.Text("limits.name", NameBytesMax);
        switch (name)
        {
            case "keyBytesMax": return limits with { KeyBytesMax = reader.Int(name, int.MaxValue, 1) };
            case "blockBytesMax": return limits with { BlockBytesMax = reader.Int(name, int.MaxValue, 1) };
            case "batchBlocksMax": return limits with { BatchBlocksMax = reader.Int(name, int.MaxValue, 1) };
            case "frameBodyBytesMax": return limits with { FrameBodyBytesMax = reader.Int(name, int.MaxValue, 1) };
            case "framePayloadBytesMax": return limits with { FramePayloadBytesMax = reader.Long(name, uint.MaxValue, 1) };
            case "connectionsMax": return limits with { ConnectionsMax = reader.Int(name, int.MaxValue, 1) };
            case "inflightRequestsMax": return limits with { InflightRequestsMax = reader.Int(name, int.MaxValue, 1) };
            case "leasesMax": return limits with { LeasesMax = reader.Int(name, int.MaxValue, 1) };
            case "reservationsMax": return limits with { ReservationsMax = reader.Int(name, int.MaxValue, 1) };
            case "leaseMsMax": return limits with { LeaseMsMax = reader.Int(name, int.MaxValue, 1) };
            case "pinMsMax": return limits with { PinMsMax = reader.Long(name, long.MaxValue, 1) };
            case "deadlineMsMax": return limits with { DeadlineMsMax = reader.Int(name, int.MaxValue, 1) };
            case "namespacesMax": return limits with { NamespacesMax = reader.Int(name, int.MaxValue, 1) };
            default:
                reader.SkipField("limits");
                return limits;
        }
    }
}

namespace KvTier.Protocol;

/// <summary>
/// A silo of a map: <c>[name, endpoint, respEndpoint or nil, httpEndpoint or nil, capacityBytes, zone, protocol, diskFormat, dataId,
/// joinedEpoch, draining]</c>.
/// </summary>
internal static class SiloCodec
{
    private const int Fields = 11;
    private const string NameRule = "1 to 128 characters of [a-z0-9._-]";

    public static void Write(MessagePackWriter writer, SiloEntry silo)
    {
        writer.WriteArrayHeader(Fields);
        writer.Write(silo.Name);
        writer.Write(silo.Endpoint);
        writer.Write(silo.RespEndpoint);
        writer.Write(silo.HttpEndpoint);
        writer.Write(silo.CapacityBytes);
        writer.Write(silo.Zone);
        writer.Write(silo.Protocol);
        writer.Write(silo.DiskFormat);
        writer.Write(silo.DataId);
        writer.Write(silo.JoinedEpoch);
        writer.Write(silo.Draining);
    }

    public static SiloEntry Read(ref BodyReader reader, long epoch)
    {
        int extra = reader.BeginItem("silo", Fields);
        var silo = new SiloEntry
        {
            Name = ReadName(ref reader, "name"),
            Endpoint = ReadEndpoint(ref reader, "endpoint"),
            RespEndpoint = reader.TryNil() ? null : ReadEndpoint(ref reader, "respEndpoint"),
            HttpEndpoint = reader.TryNil() ? null : ReadEndpoint(ref reader, "httpEndpoint"),
            CapacityBytes = reader.Long("capacityBytes"),
            Zone = reader.Text("zone", WireBounds.NameBytesMax),
            Protocol = reader.Int("protocol", byte.MaxValue),
            DiskFormat = reader.Int("diskFormat", ushort.MaxValue),
            DataId = reader.Text("dataId", WireBounds.NameBytesMax),
            JoinedEpoch = reader.Long("joinedEpoch", epoch),
            Draining = reader.Bool("draining"),
        };
        reader.EndItem("silo", extra);
        return silo;
    }

    /// <summary>The name of a silo or a cluster.</summary>
    public static string ReadName(ref BodyReader reader, string field)
    {
        string name = reader.Text(field, WireBounds.NameBytesMax);
        if (reader.IsOk && !Names.IsValid(name)) reader.Refuse(field, name, NameRule);
        return name;
    }

    private static string ReadEndpoint(ref BodyReader reader, string field)
    {
        string endpoint = reader.Text(field, WireBounds.EndpointBytesMax);
        if (reader.IsOk && endpoint.Length == 0) reader.Refuse($"{field}.length", "0", $"1 to {WireBounds.EndpointBytesMax}");
        return endpoint;
    }
}

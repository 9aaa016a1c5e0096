namespace KvTier.Protocol;

/// <summary>Asks for the map of the cluster.</summary>
/// <param name="KnownEpoch">Epoch of the map that the caller has; 0 for none.</param>
public sealed record ClusterMapRequest(long KnownEpoch)
{
    private const int Fields = 1;

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(KnownEpoch);
    }

    /// <summary>Reads the body.</summary>
    public static Result<ClusterMapRequest> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "clusterMap", Fields);
        var request = new ClusterMapRequest(reader.Long("knownEpoch"));
        reader.Finish();
        return reader.Error is null ? request : reader.Error;
    }
}

/// <summary>The answer to <see cref="ClusterMapRequest"/>.</summary>
/// <param name="Epoch">Epoch of the silo's map; 0 when it is in no cluster.</param>
/// <param name="Cluster">Name of the cluster; empty when it is in none.</param>
/// <param name="Self">Name of the silo that answers.</param>
/// <param name="Map">The map; null when the caller's is as new, and outside of a cluster.</param>
public sealed record ClusterMapResponse(long Epoch, string Cluster, string Self, ClusterMap? Map)
{
    private const int Fields = 4;

    /// <summary>The answer of a silo in a cluster.</summary>
    /// <param name="map">Its map.</param>
    /// <param name="self">Its name.</param>
    /// <param name="knownEpoch">Epoch of the map that the caller has.</param>
    public static ClusterMapResponse Of(ClusterMap map, string self, long knownEpoch) =>
        new(map.Epoch, map.Cluster, self, knownEpoch >= map.Epoch ? null : map);

    /// <summary>The answer of a silo outside of a cluster.</summary>
    /// <param name="self">Its name.</param>
    public static ClusterMapResponse OutsideOf(string self) => new(0, "", self, null);

    /// <summary>Writes the body.</summary>
    public void Write(FrameBuffer buffer)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(Epoch);
        writer.Write(Cluster);
        writer.Write(Self);
        if (Map is null) writer.WriteNil();
        else MapCodec.Write(buffer, Map);
    }

    /// <summary>Reads the body.</summary>
    public static Result<ClusterMapResponse> Read(ReadOnlySpan<byte> body)
    {
        var reader = new BodyReader(body, "clusterMap", Fields);
        long epoch = reader.Long("epoch");
        string cluster = epoch == 0 ? reader.Text("cluster", 0) : SiloCodec.ReadName(ref reader, "cluster");
        string self = reader.Text("self", WireBounds.NameBytesMax);
        ClusterMap? map = reader.TryNil() ? null : MapCodec.Read(ref reader, cluster, epoch);
        if (map is not null && epoch == 0) reader.Refuse("epoch", "0", "1 or more with a map");
        reader.Finish();
        return reader.Error is null ? new ClusterMapResponse(epoch, cluster, self, map) : reader.Error;
    }
}

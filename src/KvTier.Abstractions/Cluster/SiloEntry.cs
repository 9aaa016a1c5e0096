namespace KvTier;

/// <summary>A silo as the cluster knows it: what it said of itself when it joined.</summary>
public sealed record SiloEntry
{
    /// <summary>Its name, unique in the cluster: 1 to 128 characters of <c>[a-z0-9._-]</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Address of its native listener, <c>host:port</c>, as other silos and clients reach it.</summary>
    public required string Endpoint { get; init; }

    /// <summary>Address of its RESP2 listener; null when it has none.</summary>
    public string? RespEndpoint { get; init; }

    /// <summary>Address of its HTTP listener; null when it has none.</summary>
    public string? HttpEndpoint { get; init; }

    /// <summary>Bytes that it can hold, host memory and SSD together. Its weight in the placement.</summary>
    public required long CapacityBytes { get; init; }

    /// <summary>Failure domain; replicas go to different ones where there are several. Default empty: one zone.</summary>
    public string Zone { get; init; } = "";

    /// <summary>Version of the wire protocol that it speaks.</summary>
    public required int Protocol { get; init; }

    /// <summary>Version of the disk format that it writes.</summary>
    public required int DiskFormat { get; init; }

    /// <summary>Identity of its data directory; empty when it has none.</summary>
    public string DataId { get; init; } = "";

    /// <summary>Epoch in which this start of the silo joined; tells it from earlier starts under the same name.</summary>
    public long JoinedEpoch { get; init; }

    /// <summary>True while it gives its groups away: it is no holder any more, and still answers for what it has.</summary>
    public bool Draining { get; init; }
}

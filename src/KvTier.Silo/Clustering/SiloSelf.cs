using System.Net;
using System.Security.Cryptography;
using KvTier.Protocol;
using KvTier.Storage;

namespace KvTier.Silo.Clustering;

/// <summary>What this silo says of itself when it joins.</summary>
internal static class SiloSelf
{
    /// <summary>Makes the entry, once the listeners have their ports.</summary>
    public static SiloEntry Describe(SiloOptions options, SiloEndpoints endpoints, string dataId) => new()
    {
        Name = options.Name,
        Endpoint = Advertised(options.Cluster.Advertise, options.Cluster.Advertise, endpoints.Native)
            ?? throw new InvalidOperationException("a silo in a cluster listens on TCP"),
        RespEndpoint = Advertised(options.Cluster.RespAdvertise, options.Cluster.Advertise, endpoints.Resp),
        HttpEndpoint = Advertised(options.Cluster.HttpAdvertise, options.Cluster.Advertise, endpoints.Http),
        CapacityBytes = options.HostBytes + (options.DataDirectory is null ? 0 : options.SsdBytes),
        Zone = options.Cluster.Zone,
        Protocol = FrameHeader.Version,
        DiskFormat = DataDirectory.FormatVersion,
        DataId = dataId,
    };

    /// <summary>The identity of the silo's data directory; empty when it has none.</summary>
    public static Result<string> ReadDataId(DataDirectory? directory) =>
        directory is null ? "" : directory.ReadIdentity(RandomNumberGenerator.GetBytes(DataDirectory.IdentityBytes));

    /// <summary>Where others reach a listener: what the options say, else the host of the native one and the listener's port.</summary>
    private static string? Advertised(string? said, string? native, IPEndPoint? bound)
    {
        if (bound is null) return null;
        if (said is not null) return said;
        string host = bound.Address.ToString();
        if (native is not null && HostPort.TryParse(native, out string nativeHost, out _) && !IPAddress.IsLoopback(bound.Address))
            host = nativeHost;
        return HostPort.Join(host, bound.Port);
    }
}

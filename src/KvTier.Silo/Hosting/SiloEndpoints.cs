using System.Net;

namespace KvTier.Silo;

/// <summary>Where a silo listens, with the ports that the system chose.</summary>
public sealed record SiloEndpoints
{
    /// <summary>The native protocol over TCP; null when it is off.</summary>
    public IPEndPoint? Native { get; init; }

    /// <summary>Path of the native protocol's Unix socket; null when it is off.</summary>
    public string? UnixSocket { get; init; }

    /// <summary>RESP2; null when it is off.</summary>
    public IPEndPoint? Resp { get; init; }

    /// <summary>HTTP; null when it is off.</summary>
    public IPEndPoint? Http { get; init; }
}

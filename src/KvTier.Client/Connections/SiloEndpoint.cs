using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace KvTier.Client.Connections;

/// <summary>Where a silo listens, parsed from an endpoint's text.</summary>
internal sealed record SiloEndpoint(string Text, string Host, int Port, string? UnixPath)
{
    private const string Allowed = "tcp://host:port or unix:///path";

    /// <summary>True for a Unix socket, the only transport on which a silo lets its arena be mapped.</summary>
    public bool IsUnix => UnixPath is not null;

    public EndPoint ToEndPoint() =>
        UnixPath is { } path ? new UnixDomainSocketEndPoint(path)
        : IPAddress.TryParse(Host, out IPAddress? address) ? new IPEndPoint(address, Port)
        : new DnsEndPoint(Host, Port);

    public static bool TryParse(string? text, [NotNullWhen(true)] out SiloEndpoint? endpoint, [NotNullWhen(false)] out KvError? error)
    {
        endpoint = null;
        error = null;
        if (text is not null && text.StartsWith("unix://", StringComparison.Ordinal))
        {
            string path = text["unix://".Length..];
            if (path.Length > 1 && path[0] == '/' && System.Text.Encoding.UTF8.GetByteCount(path) <= 107)
                endpoint = new SiloEndpoint(text, "", 0, path);
        }
        else if (Uri.TryCreate(text, UriKind.Absolute, out Uri? uri) && uri is { Scheme: "tcp", Port: > 0, Host.Length: > 0 }
            && uri.AbsolutePath is "" or "/")
        {
            endpoint = new SiloEndpoint(text, uri.Host.Trim('[', ']'), uri.Port, null);
        }

        if (endpoint is null) error = KvError.InvalidArgument("Endpoint", text, Allowed);
        return endpoint is not null;
    }
}

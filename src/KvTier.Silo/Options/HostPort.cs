using System.Globalization;
using System.Net;

namespace KvTier.Silo;

/// <summary>Addresses as people write them: <c>host:port</c>, an IPv6 address in brackets.</summary>
internal static class HostPort
{
    /// <summary>What is right, for errors.</summary>
    public const string Form = "host:port, such as 10.0.0.7:7420 or kvtier-0.kvtier:7420";

    /// <summary>Splits an address.</summary>
    /// <returns>False when it is none.</returns>
    public static bool TryParse(string text, out string host, out int port)
    {
        host = "";
        port = 0;
        int colon = text.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
            || port is < 1 or > 65_535)
            return false;
        host = text[..colon];
        if (host is ['[', .. var inner, ']'] && inner.Contains(':', StringComparison.Ordinal)) host = inner;
        else if (host.Contains(':', StringComparison.Ordinal)) return false;
        return Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4 or UriHostNameType.IPv6;
    }

    /// <summary>Puts an address together.</summary>
    public static string Join(string host, int port) => host.Contains(':', StringComparison.Ordinal)
        ? string.Create(CultureInfo.InvariantCulture, $"[{host}]:{port}")
        : string.Create(CultureInfo.InvariantCulture, $"{host}:{port}");

    /// <summary>True for a host that only this machine reaches.</summary>
    public static bool IsLoopback(string host) =>
        string.Equals(host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? address) && IPAddress.IsLoopback(address));

    /// <summary>True for an address that stands for all addresses of the machine, and so for none that others could use.</summary>
    public static bool IsAny(string host) =>
        IPAddress.TryParse(host, out IPAddress? address) && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any));
}

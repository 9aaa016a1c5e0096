using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvTier.Silo.Events;

/// <summary>Endpoints as ZeroMQ writes them.</summary>
internal static class ZmqAddress
{
    /// <summary>What is allowed.</summary>
    public const string Form = "empty, tcp://*:PORT, tcp://ADDRESS:PORT with an IP address, or ipc:///PATH";

    private const string Tcp = "tcp://", Ipc = "ipc://";

    /// <summary>Reads an endpoint to bind.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out EndPoint? endPoint)
    {
        endPoint = null;
        if (text.StartsWith(Ipc, StringComparison.Ordinal))
        {
            string path = text[Ipc.Length..];
            if (path.Length is < 2 or > 100 || path[0] != '/') return false;
            endPoint = new UnixDomainSocketEndPoint(path);
            return true;
        }

        if (!text.StartsWith(Tcp, StringComparison.Ordinal)) return false;
        int colon = text.LastIndexOf(':');
        if (colon < Tcp.Length) return false;
        if (!ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out ushort port)) return false;
        string host = text[Tcp.Length..colon].Trim('[', ']');
        if (host == "*") endPoint = new IPEndPoint(IPAddress.Any, port);
        else if (IPAddress.TryParse(host, out IPAddress? address)) endPoint = new IPEndPoint(address, port);
        return endPoint is not null;
    }

    /// <summary>Reads an endpoint to connect to.</summary>
    public static bool TryParseRemote(string text, out string host, out int port)
    {
        host = "";
        port = 0;
        return text.StartsWith(Tcp, StringComparison.Ordinal) && HostPort.TryParse(text[Tcp.Length..], out host, out port) && port > 0;
    }

    /// <summary>An endpoint as subscribers on this machine write it.</summary>
    public static string Show(EndPoint endPoint) => endPoint is UnixDomainSocketEndPoint ? $"{Ipc}{endPoint}" : $"{Tcp}{endPoint}";
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace KvTier.Testing;

/// <summary>
/// TCP ports for servers that come back on the same port. The system gives its own choice of ports to outgoing connections too, so a
/// port that it chose once may be taken when its server starts again; these lie below that range, and no other test gets them.
/// </summary>
public static class TestPorts
{
    private const int First = 10_000;
    private const string RangeFile = "/proc/sys/net/ipv4/ip_local_port_range";
    private static readonly Lock gate = new();
    private static readonly int end = FirstOfTheSystem();
    private static readonly Dictionary<int, IDisposable> claims = [];

    /// <summary>A port of the loopback that nobody uses and that stays with this process, whether or not a server listens on it.</summary>
    public static int Reserve()
    {
        lock (gate)
        {
            for (int attempt = 0; attempt < 1_000; attempt++)
            {
                int port = Random.Shared.Next(First, end);
                if (claims.ContainsKey(port) || TryClaim($"port-{port}") is not { } claim) continue;
                if (IsFree(port))
                {
                    claims.Add(port, claim);
                    return port;
                }

                claim.Dispose();
            }
        }

        throw new InvalidOperationException($"No port from {First} to {end - 1} is free");
    }

    /// <summary>Claims something of this machine that has a name, until it is disposed of or the process ends.</summary>
    /// <param name="name">The name, such as <c>port-10000</c>.</param>
    /// <returns>Null when somebody has it.</returns>
    public static IDisposable? TryClaim(string name)
    {
        // An abstract socket's name is one process's at a time and goes with it; tests/python/ports.py claims by the same names.
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint($"\0kvtier-test-{name}"));
            return socket;
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            socket.Dispose();
            return null;
        }
    }

    private static bool IsFree(int port)
    {
        using var listener = new TcpListener(IPAddress.Any, port);
        try
        {
            listener.Start();
            return true;
        }
        catch (SocketException refused) when (refused.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            return false;
        }
    }

    private static int FirstOfTheSystem()
    {
        string first = File.ReadAllText(RangeFile).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[0];
        int port = int.Parse(first, CultureInfo.InvariantCulture);
        return port > First + 1_000 ? port : throw new InvalidOperationException($"{RangeFile} begins at {port}; tests need ports below");
    }
}

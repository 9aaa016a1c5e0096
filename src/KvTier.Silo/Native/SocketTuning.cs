using System.Net.Sockets;
using KvTier.Client.Connections;

namespace KvTier.Silo.Native;

/// <summary>Socket options of a connection that carries blocks.</summary>
internal static class SocketTuning
{
    private const int KeepAliveSeconds = 60;
    private const int KeepAliveIntervalSeconds = 10;
    private const int KeepAliveProbes = 5;

    /// <summary>Asks for large buffers; the system may give less.</summary>
    public static void SetBuffers(Socket socket, int bytes)
    {
        socket.SendBufferSize = bytes;
        socket.ReceiveBufferSize = bytes;
    }

    /// <summary>
    /// Sets up an accepted connection: no Nagle, and probes that find out within two minutes that the peer's machine has gone.
    /// </summary>
    public static void Accepted(Socket socket, bool isUnix, int bufferBytes)
    {
        SetBuffers(socket, bufferBytes);
        EagerSocket.Prepare(socket);
        if (isUnix) return;
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, KeepAliveIntervalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, KeepAliveProbes);
    }
}

using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvTier.Cli;

/// <summary>
/// A lean RESP2 client for measurements: blocking socket, one request at a time, replies received straight into the caller's buffer.
/// It does no more than a get or set needs, so that what is measured is the server.
/// </summary>
internal sealed class RespSocket : IDisposable
{
    private readonly Socket socket;
    private readonly byte[] head = new byte[512];
    private readonly byte[] reply = new byte[256];
    private readonly List<ArraySegment<byte>> parts = new(3);
    private static readonly byte[] crlf = [(byte)'\r', (byte)'\n'];

    /// <summary>Connects.</summary>
    public RespSocket(EndPoint endpoint)
    {
        bool unix = endpoint is UnixDomainSocketEndPoint;
        socket = new Socket(endpoint.AddressFamily, SocketType.Stream, unix ? ProtocolType.Unspecified : ProtocolType.Tcp);
        if (!unix) socket.NoDelay = true;
        socket.ReceiveTimeout = socket.SendTimeout = 30_000;
        socket.Connect(endpoint);
    }

    /// <summary>SET: sends head, value and end in one gathered write.</summary>
    /// <exception cref="InvalidDataException">The reply is not OK.</exception>
    public void Set(string key, byte[] value)
    {
        int length = Encoding.ASCII.GetBytes($"*3\r\n$3\r\nSET\r\n${key.Length}\r\n{key}\r\n${value.Length}\r\n", head);
        parts.Clear();
        parts.Add(new ArraySegment<byte>(head, 0, length));
        parts.Add(new ArraySegment<byte>(value));
        parts.Add(new ArraySegment<byte>(crlf));
        SendAll(length + value.Length + 2);
        int read = 0;
        while (read < 5) read += Received(socket.Receive(reply, read, reply.Length - read, SocketFlags.None));
        if (!reply.AsSpan(0, 5).SequenceEqual("+OK\r\n"u8))
            throw new InvalidDataException($"SET answered {Encoding.ASCII.GetString(reply, 0, read).Trim()}");
    }

    /// <summary>GET into a buffer.</summary>
    /// <returns>Bytes of the value; -1 when there is none.</returns>
    /// <exception cref="InvalidDataException">The reply is no bulk string that fits.</exception>
    public int Get(string key, byte[] destination)
    {
        int length = Encoding.ASCII.GetBytes($"*2\r\n$3\r\nGET\r\n${key.Length}\r\n{key}\r\n", head);
        socket.Send(head, 0, length, SocketFlags.None);
        int read = 0;
        int end;
        while ((end = reply.AsSpan(0, read).IndexOf((byte)'\n')) < 0)
            read += Received(socket.Receive(reply, read, reply.Length - read, SocketFlags.None));
        if (reply[0] != '$' || !Utf8Parser.TryParse(reply.AsSpan(1, end - 2), out int size, out _) || size > destination.Length)
            throw new InvalidDataException($"GET answered {Encoding.ASCII.GetString(reply, 0, Math.Min(read, 40)).Trim()}");
        if (size < 0) return -1;
        int have = Math.Min(read - end - 1, size);
        reply.AsSpan(end + 1, have).CopyTo(destination);
        int over = read - end - 1 - have;
        while (have < size) have += Received(socket.Receive(destination, have, size - have, SocketFlags.None));
        while (over < 2) over += Received(socket.Receive(reply, 0, 2 - over, SocketFlags.None));
        return size;
    }

    /// <inheritdoc/>
    public void Dispose() => socket.Dispose();

    private static int Received(int count) => count > 0 ? count : throw new InvalidDataException("the server closed the connection");

    private void SendAll(int total)
    {
        int sent = socket.Send(parts, SocketFlags.None);
        // A blocking send of a list takes everything unless it was interrupted.
        if (sent != total) throw new InvalidDataException($"sent {sent} of {total} bytes");
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvTier.Silo.Tests.Resp;

/// <summary>A client that shows replies as the bytes that came, so that they can be compared.</summary>
internal sealed class RespClient : IDisposable
{
    private readonly Socket socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private byte[] buffer = new byte[1 << 16];
    private int begin;
    private int end;

    public RespClient(int port)
    {
        socket.NoDelay = true;
        socket.ReceiveTimeout = socket.SendTimeout = 120_000;
        socket.Connect(IPAddress.Loopback, port);
    }

    public Socket Socket => socket;

    /// <summary>A command as an array of bulk strings.</summary>
    public static byte[] Encode(params IReadOnlyList<byte[]> arguments)
    {
        using var stream = new MemoryStream();
        stream.Write(Encoding.ASCII.GetBytes($"*{arguments.Count}\r\n"));
        foreach (byte[] argument in arguments)
        {
            stream.Write(Encoding.ASCII.GetBytes($"${argument.Length}\r\n"));
            stream.Write(argument);
            stream.Write("\r\n"u8);
        }

        return stream.ToArray();
    }

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty) bytes = bytes[socket.Send(bytes)..];
    }

    /// <summary>Sends a command, words in Latin-1, and takes its reply, also in Latin-1.</summary>
    public string Call(params string[] arguments)
    {
        Send(Encode([.. arguments.Select(Encoding.Latin1.GetBytes)]));
        return Encoding.Latin1.GetString(ReadReply());
    }

    /// <summary>The bytes of the next whole reply; empty when the connection was closed.</summary>
    public byte[] ReadReply()
    {
        int length;
        while ((length = ReplyLength(buffer.AsSpan(begin, end - begin))) < 0)
        {
            if (!Fill()) return [];
        }

        byte[] reply = buffer.AsSpan(begin, length).ToArray();
        begin += length;
        return reply;
    }

    /// <summary>Everything that comes until the other side closes the connection.</summary>
    public byte[] ReadToEnd()
    {
        while (Fill())
        {
        }

        return buffer.AsSpan(begin, end - begin).ToArray();
    }

    public void Dispose() => socket.Dispose();

    private bool Fill()
    {
        if (begin > 0)
        {
            buffer.AsSpan(begin, end - begin).CopyTo(buffer);
            end -= begin;
            begin = 0;
        }

        if (end == buffer.Length) Array.Resize(ref buffer, buffer.Length * 2);
        int count;
        try
        {
            count = socket.Receive(buffer.AsSpan(end));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return false;
        }

        end += count;
        return count > 0;
    }

    private static int ReplyLength(ReadOnlySpan<byte> bytes)
    {
        int line = bytes.IndexOf("\r\n"u8);
        if (line < 0) return -1;
        if (bytes[0] is (byte)'+' or (byte)'-' or (byte)':') return line + 2;
        long count = long.Parse(bytes[1..line], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        int used = line + 2;
        if (count < 0) return used;
        if (bytes[0] == '$') return bytes.Length >= used + count + 2 ? (int)(used + count + 2) : -1;
        Assert.Equal((byte)'*', bytes[0]);
        for (long i = 0; i < count; i++)
        {
            int part = ReplyLength(bytes[used..]);
            if (part < 0) return -1;
            used += part;
        }

        return used;
    }
}

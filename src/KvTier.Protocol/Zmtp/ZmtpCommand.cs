using System.Buffers.Binary;
using System.Text;

namespace KvTier.Protocol.Zmtp;

/// <summary>Commands: the handshakes NULL and PLAIN, heartbeats, and subscriptions of ZMTP 3.1.</summary>
public static class ZmtpCommand
{
    /// <summary>Reads the name of a command.</summary>
    /// <param name="body">Body of the frame.</param>
    /// <param name="name">The name.</param>
    /// <param name="data">What follows it.</param>
    /// <returns>False when the name is cut short or empty.</returns>
    public static bool TryRead(ReadOnlySpan<byte> body, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data)
    {
        name = data = default;
        if (body.IsEmpty || body[0] == 0 || body.Length < 1 + body[0]) return false;
        name = body.Slice(1, body[0]);
        data = body[(1 + body[0])..];
        return true;
    }

    /// <summary>A command as a frame.</summary>
    public static byte[] Make(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        var body = new byte[1 + name.Length + data.Length];
        body[0] = (byte)name.Length;
        name.CopyTo(body.AsSpan(1));
        data.CopyTo(body.AsSpan(1 + name.Length));
        var frame = new byte[ZmtpFrame.SizeOf(body.Length)];
        ZmtpFrame.Write(frame, ZmtpFlags.Command, body);
        return frame;
    }

    /// <summary>READY, with which a handshake ends: the type of the socket.</summary>
    public static byte[] Ready(string socketType) => Make("READY"u8, Properties(socketType));

    /// <summary>The properties that READY and INITIATE carry.</summary>
    public static byte[] Properties(string socketType)
    {
        ReadOnlySpan<byte> name = "Socket-Type"u8;
        var data = new byte[1 + name.Length + 4 + socketType.Length];
        data[0] = (byte)name.Length;
        name.CopyTo(data.AsSpan(1));
        BinaryPrimitives.WriteInt32BigEndian(data.AsSpan(1 + name.Length), socketType.Length);
        Encoding.ASCII.GetBytes(socketType, data.AsSpan(5 + name.Length));
        return data;
    }

    /// <summary>Finds a property; names are compared whatever their letters' case.</summary>
    /// <returns>False when the properties are malformed; then <paramref name="value"/> is empty.</returns>
    public static bool TryFind(ReadOnlySpan<byte> properties, string wanted, out string value)
    {
        value = "";
        while (!properties.IsEmpty)
        {
            int nameLength = properties[0];
            if (properties.Length < 1 + nameLength + 4) return false;
            string name = Encoding.ASCII.GetString(properties.Slice(1, nameLength));
            int length = BinaryPrimitives.ReadInt32BigEndian(properties[(1 + nameLength)..]);
            properties = properties[(5 + nameLength)..];
            if (length < 0 || length > properties.Length) return false;
            if (string.Equals(name, wanted, StringComparison.OrdinalIgnoreCase)) value = Encoding.UTF8.GetString(properties[..length]);
            properties = properties[length..];
        }

        return true;
    }

    /// <summary>Reads user and password of the HELLO of PLAIN.</summary>
    public static bool TryReadPlain(ReadOnlySpan<byte> data, out string user, out string password)
    {
        user = password = "";
        return TryText(ref data, out user) && TryText(ref data, out password) && data.IsEmpty;
    }

    /// <summary>ERROR, with which a handshake is refused.</summary>
    /// <param name="reason">At most 255 bytes; more are cut.</param>
    public static byte[] Error(string reason)
    {
        byte[] text = Encoding.ASCII.GetBytes(reason);
        int length = Math.Min(text.Length, byte.MaxValue);
        return Make("ERROR"u8, [(byte)length, .. text.AsSpan(0, length)]);
    }

    private static bool TryText(ref ReadOnlySpan<byte> data, out string text)
    {
        text = "";
        if (data.IsEmpty || data.Length < 1 + data[0]) return false;
        text = Encoding.UTF8.GetString(data.Slice(1, data[0]));
        data = data[(1 + data[0])..];
        return true;
    }
}

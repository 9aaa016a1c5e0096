using System.Buffers.Binary;

namespace KvTier.Protocol.Zmtp;

/// <summary>Facts about a frame that are one bit each.</summary>
[Flags]
public enum ZmtpFlags : byte
{
    /// <summary>The last frame of a message.</summary>
    None = 0,

    /// <summary>More frames of the message follow.</summary>
    More = 1,

    /// <summary>The length takes 8 bytes.</summary>
    Long = 2,

    /// <summary>A command and no part of a message.</summary>
    Command = 4,
}

/// <summary>The head of a ZMTP frame: flags and length.</summary>
/// <param name="Flags">The flags, without <see cref="ZmtpFlags.Long"/>.</param>
/// <param name="Length">Bytes of the body.</param>
/// <param name="HeadBytes">Bytes of the head itself: 2 or 9.</param>
public readonly record struct ZmtpFrame(ZmtpFlags Flags, int Length, int HeadBytes)
{
    /// <summary>Most bytes of a head.</summary>
    public const int HeadBytesMax = 9;

    private const ZmtpFlags Known = ZmtpFlags.More | ZmtpFlags.Long | ZmtpFlags.Command;

    /// <summary>Bytes that a frame with a body of a length takes.</summary>
    public static int SizeOf(int length) => length + (length <= byte.MaxValue ? 2 : HeadBytesMax);

    /// <summary>Reads the head of a frame.</summary>
    /// <param name="source">What was received.</param>
    /// <param name="lengthMax">Longest body that is taken.</param>
    /// <param name="frame">The head.</param>
    public static ZmtpStatus TryRead(ReadOnlySpan<byte> source, int lengthMax, out ZmtpFrame frame)
    {
        frame = default;
        if (source.IsEmpty) return ZmtpStatus.Incomplete;
        var flags = (ZmtpFlags)source[0];
        if ((flags & ~Known) != ZmtpFlags.None || (flags & (ZmtpFlags.Command | ZmtpFlags.More)) == (ZmtpFlags.Command | ZmtpFlags.More))
            return ZmtpStatus.Malformed;
        bool isLong = (flags & ZmtpFlags.Long) != ZmtpFlags.None;
        int head = isLong ? HeadBytesMax : 2;
        if (source.Length < head) return ZmtpStatus.Incomplete;
        ulong length = isLong ? BinaryPrimitives.ReadUInt64BigEndian(source[1..]) : source[1];
        if (length > (ulong)lengthMax) return ZmtpStatus.TooLong;
        frame = new ZmtpFrame(flags & ~ZmtpFlags.Long, (int)length, head);
        return ZmtpStatus.Ok;
    }

    /// <summary>Writes a frame.</summary>
    /// <returns>Bytes written, <see cref="SizeOf"/> of the body.</returns>
    public static int Write(Span<byte> destination, ZmtpFlags flags, ReadOnlySpan<byte> body)
    {
        int head = 2;
        if (body.Length <= byte.MaxValue)
        {
            destination[0] = (byte)flags;
            destination[1] = (byte)body.Length;
        }
        else
        {
            head = HeadBytesMax;
            destination[0] = (byte)(flags | ZmtpFlags.Long);
            BinaryPrimitives.WriteUInt64BigEndian(destination[1..], (ulong)body.Length);
        }

        body.CopyTo(destination[head..]);
        return head + body.Length;
    }

    /// <summary>A message of frames, as it goes over the wire.</summary>
    public static byte[] Message(params ReadOnlySpan<byte[]> parts)
    {
        int size = 0;
        foreach (byte[] part in parts) size += SizeOf(part.Length);
        var message = new byte[size];
        int at = 0;
        for (int i = 0; i < parts.Length; i++)
            at += Write(message.AsSpan(at), i + 1 < parts.Length ? ZmtpFlags.More : ZmtpFlags.None, parts[i]);
        return message;
    }
}

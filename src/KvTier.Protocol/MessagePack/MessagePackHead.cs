using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace KvTier.Protocol;

/// <summary>The first bytes of a MessagePack value, which say what it is and how long.</summary>
/// <param name="Type">Its type; <see cref="MessagePackType.Unknown"/> when it can't be read.</param>
/// <param name="SizeBytes">Bytes of the head; what it announces follows.</param>
/// <param name="Value">The bits of a number, the length of text and bytes (of an extension without its type), the count of a container.
/// </param>
/// <param name="IsNegative">True for an integer below 0, whose <paramref name="Value"/> is its two's complement.</param>
/// <param name="IsDouble">True for a 64-bit float.</param>
internal readonly record struct MessagePackHead(
    MessagePackType Type, int SizeBytes, ulong Value, bool IsNegative = false, bool IsDouble = false)
{
    /// <summary>Reads the head of the value that begins a span.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static MessagePackHead Read(ReadOnlySpan<byte> source)
    {
        if (source.IsEmpty) return default;
        byte code = source[0];
        return code switch
        {
            <= 0x7F => new(MessagePackType.Integer, 1, code),
            <= 0x8F => new(MessagePackType.Map, 1, (ulong)(code & 0x0F)),
            <= 0x9F => new(MessagePackType.Array, 1, (ulong)(code & 0x0F)),
            <= 0xBF => new(MessagePackType.String, 1, (ulong)(code & 0x1F)),
            >= 0xE0 => new(MessagePackType.Integer, 1, unchecked((ulong)(sbyte)code), IsNegative: true),
            _ => ReadLong(code, source),
        };
    }

    private static MessagePackHead ReadLong(byte code, ReadOnlySpan<byte> source) => code switch
    {
        0xC0 => new(MessagePackType.Nil, 1, 0),
        0xC2 => new(MessagePackType.Boolean, 1, 0),
        0xC3 => new(MessagePackType.Boolean, 1, 1),
        0xC4 => Sized(MessagePackType.Binary, source, 1),
        0xC5 => Sized(MessagePackType.Binary, source, 2),
        0xC6 => Sized(MessagePackType.Binary, source, 4),
        0xC7 => Extension(source, 1),
        0xC8 => Extension(source, 2),
        0xC9 => Extension(source, 4),
        0xCA => Sized(MessagePackType.Float, source, 4),
        0xCB => Sized(MessagePackType.Float, source, 8) with { IsDouble = true },
        0xCC => Sized(MessagePackType.Integer, source, 1),
        0xCD => Sized(MessagePackType.Integer, source, 2),
        0xCE => Sized(MessagePackType.Integer, source, 4),
        0xCF => Sized(MessagePackType.Integer, source, 8),
        0xD0 => Signed(source, 1),
        0xD1 => Signed(source, 2),
        0xD2 => Signed(source, 4),
        0xD3 => Signed(source, 8),
        >= 0xD4 and <= 0xD8 => source.Length < 2 ? default : new(MessagePackType.Extension, 2, 1UL << (code - 0xD4)),
        0xD9 => Sized(MessagePackType.String, source, 1),
        0xDA => Sized(MessagePackType.String, source, 2),
        0xDB => Sized(MessagePackType.String, source, 4),
        0xDC => Sized(MessagePackType.Array, source, 2),
        0xDD => Sized(MessagePackType.Array, source, 4),
        0xDE => Sized(MessagePackType.Map, source, 2),
        0xDF => Sized(MessagePackType.Map, source, 4),
        _ => default,
    };

    private static MessagePackHead Sized(MessagePackType type, ReadOnlySpan<byte> source, int bytes)
    {
        if (source.Length < 1 + bytes) return default;
        ulong value = bytes switch
        {
            1 => source[1],
            2 => BinaryPrimitives.ReadUInt16BigEndian(source[1..]),
            4 => BinaryPrimitives.ReadUInt32BigEndian(source[1..]),
            _ => BinaryPrimitives.ReadUInt64BigEndian(source[1..]),
        };
        return new(type, 1 + bytes, value);
    }

    private static MessagePackHead Signed(ReadOnlySpan<byte> source, int bytes)
    {
        if (source.Length < 1 + bytes) return default;
        long value = bytes switch
        {
            1 => unchecked((sbyte)source[1]),
            2 => BinaryPrimitives.ReadInt16BigEndian(source[1..]),
            4 => BinaryPrimitives.ReadInt32BigEndian(source[1..]),
            _ => BinaryPrimitives.ReadInt64BigEndian(source[1..]),
        };
        return new(MessagePackType.Integer, 1 + bytes, unchecked((ulong)value), IsNegative: value < 0);
    }

    private static MessagePackHead Extension(ReadOnlySpan<byte> source, int bytes)
    {
        MessagePackHead head = Sized(MessagePackType.Extension, source, bytes);
        bool isCut = head.Type == MessagePackType.Unknown || source.Length < head.SizeBytes + 1;
        return isCut ? default : head with { SizeBytes = head.SizeBytes + 1 };
    }
}

using System.Buffers.Binary;
using System.Globalization;

namespace KvTier.Protocol;

/// <summary>What <see cref="FrameHeader.TryParse"/> found.</summary>
public enum FrameStatus : byte
{
    /// <summary>A header that can be trusted and is within the limits.</summary>
    Ok,

    /// <summary>Fewer than 32 bytes, and nothing wrong with them so far.</summary>
    Incomplete,

    /// <summary>The first bytes are not <c>KVT1</c>: the peer speaks something else.</summary>
    BadMagic,

    /// <summary>The header's CRC32C disagrees with its bytes.</summary>
    BadCrc,

    /// <summary>Another version of the protocol.</summary>
    BadVersion,

    /// <summary>No such <see cref="FrameKind"/>.</summary>
    BadKind,

    /// <summary>The body is longer than <see cref="Limits.FrameBodyBytesMax"/>.</summary>
    BodyTooLong,

    /// <summary>The payload is longer than <see cref="Limits.FramePayloadBytesMax"/>.</summary>
    PayloadTooLong,
}

/// <summary>The 32 bytes before every frame's body and payload.</summary>
/// <param name="Kind">What the frame is.</param>
/// <param name="Opcode">What is asked for; a response has its request's. May be one that this version does not know.</param>
/// <param name="RequestId">Chosen by the client; 0 in notices.</param>
/// <param name="BodyLength">Bytes of the MessagePack body.</param>
/// <param name="BodyCrc">CRC32C of the body.</param>
/// <param name="PayloadLength">Bytes of raw payload after the body.</param>
public readonly record struct FrameHeader(
    FrameKind Kind, Opcode Opcode, ulong RequestId, int BodyLength, uint BodyCrc, long PayloadLength)
{
    /// <summary>Length of a header in bytes.</summary>
    public const int SizeBytes = 32;

    /// <summary>The version of the protocol that this code speaks.</summary>
    public const byte Version = 1;

    /// <summary>Bytes before the header's own CRC, which it covers.</summary>
    private const int CheckedBytes = 28;

    /// <summary>The letters that every frame begins with.</summary>
    public static ReadOnlySpan<byte> Magic => "KVT1"u8;

    /// <summary>
    /// Reads a header. Checks go in this order: magic, CRC, version, kind, body length, payload length; nothing after a failed one is
    /// looked at.
    /// </summary>
    /// <param name="source">What has been received; only its first 32 bytes are read.</param>
    /// <param name="limits">The limits on body and payload.</param>
    /// <param name="header">The header. Also set for every status after <see cref="FrameStatus.BadCrc"/>, so that an error can be sent
    /// with its request id; its body length is then capped at <see cref="int.MaxValue"/>.</param>
    public static FrameStatus TryParse(ReadOnlySpan<byte> source, Limits limits, out FrameHeader header)
    {
        header = default;
        int magicBytes = Math.Min(source.Length, Magic.Length);
        if (!source[..magicBytes].SequenceEqual(Magic[..magicBytes])) return FrameStatus.BadMagic;
        if (source.Length < SizeBytes) return FrameStatus.Incomplete;
        uint headerCrc = BinaryPrimitives.ReadUInt32LittleEndian(source[CheckedBytes..]);
        if (Crc32C.Compute(source[..CheckedBytes]) != headerCrc) return FrameStatus.BadCrc;
        uint bodyLength = BinaryPrimitives.ReadUInt32LittleEndian(source[16..]);
        header = new FrameHeader(
            (FrameKind)source[5],
            (Opcode)BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
            (int)Math.Min(bodyLength, int.MaxValue),
            BinaryPrimitives.ReadUInt32LittleEndian(source[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[24..]));
        if (source[4] != Version) return FrameStatus.BadVersion;
        if (header.Kind is < FrameKind.Request or > FrameKind.Notice) return FrameStatus.BadKind;
        if (bodyLength > (uint)limits.FrameBodyBytesMax) return FrameStatus.BodyTooLong;
        return header.PayloadLength > limits.FramePayloadBytesMax ? FrameStatus.PayloadTooLong : FrameStatus.Ok;
    }

    /// <summary>Writes the 32 bytes of the header, its CRC included, to the start of a span.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A length is negative or does not fit into 32 bits.</exception>
    public void Write(Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(BodyLength);
        ArgumentOutOfRangeException.ThrowIfNegative(PayloadLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(PayloadLength, uint.MaxValue);
        Magic.CopyTo(destination);
        destination[4] = Version;
        destination[5] = (byte)Kind;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], (ushort)Opcode);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], RequestId);
        BinaryPrimitives.WriteInt32LittleEndian(destination[16..], BodyLength);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[20..], BodyCrc);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[24..], (uint)PayloadLength);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[CheckedBytes..], Crc32C.Compute(destination[..CheckedBytes]));
    }

    /// <summary>Checks a body against length and CRC of this header; a body that fails must not be decoded.</summary>
    /// <returns>Null when it is intact, else <see cref="ErrorCode.ProtocolViolation"/>.</returns>
    public KvError? CheckBody(ReadOnlySpan<byte> body)
    {
        if (body.Length != BodyLength)
            return new KvError(ErrorCode.ProtocolViolation, "frame.bodyLength", Text(body.Length), Text(BodyLength));
        uint crc = Crc32C.Compute(body);
        return crc == BodyCrc ? null : new KvError(ErrorCode.ProtocolViolation, "frame.bodyCrc", Hex(crc), Hex(BodyCrc));
    }

    /// <summary>The error to answer a refused header with; the connection is closed after it.</summary>
    /// <param name="status">What <see cref="TryParse"/> said, not <see cref="FrameStatus.Ok"/>.</param>
    /// <param name="source">The bytes it was given.</param>
    /// <param name="limits">The limits it was given.</param>
    public static KvError ErrorOf(FrameStatus status, ReadOnlySpan<byte> source, Limits limits) => status switch
    {
        FrameStatus.BadMagic => new(
            ErrorCode.ProtocolViolation, "frame.magic", Convert.ToHexString(source[..Math.Min(4, source.Length)]), "4B565431"),
        FrameStatus.BadCrc => new(
            ErrorCode.ProtocolViolation,
            "frame.headerCrc",
            Hex(BinaryPrimitives.ReadUInt32LittleEndian(source[CheckedBytes..])),
            Hex(Crc32C.Compute(source[..CheckedBytes]))),
        FrameStatus.BadVersion => new(ErrorCode.VersionMismatch, "frame.version", Text(source[4]), Text(Version)),
        FrameStatus.BadKind => new(ErrorCode.ProtocolViolation, "frame.kind", Text(source[5]), "1 to 4"),
        FrameStatus.BodyTooLong =>
            KvError.LimitExceeded("frame.bodyLength", BinaryPrimitives.ReadUInt32LittleEndian(source[16..]), limits.FrameBodyBytesMax),
        FrameStatus.PayloadTooLong => KvError.LimitExceeded(
            "frame.payloadLength", BinaryPrimitives.ReadUInt32LittleEndian(source[24..]), limits.FramePayloadBytesMax),
        FrameStatus.Incomplete => new(ErrorCode.ProtocolViolation, "frame.header", $"{source.Length} bytes", "32 bytes"),
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "not a refusal"),
    };

    private static string Hex(uint value) => value.ToString("X8", CultureInfo.InvariantCulture);

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}

using System.Buffers.Binary;
using KvTier.Cluster;
using KvTier.Recall;

namespace KvTier.Silo.Sequences;

/// <summary>
/// Messages of sequences in those of the wire, whose bodies are bounded: a short record goes with a byte 0 before it into the body; a long
/// one goes into the payload, before what else is there, and the body is a byte 1, its length and its CRC32C, little-endian.
/// </summary>
internal static class SequenceFrames
{
    /// <summary>Records up to so many bytes go into the body.</summary>
    private const int ShortMax = 64 << 10;
    private const int LongBytes = 9;

    /// <summary>Wraps a message.</summary>
    /// <returns>The wire's message, or why it is too long for one.</returns>
    public static Result<PeerMessage> Wrap(PartMessage message)
    {
        long all = (long)message.Body.Length + message.Payload.Length;
        if (all > PeerMessage.PayloadBytesMax) return KvError.LimitExceeded("peer.payload", all, PeerMessage.PayloadBytesMax);
        if (message.Body.Length <= ShortMax)
        {
            var body = new byte[1 + message.Body.Length];
            message.Body.CopyTo(body.AsMemory(1));
            return new PeerMessage(message.Op, message.Epoch, body, message.Payload);
        }

        var head = new byte[LongBytes];
        head[0] = 1;
        BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(1), message.Body.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head.AsSpan(5), Crc32C.Compute(message.Body.Span));
        var payload = new byte[all];
        message.Body.CopyTo(payload);
        message.Payload.CopyTo(payload.AsMemory(message.Body.Length));
        return new PeerMessage(message.Op, message.Epoch, head, payload);
    }

    /// <summary>Unwraps a message.</summary>
    /// <returns>The message, or what is wrong with it.</returns>
    public static Result<PartMessage> Unwrap(PeerMessage message)
    {
        var wrong = new KvError(ErrorCode.ProtocolViolation, "peer.body", $"{message.Body.Length} bytes", "a record of sequences");
        if (message.Body.Length == 0) return wrong;
        if (message.Body.Span[0] == 0) return new PartMessage(message.Op, message.Epoch, message.Body[1..], message.Payload);
        if (message.Body.Span[0] != 1 || message.Body.Length != LongBytes) return wrong;
        int length = BinaryPrimitives.ReadInt32LittleEndian(message.Body.Span[1..]);
        if (length < 0 || length > message.Payload.Length) return wrong;
        ReadOnlyMemory<byte> body = message.Payload[..length];
        return Crc32C.Compute(body.Span) == BinaryPrimitives.ReadUInt32LittleEndian(message.Body.Span[5..])
            ? new PartMessage(message.Op, message.Epoch, body, message.Payload[length..])
            : new KvError(ErrorCode.Corrupt, "peer.body", "a record of sequences", "its CRC32C");
    }
}

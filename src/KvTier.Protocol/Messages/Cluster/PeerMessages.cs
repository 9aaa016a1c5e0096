namespace KvTier.Protocol;

/// <summary>What one silo asks of another. Its payload is raw bytes, at most <see cref="WireBounds.PeerPayloadBytesMax"/>.</summary>
public readonly ref struct PeerRequest
{
    private const int Fields = 6;

    /// <summary>The operation.</summary>
    public ushort Op { get; private init; }

    /// <summary>The sender's epoch.</summary>
    public long Epoch { get; private init; }

    /// <summary>Name of the silo that asks.</summary>
    public string Sender { get; private init; }

    /// <summary>What the operation makes of it, standing in the body of the frame.</summary>
    public ReadOnlySpan<byte> Body { get; private init; }

    /// <summary>Deadline in ms; 0 for the silo's default.</summary>
    public int DeadlineMs { get; private init; }

    /// <summary>CRC32C of the payload; whoever receives it computes it anew.</summary>
    public uint Check { get; private init; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="op">The operation.</param>
    /// <param name="epoch">The sender's epoch.</param>
    /// <param name="sender">Name of the silo that asks.</param>
    /// <param name="body">What the operation makes of it.</param>
    /// <param name="deadlineMs">Deadline in ms; 0 for the silo's default.</param>
    /// <param name="check">CRC32C of the payload.</param>
    public static void Write(
        FrameBuffer buffer, ushort op, long epoch, string sender, ReadOnlySpan<byte> body, int deadlineMs, uint check)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write((uint)op);
        writer.Write(epoch);
        writer.Write(sender);
        writer.Write(body);
        writer.Write(deadlineMs);
        writer.Write(check);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body of the frame.</param>
    /// <param name="payloadLength">Bytes of the frame's payload.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="request">The request.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, long payloadLength, Limits limits, out PeerRequest request)
    {
        var reader = new BodyReader(body, "peer", Fields);
        request = new PeerRequest
        {
            Op = (ushort)reader.Unsigned("op", ushort.MaxValue),
            Epoch = reader.Long("epoch"),
            Sender = SiloCodec.ReadName(ref reader, "sender"),
            Body = reader.Bytes("body", limits.FrameBodyBytesMax),
            DeadlineMs = reader.Int("deadline", limits.DeadlineMsMax),
            Check = (uint)reader.Unsigned("check", uint.MaxValue),
        };
        reader.Finish();
        PeerPayload.CheckLength(ref reader, payloadLength);
        if (reader.Error is null) return null;
        request = default;
        return reader.Error;
    }
}

/// <summary>The answer to a <see cref="PeerRequest"/>. Its payload is raw bytes.</summary>
public readonly ref struct PeerResponse
{
    private const int Fields = 3;

    /// <summary>The epoch of the silo that answers.</summary>
    public long Epoch { get; private init; }

    /// <summary>What the operation makes of it, standing in the body of the frame.</summary>
    public ReadOnlySpan<byte> Body { get; private init; }

    /// <summary>CRC32C of the payload; whoever receives it computes it anew.</summary>
    public uint Check { get; private init; }

    /// <summary>Writes the body.</summary>
    /// <param name="buffer">Where to.</param>
    /// <param name="epoch">The epoch of the silo that answers.</param>
    /// <param name="body">What the operation makes of it.</param>
    /// <param name="check">CRC32C of the payload.</param>
    public static void Write(FrameBuffer buffer, long epoch, ReadOnlySpan<byte> body, uint check)
    {
        var writer = new MessagePackWriter(buffer);
        writer.WriteArrayHeader(Fields);
        writer.Write(epoch);
        writer.Write(body);
        writer.Write(check);
    }

    /// <summary>Reads and checks a body.</summary>
    /// <param name="body">The body of the frame.</param>
    /// <param name="payloadLength">Bytes of the frame's payload.</param>
    /// <param name="limits">The limits.</param>
    /// <param name="response">The response.</param>
    /// <returns>Null when all is well, else what is wrong.</returns>
    public static KvError? TryRead(ReadOnlySpan<byte> body, long payloadLength, Limits limits, out PeerResponse response)
    {
        var reader = new BodyReader(body, "peer", Fields);
        response = new PeerResponse
        {
            Epoch = reader.Long("epoch"),
            Body = reader.Bytes("body", limits.FrameBodyBytesMax),
            Check = (uint)reader.Unsigned("check", uint.MaxValue),
        };
        reader.Finish();
        PeerPayload.CheckLength(ref reader, payloadLength);
        if (reader.Error is null) return null;
        response = default;
        return reader.Error;
    }
}

/// <summary>The payload of a call between silos.</summary>
internal static class PeerPayload
{
    public static void CheckLength(ref BodyReader reader, long length)
    {
        if (reader.IsOk && length > WireBounds.PeerPayloadBytesMax)
            reader.Refuse(KvError.LimitExceeded("peer.payloadLength", length, WireBounds.PeerPayloadBytesMax));
    }
}

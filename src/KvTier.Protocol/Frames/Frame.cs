namespace KvTier.Protocol;

/// <summary>
/// Writes frames: <see cref="Begin"/>, then one message's body, then <see cref="Complete"/>, then the payload if there is one.
/// </summary>
public static class Frame
{
    /// <summary>Leaves room for a header at the end of a buffer; the body is written next.</summary>
    /// <returns>Where the frame starts, for <see cref="Complete"/>. Several frames may follow one another in one buffer.</returns>
    public static int Begin(FrameBuffer buffer)
    {
        int start = buffer.WrittenCount;
        buffer.GetSpan(FrameHeader.SizeBytes)[..FrameHeader.SizeBytes].Clear();
        buffer.Advance(FrameHeader.SizeBytes);
        return start;
    }

    /// <summary>Fills in the header of the frame whose body ends where the buffer ends now.</summary>
    /// <param name="buffer">The buffer.</param>
    /// <param name="start">What <see cref="Begin"/> returned.</param>
    /// <param name="kind">What the frame is.</param>
    /// <param name="opcode">What is asked for; in a response its request's.</param>
    /// <param name="requestId">The request's id; 0 in notices.</param>
    /// <param name="payloadLength">Bytes of payload that the caller sends after the body.</param>
    public static void Complete(FrameBuffer buffer, int start, FrameKind kind, Opcode opcode, ulong requestId, long payloadLength = 0)
    {
        int bodyStart = start + FrameHeader.SizeBytes;
        ReadOnlySpan<byte> body = buffer.WrittenSpan[bodyStart..];
        var header = new FrameHeader(kind, opcode, requestId, body.Length, Crc32C.Compute(body), payloadLength);
        header.Write(buffer.Written(start, FrameHeader.SizeBytes));
    }

    /// <summary>Writes a whole frame whose body is the empty array: the request or response of opcodes without fields.</summary>
    public static void WriteEmpty(FrameBuffer buffer, FrameKind kind, Opcode opcode, ulong requestId)
    {
        int start = Begin(buffer);
        EmptyBody.Write(buffer);
        Complete(buffer, start, kind, opcode, requestId);
    }

    /// <summary>Writes a whole error frame.</summary>
    /// <param name="buffer">The buffer.</param>
    /// <param name="opcode">The request's opcode; <see cref="Opcode.None"/> when the header could not be trusted.</param>
    /// <param name="requestId">The request's id; 0 when the header could not be trusted.</param>
    /// <param name="error">The error.</param>
    public static void WriteError(FrameBuffer buffer, Opcode opcode, ulong requestId, KvError error)
    {
        int start = Begin(buffer);
        ErrorBody.Write(buffer, error);
        Complete(buffer, start, FrameKind.Error, opcode, requestId);
    }
}

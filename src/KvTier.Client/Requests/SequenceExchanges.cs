using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>A request about one sequence, answered by what the silo knows of it.</summary>
internal abstract class SequenceExchange : Request
{
    public SequenceDescription? Sequence { get; private set; }

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!SequenceEntry.Read(body).TryGet(out SequenceEntry? entry, out KvError? error)) return error;
        Sequence = SequenceDescription.Of(entry);
        return NoPayload(payloadLength);
    }
}

/// <summary>Opens a sequence.</summary>
internal sealed class SequenceOpenExchange(string name, SequenceOptions options) : SequenceExchange
{
    public override Opcode Opcode => Opcode.SequenceOpen;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new SequenceOpenRequest(handle, deadlineMs, name, options.Digests, options.Rotation, Route.Epoch).Write(buffer);
}

/// <summary>Appends blocks. Safe to repeat, because it says how many tokens there are before.</summary>
internal sealed class SequenceAppendExchange(
    string name, ReadOnlyMemory<BlockId> blocks, long tokens, bool replaceLast, long expectedTokens) : SequenceExchange
{
    public override Opcode Opcode => Opcode.SequenceAppend;

    public override int ItemCount => blocks.Length;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        SequenceAppendRequest.Write(
            buffer, handle, deadlineMs, name, tokens, replaceLast, expectedTokens, blocks.Span, Route.Epoch);
}

/// <summary>Forks a sequence. Not safe to repeat: the second one would find the name taken.</summary>
internal sealed class SequenceForkExchange(string name, string newName, long tokens) : SequenceExchange
{
    public override Opcode Opcode => Opcode.SequenceFork;

    public override bool IsRepeatable => false;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new SequenceForkRequest(handle, deadlineMs, name, newName, tokens, Route.Epoch).Write(buffer);
}

/// <summary>Closes a sequence. Not safe to repeat: the second one would find it gone.</summary>
internal sealed class SequenceCloseExchange(string name) : SequenceExchange
{
    public override Opcode Opcode => Opcode.SequenceClose;

    public override bool IsRepeatable => false;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new SequenceRequest(handle, deadlineMs, name, Route.Epoch).Write(buffer);
}

/// <summary>Describes a sequence.</summary>
internal sealed class SequenceDescribeExchange(string name) : SequenceExchange
{
    public override Opcode Opcode => Opcode.SequenceDescribe;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new SequenceRequest(handle, deadlineMs, name, Route.Epoch).Write(buffer);
}

/// <summary>Asks for a page of sequences.</summary>
internal sealed class SequenceListExchange(string after, int max) : Request
{
    public SequenceDescription[] Page { get; private set; } = [];

    public override Opcode Opcode => Opcode.SequenceList;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new SequenceListRequest(handle, after, max, Route.Epoch).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!SequenceListResponse.Read(body).TryGet(out SequenceListResponse? response, out KvError? error)) return error;
        if (response.Entries.Count > max)
            return new KvError(ErrorCode.ProtocolViolation, "sequenceList.items.count", $"{response.Entries.Count}", $"0 to {max}");
        Page = [.. response.Entries.Select(SequenceDescription.Of)];
        return NoPayload(payloadLength);
    }
}

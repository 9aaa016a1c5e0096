using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>An engine says how it makes keys and bytes.</summary>
internal sealed class EngineHelloExchange(
    string engine, string version, string instance, IReadOnlyDictionary<string, string> fields) : Request
{
    public EngineHelloResponse? Report { get; private set; }

    public override Opcode Opcode => Opcode.EngineHello;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new EngineHelloRequest(handle, deadlineMs, engine, version, instance, fields).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!EngineHelloResponse.Read(body).TryGet(out EngineHelloResponse? report, out KvError? error)) return error;
        Report = report;
        return NoPayload(payloadLength);
    }
}

/// <summary>Asks how many blocks of a prefix are worth loading.</summary>
/// <param name="ids">The blocks.</param>
/// <param name="terms">By what to judge.</param>
/// <param name="tiers">Where they are; null to have the silo look.</param>
internal sealed class LoadableExchange(ReadOnlyMemory<BlockId> ids, LoadableTerms terms, ReadOnlyMemory<TierSet>? tiers) : Request
{
    public LoadableResponse? Answer { get; private set; }

    public override Opcode Opcode => Opcode.Loadable;

    public override int ItemCount => ids.Length;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        LoadableRequest.Write(buffer, handle, deadlineMs, ids.Span, terms, tiers is { } told ? told.Span : default, tiers is not null);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!LoadableResponse.Read(body, ids.Length).TryGet(out LoadableResponse? answer, out KvError? error)) return error;
        Answer = answer;
        return NoPayload(payloadLength);
    }
}

/// <summary>Says what routers are to be told of blocks.</summary>
internal sealed class EventNotesExchange(int blockTokens, string? loraName, IReadOnlyList<EventNote> notes) : Request
{
    public EventNotesResponse Answer { get; private set; }

    public override Opcode Opcode => Opcode.EventNotes;

    public override int ItemCount => notes.Count;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new EventNotesRequest(handle, blockTokens, loraName, notes).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!EventNotesResponse.Read(body).TryGet(out EventNotesResponse answer, out KvError? error)) return error;
        Answer = answer;
        return NoPayload(payloadLength);
    }
}

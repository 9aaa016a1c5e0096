using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>Asks for the map of the cluster.</summary>
internal sealed class ClusterMapExchange(long knownEpoch) : Request
{
    public ClusterMapResponse? Response { get; private set; }

    public override Opcode Opcode => Opcode.ClusterMap;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => new ClusterMapRequest(knownEpoch).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!ClusterMapResponse.Read(body).TryGet(out ClusterMapResponse? response, out KvError? error)) return error;
        Response = response;
        return NoPayload(payloadLength);
    }
}

/// <summary>Asks for the state of the cluster.</summary>
internal sealed class ClusterStatusExchange : Request
{
    public string Json { get; private set; } = "";

    public override Opcode Opcode => Opcode.ClusterStatus;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => EmptyBody.Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!StatResponse.Read(body).TryGet(out string? json, out KvError? error)) return error;
        Json = json;
        return NoPayload(payloadLength);
    }
}

/// <summary>What an operator asks of the cluster. Safe to repeat: each verb says what is to be, not what is to change.</summary>
internal sealed class ClusterAdminExchange(string verb, IReadOnlyList<string> arguments) : Request
{
    public string Json { get; private set; } = "";

    public override Opcode Opcode => Opcode.ClusterAdmin;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new ClusterAdminRequest(verb, arguments, deadlineMs).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!StatResponse.Read(body).TryGet(out string? json, out KvError? error)) return error;
        Json = json;
        return NoPayload(payloadLength);
    }
}

using KvTier.Protocol;

namespace KvTier.Client.Requests;

/// <summary>The handshake.</summary>
internal sealed class HelloExchange(string clientName, string? token) : Request
{
    public HelloResponse? Response { get; private set; }

    public override Opcode Opcode => Opcode.Hello;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) =>
        new HelloRequest(FrameHeader.Version, FrameHeader.Version, clientName, token, WireBounds.Probe).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!HelloResponse.Read(body).TryGet(out HelloResponse? response, out KvError? error)) return error;
        Response = response;
        return NoPayload(payloadLength);
    }
}

/// <summary>A round trip that does nothing.</summary>
internal sealed class PingExchange : Request
{
    public override Opcode Opcode => Opcode.Ping;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => EmptyBody.Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits) =>
        EmptyBody.Check(body) ?? NoPayload(payloadLength);
}

/// <summary>The silo's figures.</summary>
internal sealed class StatExchange : Request
{
    public string Json { get; private set; } = "";

    public override Opcode Opcode => Opcode.Stat;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => EmptyBody.Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!StatResponse.Read(body).TryGet(out string? json, out KvError? error)) return error;
        Json = json;
        return NoPayload(payloadLength);
    }
}

/// <summary>Gives a namespace a handle on a connection.</summary>
internal sealed class NamespaceOpenExchange(NamespaceDescriptor descriptor) : Request
{
    public NamespaceOpenResponse? Response { get; private set; }

    public override Opcode Opcode => Opcode.NamespaceOpen;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => new NamespaceOpenRequest(descriptor).Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!NamespaceOpenResponse.Read(body).TryGet(out NamespaceOpenResponse? response, out KvError? error)) return error;
        Response = response;
        return NoPayload(payloadLength);
    }
}

/// <summary>Lists the namespaces.</summary>
internal sealed class NamespaceListExchange : Request
{
    public NamespaceInfo[] Namespaces { get; private set; } = [];

    public override Opcode Opcode => Opcode.NamespaceList;

    public override void WriteBody(FrameBuffer buffer, ushort handle, int deadlineMs) => EmptyBody.Write(buffer);

    public override KvError? ReadBody(ReadOnlySpan<byte> body, long payloadLength, Limits limits)
    {
        if (!NamespaceListResponse.Read(body, limits).TryGet(out NamespaceListResponse? response, out KvError? error)) return error;
        Namespaces = [.. response.Entries.Select(entry => new NamespaceInfo(entry.Descriptor, entry.Blocks))];
        return NoPayload(payloadLength);
    }
}

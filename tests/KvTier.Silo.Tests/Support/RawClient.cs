using System.Net;
using System.Net.Sockets;
using KvTier.Protocol;

namespace KvTier.Silo.Tests.Support;

/// <summary>An answer as it came over the wire.</summary>
internal sealed record Reply(FrameHeader Header, byte[] Body, byte[] Payload)
{
    /// <summary>The error of an error frame.</summary>
    public KvError Error
    {
        get
        {
            Assert.Equal(FrameKind.Error, Header.Kind);
            return ErrorBody.Read(Body);
        }
    }

    /// <summary>The body of a response; fails on an error frame.</summary>
    public byte[] Ok()
    {
        Assert.True(Header.Kind == FrameKind.Response,
            Header.Kind == FrameKind.Error ? ErrorBody.Read(Body).Message : Header.Kind.ToString());
        return Body;
    }
}

/// <summary>A client that knows frames and nothing else, on a blocking socket.</summary>
internal sealed class RawClient : IDisposable
{
    /// <summary>Guard against hangs; no test waits for it.</summary>
    private const int GuardMs = 120_000;

    private ulong lastId;

    public RawClient(EndPoint endPoint)
    {
        bool unix = endPoint is UnixDomainSocketEndPoint;
        Socket = new Socket(endPoint.AddressFamily, SocketType.Stream, unix ? ProtocolType.Unspecified : ProtocolType.Tcp)
        {
            ReceiveTimeout = GuardMs,
            SendTimeout = GuardMs,
        };
        if (!unix) Socket.NoDelay = true;
        Socket.Connect(endPoint);
    }

    public Socket Socket { get; }

    public ushort Namespace { get; private set; }

    public NamespaceDescriptor Descriptor { get; private set; } = null!;

    /// <summary>Connects, says Hello and opens a namespace.</summary>
    public static RawClient Open(EndPoint endPoint, NamespaceDescriptor? ns = null)
    {
        var client = new RawClient(endPoint);
        client.Hello().Ok();
        client.OpenNamespace(ns ?? WireBounds.ProbeNamespace);
        return client;
    }

    public Reply Hello(string? token = null, byte versionMin = 1, byte versionMax = 1, BlockId? probe = null) =>
        Ask(Opcode.Hello, new HelloRequest(versionMin, versionMax, "test", token, probe ?? WireBounds.Probe).Write);

    public Reply TryOpenNamespace(NamespaceDescriptor ns) => Ask(Opcode.NamespaceOpen, new NamespaceOpenRequest(ns).Write);

    public void OpenNamespace(NamespaceDescriptor ns)
    {
        NamespaceOpenResponse response = NamespaceOpenResponse.Read(TryOpenNamespace(ns).Ok()).Value;
        Namespace = response.Handle;
        Descriptor = ns;
    }

    public BlockId Id(string key) => BlockId.Compute(Descriptor.Id, System.Text.Encoding.UTF8.GetBytes(key));

    /// <summary>Sends a request and waits for the next frame.</summary>
    public Reply Ask(Opcode opcode, Action<FrameBuffer> body, ReadOnlySpan<byte> payload = default)
    {
        ulong id = Post(opcode, body, payload);
        Reply reply = Receive();
        Assert.Equal(id, reply.Header.RequestId);
        return reply;
    }

    /// <summary>Sends a request or notice without waiting.</summary>
    public ulong Post(Opcode opcode, Action<FrameBuffer> body, ReadOnlySpan<byte> payload = default)
    {
        ulong id = opcode.IsNotice() ? 0 : ++lastId;
        Send(Encode(opcode, id, body, payload.Length));
        if (payload.Length > 0) Send(payload);
        return id;
    }

    public static byte[] Encode(Opcode opcode, ulong id, Action<FrameBuffer> body, long payloadLength = 0, FrameKind? kind = null)
    {
        using var buffer = new FrameBuffer();
        int start = Frame.Begin(buffer);
        body(buffer);
        Frame.Complete(buffer, start, kind ?? (opcode.IsNotice() ? FrameKind.Notice : FrameKind.Request), opcode, id, payloadLength);
        return buffer.WrittenSpan.ToArray();
    }

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[Socket.Send(bytes)..];
    }

    public Reply Receive()
    {
        byte[] head = ReceiveExactly(FrameHeader.SizeBytes);
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(head, new Limits(), out FrameHeader header));
        byte[] body = ReceiveExactly(header.BodyLength);
        Assert.Null(header.CheckBody(body));
        return new Reply(header, body, ReceiveExactly((int)header.PayloadLength));
    }

    /// <summary>True when the silo has closed the connection.</summary>
    public bool IsClosedBySilo()
    {
        try
        {
            return Socket.Receive(new byte[1]) == 0;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return true;
        }
    }

    public void Dispose() => Socket.Dispose();

    private byte[] ReceiveExactly(int count)
    {
        byte[] bytes = new byte[count];
        for (int have = 0; have < count;)
        {
            int got = Socket.Receive(bytes.AsSpan(have));
            if (got == 0) throw new EndOfStreamException($"the silo closed after {have} of {count} bytes");
            have += got;
        }

        return bytes;
    }
}

using System.Buffers;
using System.Net.Sockets;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Silo.Clustering;

/// <summary>An answer of another silo.</summary>
/// <param name="Body">MessagePack, checked by the frame's CRC.</param>
/// <param name="Payload">Raw bytes; unchecked.</param>
internal readonly record struct PeerFrame(ReadOnlyMemory<byte> Body, ReadOnlyMemory<byte> Payload);

/// <summary>
/// One connection to another silo, on which one request at a time is on its way: the payload of a push goes from the arena to the socket.
/// After any failure it is of no use any more.
/// </summary>
internal sealed class PeerConnection(Socket socket, SiloEntry to, TimeProvider time) : IDisposable
{
    /// <summary>Payloads up to this size are copied behind the body: a copy costs less than a send of its own.</summary>
    private const int GatherBytesMax = 16 << 10;

    /// <summary>Most bytes of one send.</summary>
    private const int SendBytesMax = 4 << 20;

    private readonly FrameBuffer outbox = new();
    private readonly Dictionary<NamespaceId, ushort> handles = [];
    private readonly byte[] head = new byte[FrameHeader.SizeBytes];
    private ulong lastId;

    /// <summary>The other silo's limits; the defaults before it was greeted.</summary>
    public Limits Limits { get; set; } = Limits.Default;

    /// <summary>True when an idle connection is still there: nothing was received on it, and it was not closed.</summary>
    public bool IsFresh
    {
        get
        {
            try
            {
                return !socket.Poll(TimeSpan.Zero, SelectMode.SelectRead);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    /// <summary>True once an exchange has failed in the middle.</summary>
    public bool IsBroken { get; private set; }

    /// <summary>Sends a request and receives its answer.</summary>
    /// <param name="opcode">What is asked.</param>
    /// <param name="writeBody">Writes the body.</param>
    /// <param name="payload">The payload in pieces; their memory stays until this completes.</param>
    /// <param name="deadline">Time for it.</param>
    /// <param name="isWork">True when the other silo works for its answer. Then the caller, who may have others to ask and work of its own,
    /// has its thread back once the request is sent; else the thread looks for the answer before it waits.</param>
    /// <returns>The answer; the other silo's error; or why there is none, and then the connection is broken.</returns>
    public async ValueTask<Result<PeerFrame>> ExchangeAsync(
        Opcode opcode, Action<FrameBuffer> writeBody, IReadOnlyList<ReadOnlyMemory<byte>> payload, TimeSpan deadline, bool isWork = false)
    {
        ulong id = ++lastId;
        outbox.Clear();
        int start = Frame.Begin(outbox);
        writeBody(outbox);
        if (outbox.WrittenCount - FrameHeader.SizeBytes > Limits.FrameBodyBytesMax)
            return PeerErrors.Wrong(to, KvError.LimitExceeded("frame.bodyLength", outbox.WrittenCount, Limits.FrameBodyBytesMax));
        Frame.Complete(outbox, start, FrameKind.Request, opcode, id, payload.Sum(static piece => (long)piece.Length));
        using var ending = new CancellationTokenSource(deadline, time);
        using CancellationTokenRegistration closing = ending.Token.UnsafeRegister(static state => ((Socket)state!).Dispose(), socket);
        IsBroken = true;
        try
        {
            await SendAsync(payload);
            int received = isWork ? await socket.ReceiveAsync(head, SocketFlags.None) : await EagerSocket.ReceiveAsync(socket, head);
            if (received == 0) throw new SocketException((int)SocketError.ConnectionReset);
            Result<PeerFrame> answer = await ReceiveAsync(opcode, id, received);
            IsBroken &= !answer.IsOk;
            return answer;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return ending.IsCancellationRequested ? PeerErrors.Late(to, deadline) : PeerErrors.Unreachable(to, e.Message);
        }
    }

    /// <summary>The handle of a namespace on this connection; registers it there when it is new.</summary>
    public async ValueTask<Result<ushort>> OpenAsync(NamespaceDescriptor descriptor, TimeSpan deadline)
    {
        if (handles.TryGetValue(descriptor.Id, out ushort known)) return known;
        Result<PeerFrame> exchanged =
            await ExchangeAsync(Opcode.NamespaceOpen, new NamespaceOpenRequest(descriptor).Write, [], deadline);
        if (!exchanged.TryGet(out PeerFrame answer, out KvError? error)) return error;
        if (!NamespaceOpenResponse.Read(answer.Body.Span).TryGet(out NamespaceOpenResponse? opened, out error))
            return PeerErrors.Wrong(to, error);
        if (opened.Fingerprint != descriptor.Id)
            return new KvError(ErrorCode.NamespaceMismatch, $"silo {to.Name}: fingerprint of {descriptor.Name}",
                $"{opened.Fingerprint}", $"{descriptor.Id}");
        handles[descriptor.Id] = opened.Handle;
        return opened.Handle;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        socket.Dispose();
        outbox.Dispose();
    }

    private async ValueTask SendAsync(IReadOnlyList<ReadOnlyMemory<byte>> payload)
    {
        foreach (ReadOnlyMemory<byte> piece in payload)
        {
            if (piece.Length <= GatherBytesMax)
            {
                outbox.Write(piece.Span);
                if (outbox.WrittenCount >= SendBytesMax) await FlushAsync();
                continue;
            }

            await FlushAsync();
            await SendAllAsync(piece);
        }

        await FlushAsync();
    }

    private async ValueTask FlushAsync()
    {
        await SendAllAsync(outbox.WrittenMemory);
        outbox.Clear();
    }

    private async ValueTask SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[await EagerSocket.SendAsync(socket, bytes[..Math.Min(bytes.Length, SendBytesMax)])..];
    }

    private async ValueTask<Result<PeerFrame>> ReceiveAsync(Opcode opcode, ulong id, int received)
    {
        await ReceiveAllAsync(head.AsMemory(received));
        FrameStatus status = FrameHeader.TryParse(head, Limits, out FrameHeader header);
        if (status != FrameStatus.Ok) return PeerErrors.Wrong(to, FrameHeader.ErrorOf(status, head, Limits));
        var body = new byte[header.BodyLength];
        await ReceiveAllAsync(body);
        if (header.CheckBody(body) is { } damaged) return PeerErrors.Wrong(to, damaged);
        if (header.Kind == FrameKind.Error) return TakeError(body, header.RequestId == id);
        if (header.Kind != FrameKind.Response || header.Opcode != opcode || header.RequestId != id)
            return PeerErrors.Wrong(to, new KvError(ErrorCode.ProtocolViolation, "frame", $"{header.Kind} of {header.Opcode}",
                $"the answer to {opcode}"));
        if (header.PayloadLength > WireBounds.PeerPayloadBytesMax)
            return PeerErrors.Wrong(to, KvError.LimitExceeded("frame.payloadLength", header.PayloadLength,
                WireBounds.PeerPayloadBytesMax));
        byte[] payload = header.PayloadLength == 0 ? [] : GC.AllocateUninitializedArray<byte>((int)header.PayloadLength);
        await ReceiveAllAsync(payload);
        return new PeerFrame(body, payload);
    }

    /// <summary>An error that answers the request leaves the connection as it was.</summary>
    private KvError TakeError(ReadOnlySpan<byte> body, bool isAnswer)
    {
        IsBroken = !isAnswer;
        return ErrorBody.Read(body);
    }

    private async ValueTask ReceiveAllAsync(Memory<byte> destination)
    {
        while (destination.Length > 0)
        {
            int received = await EagerSocket.ReceiveAsync(socket, destination);
            if (received == 0) throw new SocketException((int)SocketError.ConnectionReset);
            destination = destination[received..];
        }
    }
}

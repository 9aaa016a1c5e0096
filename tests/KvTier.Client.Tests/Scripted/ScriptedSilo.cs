using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using KvTier.Protocol;
using KvTier.Testing;

namespace KvTier.Client.Tests.Scripted;

/// <summary>What the scripted silo does with a request.</summary>
public enum Act
{
    /// <summary>Answers it.</summary>
    Answer,

    /// <summary>Never answers it; goes on with the next one.</summary>
    Ignore,

    /// <summary>Waits until <see cref="ScriptedSilo.Open"/> is called, then answers it.</summary>
    Hold,

    /// <summary>Closes the connection.</summary>
    Close,

    /// <summary>Answers with bytes that are no frame.</summary>
    Garbage,

    /// <summary>Answers with a frame whose body fails its CRC.</summary>
    BadBody,

    /// <summary>Answers with the id of no request.</summary>
    StrangeId,

    /// <summary>Flips one byte in the middle of the payload.</summary>
    FlipPayload,

    /// <summary>Sends half of the payload, waits until <see cref="ScriptedSilo.Open"/> is called, then sends the rest.</summary>
    HalfPayload,

    /// <summary>Answers busy.</summary>
    Busy,
}

/// <summary>
/// A silo of wire and dictionary only, over real sockets, that misbehaves on demand. It shares the codecs with the product, and nothing
/// else.
/// </summary>
public sealed class ScriptedSilo : IAsyncDisposable
{
    private readonly Socket listener;
    private readonly ConcurrentDictionary<Socket, bool> sockets = new();
    private readonly ConcurrentDictionary<BlockId, byte[]> blocks = new();
    private readonly List<NamespaceDescriptor> namespaces = [];
    private readonly Task accepting;
    private TaskCompletionSource gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ScriptedSilo(int? port = null)
    {
        // Nobody else listens there once it is gone, and another one of it may.
        Port = port ?? TestPorts.Reserve();
        listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, Port));
        listener.Listen();
        accepting = Task.Run(AcceptAsync);
    }

    public int Port { get; }

    public string Endpoint => $"tcp://127.0.0.1:{Port}";

    public Func<FrameHeader, Act> Script { get; set; } = _ => Act.Answer;

    public Limits Limits { get; set; } = Limits.Default;

    public ConcurrentQueue<Opcode> Seen { get; } = new();

    public int Connections => sockets.Count;

    /// <summary>Connections accepted since the start.</summary>
    public int Accepted { get; private set; }

    public SemaphoreSlim Held { get; } = new(0);

    /// <summary>Lets what is held go on.</summary>
    public void Open()
    {
        TaskCompletionSource old = Interlocked
            .Exchange(ref gate, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        old.TrySetResult();
    }

    public void CloseConnections()
    {
        foreach (Socket socket in sockets.Keys) socket.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        listener.Dispose();
        Open();
        CloseConnections();
        await accepting;
    }

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                Socket socket = await listener.AcceptAsync();
                socket.NoDelay = true;
                sockets[socket] = true;
                Accepted++;
                serving.Add(Task.Run(() => ServeAsync(socket)));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            CloseConnections();
            Open();
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            while (await ReceiveAsync(socket, FrameHeader.SizeBytes) is { } head)
            {
                Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(head, Limits.Default, out FrameHeader header));
                byte[]? body = await ReceiveAsync(socket, header.BodyLength);
                byte[]? payload = await ReceiveAsync(socket, (int)header.PayloadLength);
                if (body is null || payload is null) return;
                Assert.Null(header.CheckBody(body));
                Seen.Enqueue(header.Opcode);
                if (header.Kind == FrameKind.Notice) continue;
                if (!await ReactAsync(socket, header, body, payload, Script(header))) return;
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client or the script closed it.
        }
        finally
        {
            sockets.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    private async ValueTask<bool> ReactAsync(Socket socket, FrameHeader header, byte[] body, byte[] payload, Act act)
    {
        Task opened = gate.Task;
        if (act == Act.Close) return false;
        if (act == Act.Ignore) return true;
        if (act is Act.Hold)
        {
            Held.Release();
            await opened;
        }

        using var buffer = new FrameBuffer();
        if (act == Act.Busy)
        {
            Frame.WriteError(buffer, header.Opcode, header.RequestId, new KvError(ErrorCode.Busy, "inflight", "2", "1"));
            await SendAsync(socket, buffer.WrittenMemory);
            return true;
        }

        int start = Frame.Begin(buffer);
        byte[] output = Answer(header, body, payload, buffer);
        ulong id = act == Act.StrangeId ? header.RequestId + 0x10000 : header.RequestId;
        Frame.Complete(buffer, start, FrameKind.Response, header.Opcode, id, output.Length);
        byte[] frame = buffer.WrittenSpan.ToArray();
        if (act == Act.Garbage) frame[0] ^= 0xFF;
        if (act == Act.BadBody) frame[^1] ^= 0xFF;
        if (act == Act.FlipPayload) output[output.Length / 2] ^= 1;
        await SendAsync(socket, frame);
        if (act == Act.HalfPayload)
        {
            await SendAsync(socket, output.AsMemory(0, output.Length / 2));
            Held.Release();
            await opened;
            output = output[(output.Length / 2)..];
        }

        await SendAsync(socket, output);
        return true;
    }

    private byte[] Answer(FrameHeader header, byte[] body, byte[] payload, FrameBuffer buffer)
    {
        switch (header.Opcode)
        {
            case Opcode.Hello:
                new HelloResponse(1, "scripted", "1.0", null, Limits).Write(buffer);
                return [];
            case Opcode.NamespaceOpen:
                NamespaceDescriptor descriptor = NamespaceOpenRequest.Read(body).Value.Descriptor;
                lock (namespaces)
                {
                    if (!namespaces.Contains(descriptor)) namespaces.Add(descriptor);
                    new NamespaceOpenResponse((ushort)namespaces.IndexOf(descriptor), descriptor.Id, descriptor.Profile.BlockBytes)
                        .Write(buffer);
                }

                return [];
            case Opcode.Put:
                return Put(body, payload, buffer);
            case Opcode.Get:
                return Get(body, buffer);
            case Opcode.Prefix:
                Assert.Null(PrefixRequest.TryRead(body, Limits.Default, out PrefixRequest prefix));
                int count = 0;
                while (count < prefix.Ids.Count && blocks.ContainsKey(prefix.Ids[count])) count++;
                PrefixResponse.Write(buffer, Enumerable.Repeat(TierSet.Host, count).ToArray());
                return [];
            case Opcode.SequenceOpen or Opcode.SequenceAppend or Opcode.SequenceFork or Opcode.SequenceClose:
                new SequenceEntry("scripted", 1, 16, [new DigestSpec()], null, 0, 0, 0, 0).Write(buffer);
                return [];
            case Opcode.Recall:
                return Attend(body, payload, buffer);
            case Opcode.Stat:
                StatResponse.Write(buffer, "{}"u8);
                return [];
            default:
                EmptyBody.Write(buffer);
                return [];
        }
    }

    /// <summary>Answers an attend of one item by zeros, over no units.</summary>
    private byte[] Attend(byte[] body, byte[] payload, FrameBuffer buffer)
    {
        Assert.Null(RecallRequestReader.TryRead(body, payload.Length, Limits.Default, out RecallRequestReader recall));
        Assert.Equal(recall.Head.QueryCheck, Crc32C.Compute(payload));
        int kvHeads;
        lock (namespaces) kvHeads = namespaces[recall.Head.Namespace].Profile.KvHeads;
        byte[] output = new byte[recall.Head.QueryHeads * (recall.Head.HeadDim + 1) * sizeof(float)];
        RecallResponseWriter.Begin(buffer, 1).Add(new RecallResponseItem
        {
            UnitTokens = 16,
            Counts = new int[kvHeads],
            Units = [],
            PayloadLength = output.Length,
            Check = Crc32C.Compute(output),
        });
        return output;
    }

    private byte[] Put(byte[] body, byte[] payload, FrameBuffer buffer)
    {
        Assert.Null(PutRequestReader.TryRead(body, payload.Length, Limits.Default, out PutRequestReader put));
        NamespaceId ns;
        lock (namespaces) ns = namespaces[put.Namespace].Id;
        var statuses = new List<PutItemStatus>();
        int offset = 0;
        while (put.TryReadNext(out PutItem item))
        {
            BlockId id = BlockId.Compute(ns, item.Key);
            byte[] bytes = payload[offset..(offset + item.Length)];
            offset += item.Length;
            bool sound = BlockCheck.Compute(id, item.Codec, 0, item.Length, Crc32C.Compute(bytes)) == item.Check;
            statuses.Add(!sound ? PutItemStatus.Refused : blocks.TryAdd(id, bytes) ? PutItemStatus.Stored : PutItemStatus.Present);
        }

        PutResponse.Write(buffer, statuses.ToArray(), statuses.Contains(PutItemStatus.Refused)
            ? new KvError(ErrorCode.Corrupt, "check")
            : null);
        return [];
    }

    private byte[] Get(byte[] body, FrameBuffer buffer)
    {
        Assert.Null(GetRequest.TryRead(body, Limits.Default, out GetRequest get));
        var output = new MemoryStream();
        GetResponseWriter writer = GetResponseWriter.Begin(buffer, get.Ids.Count);
        for (int i = 0; i < get.Ids.Count; i++)
        {
            BlockId id = get.Ids[i];
            if (!blocks.TryGetValue(id, out byte[]? bytes))
            {
                writer.Add(GetItem.Miss(MissReason.NeverStored));
                continue;
            }

            (int offset, int length) = get.Ranges[i];
            ReadOnlySpan<byte> range = length == 0 ? bytes.AsSpan(offset) : bytes.AsSpan(offset, length);
            writer.Add(new GetItem(GetStatus.HostHit, range.Length, 0, BlockCheck
                .Compute(id, 0, offset, range.Length, Crc32C.Compute(range)), bytes.Length));
            output.Write(range);
        }

        return output.ToArray();
    }

    private static async ValueTask SendAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes)..];
    }

    private static async ValueTask<byte[]?> ReceiveAsync(Socket socket, int count)
    {
        var bytes = new byte[count];
        int got = 0;
        while (got < count)
        {
            int read = await socket.ReceiveAsync(bytes.AsMemory(got));
            if (read == 0) return null;
            got += read;
        }

        return bytes;
    }
}

using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using KvTier.Protocol;
using KvTier.Testing;

namespace KvTier.Client.Tests.Routing;

/// <summary>
/// A silo of wire and dictionary only that knows a map of its own: it answers for what it owns by that map, as slowly as a test wants.
/// </summary>
public sealed class DoubleSilo : IAsyncDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly ConcurrentDictionary<Socket, bool> sockets = new();
    private readonly Task accepting;
    private TaskCompletionSource held = new();
    private int mapsAsked;

    public DoubleSilo(string name)
    {
        Name = name;
        held.SetResult();

        // Nobody else listens there once it is gone.
        Port = TestPorts.Reserve();
        listener.Bind(new IPEndPoint(IPAddress.Loopback, Port));
        listener.Listen();
        accepting = Task.Run(AcceptAsync);
    }

    public string Name { get; }

    public int Port { get; }

    /// <summary>Its blocks; the same dictionary for several silos makes them replicas.</summary>
    public ConcurrentDictionary<BlockId, byte[]> Blocks { get; set; } = new();

    public ClusterMap Map { get; set; } = null!;

    /// <summary>Silos that have each group, as it says in answers to gets.</summary>
    public int Copies { get; set; } = 1;

    /// <summary>Requests about blocks: the opcode, the role and the number of blocks.</summary>
    public ConcurrentQueue<(Opcode Opcode, RouteRole Role, int Count)> Seen { get; } = new();

    /// <summary>How often it was asked for the map.</summary>
    public int MapsAsked => Volatile.Read(ref mapsAsked);

    /// <summary>Keeps answers about blocks back until <see cref="Release"/>.</summary>
    public void Hold() => held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Release() => held.TrySetResult();

    /// <summary>The entry of a map for it.</summary>
    public SiloEntry Entry(long joined = 1) => new()
    {
        Name = Name,
        Endpoint = $"127.0.0.1:{Port}",
        CapacityBytes = 1 << 30,
        Protocol = 1,
        DiskFormat = 2,
        JoinedEpoch = joined,
    };

    /// <summary>Ends it: connections are reset and new ones are refused.</summary>
    public async ValueTask DisposeAsync()
    {
        listener.Dispose();
        Release();
        foreach (Socket socket in sockets.Keys) socket.Dispose();
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
                sockets[socket] = true;
                serving.Add(Task.Run(() => ServeAsync(socket)));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            foreach (Socket socket in sockets.Keys) socket.Dispose();
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
                if (header.Kind == FrameKind.Notice) continue;
                _ = AnswerAsync(socket, header, body, payload);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client or the test closed it.
        }
        finally
        {
            sockets.TryRemove(socket, out _);
            socket.Dispose();
        }
    }

    private async Task AnswerAsync(Socket socket, FrameHeader header, byte[] body, byte[] payload)
    {
        using var buffer = new FrameBuffer();
        int start = Frame.Begin(buffer);
        byte[] output = Answer(header, body, payload, buffer);
        Frame.Complete(buffer, start, FrameKind.Response, header.Opcode, header.RequestId, output.Length);
        byte[] frame = [.. buffer.WrittenSpan, .. output];
        if (header.Opcode is Opcode.Get or Opcode.Put) await held.Task;
        try
        {
            lock (socket) socket.Send(frame);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The client has gone.
        }
    }

    private byte[] Answer(FrameHeader header, byte[] body, byte[] payload, FrameBuffer buffer)
    {
        switch (header.Opcode)
        {
            case Opcode.Hello:
                new HelloResponse(1, Name, "1.0", null, Limits.Default).Write(buffer);
                return [];
            case Opcode.NamespaceOpen:
                NamespaceDescriptor descriptor = NamespaceOpenRequest.Read(body).Value.Descriptor;
                new NamespaceOpenResponse(0, descriptor.Id, descriptor.Profile.BlockBytes).Write(buffer);
                return [];
            case Opcode.ClusterMap:
                Interlocked.Increment(ref mapsAsked);
                ClusterMapResponse.Of(Map, Name, ClusterMapRequest.Read(body).Value.KnownEpoch).Write(buffer);
                return [];
            case Opcode.Put:
                return Put(body, payload, buffer);
            case Opcode.Get:
                return Get(body, buffer);
            default:
                EmptyBody.Write(buffer);
                return [];
        }
    }

    private byte[] Put(byte[] body, byte[] payload, FrameBuffer buffer)
    {
        Assert.Null(PutRequestReader.TryRead(body, payload.Length, Limits.Default, out PutRequestReader put));
        Seen.Enqueue((Opcode.Put, put.Route.Role, put.Count));
        var statuses = new List<PutItemStatus>();
        int offset = 0;
        for (int i = 0; put.TryReadNext(out PutItem item); i++)
        {
            BlockId id = BlockId.Compute(LiveCluster.Opaque.Id, item.Key);
            bool owned = Map.Silos[Map.OwnerOf(put.Route.GroupOf(i, id))].Name == Name;
            if (owned) Blocks[id] = payload[offset..(offset + item.Length)];
            statuses.Add(owned ? PutItemStatus.Stored : PutItemStatus.Moved);
            offset += item.Length;
        }

        PutResponse.Write(buffer, statuses.ToArray(), null, Map.Epoch);
        return [];
    }

    private byte[] Get(byte[] body, FrameBuffer buffer)
    {
        Assert.Null(GetRequest.TryRead(body, Limits.Default, out GetRequest get));
        Seen.Enqueue((Opcode.Get, get.Route.Role, get.Ids.Count));
        var output = new MemoryStream();
        GetResponseWriter writer = GetResponseWriter.Begin(buffer, get.Ids.Count, Map.Epoch, Copies);
        for (int i = 0; i < get.Ids.Count; i++)
        {
            BlockId id = get.Ids[i];
            bool serves = get.Route.Role == RouteRole.Hedge || Map.Silos[Map.OwnerOf(get.Route.GroupOf(i, id))].Name == Name;
            if (!serves) writer.Add(GetItem.Miss(MissReason.Moved));
            else if (!Blocks.TryGetValue(id, out byte[]? bytes)) writer.Add(GetItem.Miss(MissReason.NeverStored));
            else writer.Add(Hit(id, bytes, output));
        }

        writer.End();
        return output.ToArray();
    }

    private static GetItem Hit(BlockId id, byte[] bytes, MemoryStream output)
    {
        output.Write(bytes);
        uint check = BlockCheck.Compute(id, 0, 0, bytes.Length, Crc32C.Compute(bytes));
        return new GetItem(GetStatus.HostHit, bytes.Length, 0, check, bytes.Length);
    }

    private static async ValueTask<byte[]?> ReceiveAsync(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int got = 0; got < count;)
        {
            int read = await socket.ReceiveAsync(bytes.AsMemory(got));
            if (read == 0) return null;
            got += read;
        }

        return bytes;
    }
}

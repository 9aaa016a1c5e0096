using System.Net;
using System.Net.Sockets;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>What must hold when clients leave at the worst moment, hammer, or lie about lengths, and when addresses are taken.</summary>
public sealed class HardeningTests : SiloTest
{
    private SiloOptions WithSsd =>
        Small with { DataDirectory = Path.Combine(Folder, "data"), SsdBytes = 128 << 20, Limits = new Limits { BlockBytesMax = 1 << 20 } };

    [Fact]
    public async Task Client_ThatResetsWhileGetsWaitForALateSlot_LeavesNoLease()
    {
        SiloHost host = await StartAsync(WithSsd with
        {
            HostBytes = 1 << 20,
            UnixSocket = null,
            Limits = new Limits { BlockBytesMax = 1 << 20, InflightRequestsMax = 1 },
        });
        RawClient owner = Connect(host);
        for (int i = 0; i < 60; i++) Blocks.Put(owner, ($"k{i}", 60_000));
        for (int round = 0; round < 20; round++)
        {
            using RawClient client = RawClient.Open(host.Endpoints.Native!);
            for (int i = 0; i < 60; i++)
            {
                // One block that is in host memory most probably, and one that is not.
                BlockId[] ids = [client.Id($"k{59 - (i % 3)}"), client.Id($"k{i % 40}")];
                client.Post(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, ids));
            }

            // A linger of 0 makes the close a reset, so that the silo's next send fails.
            client.Socket.LingerState = new LingerOption(true, 0);
        }

        await UntilAsync(() => host.Connections.Count == 1, "the clients to be gone");
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
        Blocks.AssertRight(owner, "k0", 60_000);
    }

    [Fact]
    public async Task Get_WhoseAnswerIsTooLong_IsRefusedBeforeTheSsdIsRead()
    {
        SiloOptions options = WithSsd;
        SiloHost host = await StartAsync(options with
        {
            HostBytes = 1 << 20,
            Limits = options.Limits with { FramePayloadBytesMax = 150_000 },
        });
        RawClient client = Connect(host);
        for (int i = 0; i < 40; i++) Blocks.Put(client, ($"k{i}", 60_000));
        long readsBefore = host.Engine.Stats.SsdHits;
        BlockId[] three = [client.Id("k0"), client.Id("k1"), client.Id("k2")];
        KvError error = client.Ask(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, three)).Error;
        Assert.Equal((ErrorCode.LimitExceeded, "get.payloadLength", "180000"), (error.Code, error.Field, error.Value));
        Assert.Equal((readsBefore, 0), (host.Engine.Stats.SsdHits, host.Engine.Stats.LeasedSlots));
        ByteRange[] parts = [new(0, 10), new(5, 10), new(59_000, 0)];
        Assert.All(Blocks.Get(client, parts, "k0", "k1", "k2"), answer => Assert.True(answer.Item.Status.IsHit()));
    }

    [Fact]
    public async Task Hello_LongerThanAHelloCanBe_IsRefusedBeforeItsBodyIsReceived()
    {
        SiloHost host = await StartAsync();
        RawClient client = Dial(host.Endpoints.Native!);
        byte[] frame = RawClient.Encode(Opcode.Hello, 1, b =>
        {
            b.GetSpan(100_000)[..100_000].Clear();
            b.Advance(100_000);
        });
        client.Send(frame.AsSpan(0, FrameHeader.SizeBytes));
        KvError error = client.Receive().Error;
        Assert.Equal((ErrorCode.LimitExceeded, "hello.bodyLength"), (error.Code, error.Field));
        Assert.True(client.IsClosedBySilo());
    }

    [Fact]
    public async Task Stop_WhileClientsAskWithoutPause_DrainsInTime()
    {
        SiloHost host = await StartAsync(WithSsd with { DrainSeconds = 60 });

        // A put whose payload is still to come holds the draining open: otherwise it may end between two requests of each client.
        RawClient last = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(last, [("last", 1000)]);
        last.Send(RawClient.Encode(Opcode.Put, 9, body, payload.Length));
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 1, "the put to begin");
        RawClient[] clients = [.. Enumerable.Range(0, 4).Select(_ => Connect(host))];
        int refused = 0;
        Task[] hammering =
        [
            .. clients.Select((client, number) => Task.Run(() => Hammer(client, number, () => Interlocked.Increment(ref refused)))),
        ];
        await UntilAsync(() => host.Engine.Stats.HostBlocks > 20, "the puts to flow");
        Task<KvError?> stopping = host.StopAsync();
        await UntilAsync(() => Volatile.Read(ref refused) > 0, "a client to be refused");
        last.Send(payload);
        Assert.Equal([PutItemStatus.Stored], Blocks.ReadPut(last.Receive(), 1).Statuses);
        Assert.Null(await stopping);
        await Task.WhenAll(hammering);
    }

    [Fact]
    public async Task UnixSocket_StaleFile_IsReplaced_ALivingOneIsNot_AndOtherFilesStay()
    {
        string path = Small.UnixSocket!;
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            // Killed processes leave their file; this one is moved in its place because closing removes it.
            dead.Bind(new UnixDomainSocketEndPoint(path + "0"));
            File.Move(path + "0", path);
        }

        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host);
        KvError error = (await SiloHost.StartAsync(Small)).Error!;
        Assert.Equal((ErrorCode.InvalidArgument, "unixSocket"), (error.Code, error.Field));
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
        ConnectUnix(host).Ask(Opcode.Ping, EmptyBody.Write).Ok();
        await File.WriteAllTextAsync(path + "2", "text");
        Assert.Equal("unixSocket", (await SiloHost.StartAsync(Small with { UnixSocket = path + "2" })).Error!.Field);
        Assert.Equal("text", await File.ReadAllTextAsync(path + "2"));
        error = (await SiloHost.StartAsync(Small with { UnixSocket = "/tmp/" + new string('x', 150) })).Error!;
        Assert.Equal("unixSocket", error.Field);
        Assert.Equal("unixSocket", (await SiloHost.StartAsync(Small with { UnixSocket = Folder })).Error!.Field);
        Assert.Equal("unixSocket", (await SiloHost.StartAsync(Small with { UnixSocket = Folder + "/no/s" })).Error!.Field);
    }

    [Fact]
    public async Task Start_OnAnotherSilosFolderOrPorts_IsRefusedByNameAndTheFirstGoesOn()
    {
        SiloOptions options = WithSsd with { Http = new HttpOptions { Port = 0 }, Resp = new RespOptions { Enabled = true, Port = 0 } };
        SiloHost host = await StartAsync(options);
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 1000));
        SiloOptions other = options with { DataDirectory = null, UnixSocket = null };
        Assert.Equal("dataDirectory", (await SiloHost.StartAsync(options with { UnixSocket = null })).Error!.Field);
        Assert.Equal("port", (await SiloHost.StartAsync(other with { Port = host.Endpoints.Native!.Port })).Error!.Field);
        Assert.Equal("http.port", (await SiloHost.StartAsync(
            other with { Http = new HttpOptions { Port = host.Endpoints.Http!.Port } })).Error!.Field);
        Assert.Equal("http.port", (await SiloHost.StartAsync(
            other with { Http = new HttpOptions { Address = "203.0.113.1", Port = 0 } })).Error!.Field);
        Assert.Equal("resp.port", (await SiloHost.StartAsync(
            other with { Resp = options.Resp with { Port = host.Endpoints.Resp!.Port } })).Error!.Field);
        Assert.Equal("resp.port", (await SiloHost.StartAsync(
            other with { Resp = options.Resp with { Address = "203.0.113.1" } })).Error!.Field);
        Blocks.AssertRight(client, "a", 1000);
        using var http = new HttpClient();
        using HttpResponseMessage ready = await http.GetAsync(new Uri($"http://127.0.0.1:{host.Endpoints.Http!.Port}/readyz"));
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
    }

    private static void Hammer(RawClient client, int number, Action refused)
    {
        try
        {
            for (int i = 0; ; i++)
            {
                (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [($"c{number}.{i}", 3000)], AckLevel.Ssd);

                // Two at a time, so that the next one has always come when one is answered.
                client.Post(Opcode.Put, body, payload);
                client.Post(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, [client.Id($"c{number}.{i}")]));
                for (int answers = 0; answers < 2; answers++)
                {
                    Reply reply = client.Receive();
                    if (reply.Header.Kind != FrameKind.Error) continue;
                    Assert.Equal(ErrorCode.ShuttingDown, reply.Error.Code);
                    refused();
                }
            }
        }
        catch (Exception e) when (e is SocketException or EndOfStreamException)
        {
            // The silo has stopped.
        }
    }
}

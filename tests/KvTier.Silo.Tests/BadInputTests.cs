using System.Buffers.Binary;
using System.Text;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>Bad input is refused with field, value and limit; what is stored, and other connections, are not harmed.</summary>
public sealed class BadInputTests : SiloTest
{
    [Theory]
    [InlineData("magic", ErrorCode.ProtocolViolation, "frame.magic", "58565431", "4B565431")]
    [InlineData("crc", ErrorCode.ProtocolViolation, "frame.headerCrc", null, null)]
    [InlineData("version", ErrorCode.VersionMismatch, "frame.version", "2", "1")]
    [InlineData("kind", ErrorCode.ProtocolViolation, "frame.kind", "9", "1 to 4")]
    [InlineData("body", ErrorCode.LimitExceeded, "frame.bodyLength", "4194305", "4194304")]
    [InlineData("payload", ErrorCode.LimitExceeded, "frame.payloadLength", "1073741825", "1073741824")]
    [InlineData("bodyCrc", ErrorCode.ProtocolViolation, "frame.bodyCrc", null, null)]
    [InlineData("response", ErrorCode.ProtocolViolation, "frame.kind", "Response", "Request for Ping")]
    public async Task Frame_ThatIsBroken_IsAnsweredAndTheConnectionClosed(string what, ErrorCode code, string field, string? value,
        string? limit)
    {
        SiloHost host = await StartAsync();
        RawClient other = Connect(host);
        Blocks.Put(other, ("kept", 1000));
        RawClient client = Connect(host);
        client.Send(Broken(what));
        KvError error = client.Receive().Error;
        Assert.Equal((code, field), (error.Code, error.Field));
        if (value is not null) Assert.Equal((value, limit), (error.Value, error.Limit));
        Assert.True(client.IsClosedBySilo());
        Blocks.AssertRight(other, "kept", 1000);
    }

    [Fact]
    public async Task Frame_OfAnotherProtocol_IsRefusedWithoutWaitingForAWholeHeader()
    {
        SiloHost host = await StartAsync();
        RawClient client = Dial(host.Endpoints.Native!);
        client.Send("GET / HTTP/1.1\r\n\r\n"u8);
        Assert.Equal("frame.magic", client.Receive().Error.Field);
        Assert.True(client.IsClosedBySilo());
    }

    [Fact]
    public async Task Request_BeforeHello_IsRefused()
    {
        SiloHost host = await StartAsync();
        RawClient client = Dial(host.Endpoints.Native!);
        Assert.Equal(new KvError(ErrorCode.Unauthorized, "frame.opcode", "Ping", "Hello as the first request of a connection"),
            client.Ask(Opcode.Ping, EmptyBody.Write).Error);
        Assert.True(client.IsClosedBySilo());
    }

    [Fact]
    public async Task Hello_WithBadTokenVersionOrProbe_IsRefused()
    {
        SiloHost host = await StartAsync(Small with { Token = "right" });
        KvError Hello(string? token, byte min, byte max, BlockId? probe)
        {
            RawClient client = Dial(host.Endpoints.Native!);
            KvError error = client.Hello(token, min, max, probe).Error;
            Assert.True(client.IsClosedBySilo());
            return error;
        }

        Assert.Equal(new KvError(ErrorCode.Unauthorized, "hello.token", "missing", "the silo's token"), Hello(null, 1, 1, null));
        Assert.Equal(new KvError(ErrorCode.Unauthorized, "hello.token", "wrong", "the silo's token"), Hello("wrong", 1, 1, null));
        Assert.Equal(new KvError(ErrorCode.VersionMismatch, "hello.version", "2 to 3", "1"), Hello("right", 2, 3, null));
        Assert.Equal("hello.probe", Hello("right", 1, 1, new BlockId(1, 2)).Field);
        Dial(host.Endpoints.Native!).Hello("right").Ok();
    }

    [Fact]
    public async Task UnknownOpcode_IsRefused_AndTheConnectionGoesOn()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        Assert.Equal(new KvError(ErrorCode.Unsupported, "frame.opcode", "99", "an opcode of version 1"),
            client.Ask((Opcode)99, EmptyBody.Write, new byte[100_000]).Error);
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
    }

    [Fact]
    public async Task NamespaceOpen_WithAProfileThatDiffers_NamesTheField()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host, new NamespaceDescriptor("t", Profiles.Llama31_8B));
        KvError error = client.TryOpenNamespace(new NamespaceDescriptor("t", Profiles.Llama31_8B with { Dtype = Dtype.Float16 })).Error;
        Assert.Equal(new KvError(ErrorCode.NamespaceMismatch, "namespace t/llama-3.1-8b: dtype", "fp16", "bf16"), error);
        Assert.Equal("tenant", client.TryOpenNamespace(new NamespaceDescriptor("No Good", Profiles.Opaque)).Error.Field);
    }

    [Fact]
    public async Task Put_AboveLimits_IsRefusedAsAWhole_AndTheConnectionGoesOn()
    {
        SiloHost host = await StartAsync(Small with { Limits = new Limits { KeyBytesMax = 8, BlockBytesMax = 1000, BatchBlocksMax = 4 } });
        RawClient client = Connect(host);
        KvError Put(params (string, int)[] blocks)
        {
            (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, blocks);
            return client.Ask(Opcode.Put, body, payload).Error;
        }

        Assert.Equal(KvError.LimitExceeded("put.items[1].key.length", 9, 8), Put(("ok", 10), ("123456789", 10)));
        Assert.Equal(KvError.LimitExceeded("put.items[0].length", 1001, 1000), Put(("a", 1001)));
        Assert.Equal(KvError.LimitExceeded("put.items.count", 5, 4), Put(("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)));
        Assert.Equal("put.items[0].key.length", Put(("", 1)).Field);
        Assert.Equal(0, host.Engine.Stats.HostBlocks);
        Blocks.Put(client, ("ok", 10));
        Blocks.AssertRight(client, "ok", 10);
    }

    [Fact]
    public async Task Put_WhosePayloadIsNotTheSumOfItsLengths_IsRefused()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 100)]);
        Assert.Equal("put.payloadLength", client.Ask(Opcode.Put, body, payload.AsSpan(1)).Error.Field);
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
    }

    [Fact]
    public async Task Put_WithAWrongCheck_IsRefusedAsCorrupt_AndTheSlotIsGivenBack()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 70_000)], spoil: 1);
        (PutItemStatus[] statuses, KvError? error) = Blocks.ReadPut(client.Ask(Opcode.Put, body, payload), 1);
        Assert.Equal([PutItemStatus.Refused], statuses);
        Assert.Equal((ErrorCode.Corrupt, "items[0].check"), (error!.Code, error.Field));
        Assert.Equal(GetStatus.NeverStored, Blocks.Get(client, "a").Single().Item.Status);
        Assert.Equal(0, host.Engine.Stats.ReservedSlots);
    }

    [Fact]
    public async Task Put_OfALengthThatTheProfileDoesNotHave_IsRefused()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host, new NamespaceDescriptor("t", Profiles.Llama31_8B));
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 100)]);
        Assert.Equal(
            KvError.InvalidArgument("items[0].length", 100, "2097152, the block of t/llama-3.1-8b"),
                client.Ask(Opcode.Put, body, payload).Error);
    }

    [Theory]
    [InlineData(0, 101, "ranges[0]")]
    [InlineData(101, 0, "ranges[0]")]
    [InlineData(50, 51, "ranges[0]")]
    [InlineData(-1, 5, "get.items[0].range")]
    [InlineData(5, -1, "get.items[0].range")]
    public async Task Get_OfARangeOutsideTheBlock_IsRefused_AndNoLeaseIsHeld(int offset, int length, string field)
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 100));
        KvError error = client.Ask(Opcode.Get, b =>
            GetRequest.Write(b, client.Namespace, 0, [client.Id("a")], [new ByteRange(offset, length)])).Error;
        Assert.Equal((ErrorCode.InvalidArgument, field), (error.Code, error.Field));
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
        Blocks.AssertRight(client, "a", 100);
    }

    [Fact]
    public async Task Get_OfMoreThanTheBatchOrOfAnotherConnectionsHandle_IsRefused()
    {
        SiloHost host = await StartAsync(Small with { Limits = new Limits { BatchBlocksMax = 4, DeadlineMsMax = 40_000 } });
        RawClient client = Connect(host);
        RawClient stranger = Dial(host.Endpoints.Native!);
        stranger.Hello().Ok();
        Assert.Equal(KvError.LimitExceeded("get.ids.count", 5, 4),
            client.Ask(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, new BlockId[5])).Error);
        Assert.Equal(KvError.LimitExceeded("get.deadline", 40_001, 40_000),
            client.Ask(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 40_001, new BlockId[1])).Error);
        foreach (Opcode opcode in new[] { Opcode.Get, Opcode.Prefix, Opcode.Delete, Opcode.Pin, Opcode.Describe })
        {
            KvError error = stranger.Ask(opcode, b =>
            {
                if (opcode == Opcode.Get) GetRequest.Write(b, 0, 0, new BlockId[1]);
                else if (opcode == Opcode.Prefix) PrefixRequest.Write(b, 0, PrefixFlags.None, new BlockId[1]);
                else if (opcode == Opcode.Pin) PinRequest.Write(b, 0, 1, new BlockId[1]);
                else IdsRequest.Write(b, 0, new BlockId[1]);
            }).Error;
            Assert.Equal((ErrorCode.NamespaceUnknown, "ns", "0"), (error.Code, error.Field, error.Value));
        }
    }

    [Fact]
    public async Task Connections_AboveTheLimit_AreToldBusy()
    {
        SiloHost host = await StartAsync(Small with { Limits = new Limits { ConnectionsMax = 2 } });
        RawClient first = Connect(host);
        Connect(host);
        RawClient third = Dial(host.Endpoints.Native!);
        third.Post(Opcode.Hello, new HelloRequest(1, 1, "t", null, WireBounds.Probe).Write);
        Assert.Equal(new KvError(ErrorCode.Busy, "connections", "3", "2"), third.Receive().Error);
        first.Dispose();
        await UntilAsync(() => host.Connections.Count < 2, "the first connection to end");
        Connect(host);
    }

    [Fact]
    public async Task AckSsd_WithoutAnSsdTier_SaysSo_AndKeepsTheBlockInMemory()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 10)], AckLevel.Ssd);
        (PutItemStatus[] statuses, KvError? error) = Blocks.ReadPut(client.Ask(Opcode.Put, body, payload), 1);
        Assert.Equal([PutItemStatus.Stored], statuses);
        Assert.Equal(ErrorCode.Unsupported, error!.Code);
    }

    [Fact]
    public async Task Frames_WithRandomlyChangedBytes_NeverHarmTheSiloOrOthers()
    {
        const int rounds = 400;
        SiloHost host = await StartAsync();
        RawClient other = Connect(host);
        Blocks.Put(other, ("kept", 5000));
        var random = new Random(20_261_120);
        for (int round = 0; round < rounds; round++)
        {
            using RawClient client = RawClient.Open(host.Endpoints.Native!);
            client.Send(Mutate(Stream(client, random), random));
            client.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
            byte[] sink = new byte[65_536];
            try
            {
                while (client.Socket.Receive(sink) > 0)
                {
                }
            }
            catch (System.Net.Sockets.SocketException e)
            {
                Assert.Equal(System.Net.Sockets.SocketError.ConnectionReset, e.SocketErrorCode);
            }

            if (round % 20 == 0) Blocks.AssertRight(other, "kept", 5000);
        }

        await UntilAsync(() => host.Connections.Count == 1, "mutated connections to end");
        Blocks.AssertRight(other, "kept", 5000);
    }

    /// <summary>A few good frames; about half of their changes hit bodies whose CRC is then made right again.</summary>
    private static byte[] Stream(RawClient client, Random random)
    {
        (Action<FrameBuffer> put, byte[] payload) = Blocks.PutRequest(client, [($"r{random.Next(8)}", random.Next(3000)), ("x", 10)]);
        BlockId[] ids = [client.Id("x"), client.Id("r1")];
        byte[][] frames =
        [
            [.. RawClient.Encode(Opcode.Put, 1, b => Spoil(b, put, random), payload.Length), .. payload],
            RawClient.Encode(Opcode.Get, 2, b =>
                Spoil(b, x => GetRequest.Write(x, client.Namespace, 0, ids, [new ByteRange(0, 1), default]), random)),
            RawClient.Encode(Opcode.Describe, 3, b => Spoil(b, x => IdsRequest.Write(x, client.Namespace, ids), random)),
            RawClient.Encode(Opcode.NamespaceOpen, 4, b =>
                Spoil(b, new NamespaceOpenRequest(new NamespaceDescriptor("fuzz", Profiles.Opaque)).Write, random)),
        ];
        return [.. frames.OrderBy(_ => random.Next()).SelectMany(f => f)];
    }

    private static void Spoil(FrameBuffer buffer, Action<FrameBuffer> write, Random random)
    {
        int start = buffer.WrittenCount;
        write(buffer);
        if (random.Next(2) == 0) buffer.Written(start + random.Next(buffer.WrittenCount - start), 1)[0] = (byte)random.Next(256);
    }

    private static byte[] Mutate(byte[] stream, Random random)
    {
        if (random.Next(2) == 0) return stream[..random.Next(1, stream.Length)];
        for (int i = random.Next(4); i > 0; i--) stream[random.Next(stream.Length)] ^= (byte)(1 << random.Next(8));
        return stream;
    }

    private static byte[] Broken(string what)
    {
        byte[] frame = RawClient.Encode(Opcode.Ping, 5, EmptyBody.Write, kind: what == "response" ? FrameKind.Response : null);
        switch (what)
        {
            case "magic": frame[0] = (byte)'X'; break;
            case "crc": frame[31] ^= 1; return frame;
            case "version": frame[4] = 2; break;
            case "kind": frame[5] = 9; break;
            case "body": BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(16), (4 << 20) + 1); break;
            case "payload": BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(24), (1 << 30) + 1); break;
            case "bodyCrc": frame[20] ^= 1; break;
            default: break;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(28), Crc32C.Compute(frame.AsSpan(0, 28)));
        return frame;
    }
}

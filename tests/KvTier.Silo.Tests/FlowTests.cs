using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>Clients that are slow, stop, leave in the middle, or ask for much at once.</summary>
public sealed class FlowTests : SiloTest
{
    private SiloOptions WithSsd =>
        Small with { DataDirectory = Path.Combine(Folder, "data"), SsdBytes = 128 << 20, Limits = new Limits { BlockBytesMax = 1 << 20 } };

    [Fact]
    public async Task Client_ThatLeavesInTheMiddleOfAPut_GivesTheSlotBack()
    {
        SiloHost host = await StartAsync();
        foreach (int sent in new[] { 0, 1, 50_000, 99_999 })
        {
            using RawClient client = RawClient.Open(host.Endpoints.Native!);
            (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 100_000)]);
            client.Send(RawClient.Encode(Opcode.Put, 9, body, payload.Length));
            client.Send(payload.AsSpan(0, sent));
            await UntilAsync(() => host.Engine.Stats.ReservedSlots == 1, "the slot to be reserved");
            client.Dispose();
            await UntilAsync(() => host.Engine.Stats.ReservedSlots == 0 && host.Connections.Count == 0, "the slot to be given back");
        }

        Assert.Equal(0, host.Engine.Stats.HostBlocks);
    }

    [Fact]
    public async Task Client_ThatStopsReading_IsDisconnected_AndItsLeasesEnd()
    {
        // By a clock that stands still while the other client sends and reads: it must not count as stopped because this thread was.
        var time = new Testing.ManualTimeProvider();
        SiloOptions options = Small with { StallTimeoutMs = 200, SocketBufferBytes = 4096 };
        SiloHost host = Keep((await SiloHost.StartAsync(options, null, time, beforeRecovery: null, CancellationToken.None)).Value);
        RawClient client = Connect(host);
        RawClient other = Connect(host);
        Blocks.Put(other, ("big", 1 << 20));
        for (int i = 0; i < 64; i++) client.Post(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, [client.Id("big")]));
        await UntilAsync(() => host.Engine.Stats.LeasedSlots > 0, "the answer to begin");
        await UntilAsync(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(100));
                return host.Connections.Count == 1;
            },
            "the stopped client to be disconnected");
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
        Assert.Equal(1, host.Catalog.Source.ConnectionsStalled);
        Blocks.AssertRight(other, "big", 1 << 20);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Client_ThatStopsInTheMiddleOfAFrame_IsDisconnected_ButAnIdleOneIsNot(bool inPayload)
    {
        SiloHost host = await StartAsync(Small with { StallTimeoutMs = 200 });
        RawClient idle = Connect(host);
        RawClient client = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("a", 1000)]);
        byte[] frame = RawClient.Encode(Opcode.Put, 9, body, payload.Length);
        client.Send(inPayload ? frame : frame.AsSpan(0, 10));
        Assert.True(client.IsClosedBySilo());
        await UntilAsync(() => host.Connections.Count == 1, "the stopped client to be disconnected");
        Assert.Equal(0, host.Engine.Stats.ReservedSlots);
        idle.Ask(Opcode.Ping, EmptyBody.Write).Ok();
    }

    [Fact]
    public async Task Client_ThatNeverSaysHello_IsDisconnected()
    {
        SiloHost host = await StartAsync(Small with { HelloTimeoutMs = 100 });
        Assert.True(Dial(host.Endpoints.Native!).IsClosedBySilo());
    }

    [Fact]
    public async Task Put_IntoFullHostMemory_IsRefusedAfterItsDeadline_AndTheConnectionGoesOn()
    {
        SiloHost host = await StartAsync(Small with { HostBytes = 2 << 20, PutWaitMs = 50 });
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 1 << 20));
        client.Ask(Opcode.Pin, b => PinRequest.Write(b, client.Namespace, 60_000, [client.Id("a")])).Ok();
        (PutItemStatus[] statuses, KvError? error) = Blocks.Put(client, ("b", (1 << 20) + 5), ("c", 1 << 20), ("d", 10));
        Assert.Equal(PutItemStatus.Refused, statuses[0]);
        Assert.Equal((ErrorCode.HostFull, "items[0].length"), (error!.Code, error.Field));
        Blocks.AssertRight(client, "a", 1 << 20);
        Assert.Equal(0, host.Engine.Stats.ReservedSlots);
    }

    [Fact]
    public async Task AckSsd_AnswersWhenDurable_AndPingsGoPast()
    {
        SiloHost host = await StartAsync(WithSsd);
        RawClient client = Connect(host);
        var waiting = new Dictionary<ulong, string>();
        var pings = new HashSet<ulong>();
        for (int i = 0; i < 40; i++)
        {
            (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [($"k{i}", 20_000)], AckLevel.Ssd);
            waiting.Add(client.Post(Opcode.Put, body, payload), $"k{i}");
            pings.Add(client.Post(Opcode.Ping, EmptyBody.Write));
        }

        while (waiting.Count + pings.Count > 0)
        {
            Reply reply = client.Receive();
            if (pings.Remove(reply.Header.RequestId)) continue;
            (PutItemStatus[] statuses, KvError? error) = Blocks.ReadPut(reply, 1);
            Assert.Null(error);
            Assert.Equal(PutItemStatus.Stored, statuses[0]);
            Assert.True(host.Engine.Describe(client.Namespace, client.Id(waiting[reply.Header.RequestId])).Durable);
            waiting.Remove(reply.Header.RequestId);
        }
    }

    [Fact]
    public async Task Gets_OfBlocksOnTheSsd_AreAnsweredOutOfOrder_WithOneRequestInFlight_Or_Many()
    {
        foreach (int inflight in new[] { 1, 256 })
        {
            SiloOptions options = WithSsd with { DataDirectory = Path.Combine(Folder, $"data{inflight}"), UnixSocket = null };
            SiloHost host = await StartAsync(
                options with { HostBytes = 1 << 20, Limits = options.Limits with { InflightRequestsMax = inflight } });
            RawClient client = Connect(host);
            const int count = 100;
            for (int i = 0; i < count; i++) Assert.Equal([PutItemStatus.Stored], Blocks.Put(client, ($"k{i}", 60_000)).Statuses);
            Assert.True(host.Engine.Stats.SsdBlocks > 0 && host.Engine.Stats.HostBlocks < count);
            var asked = new Dictionary<ulong, string>();
            Task reading = Task.Run(() =>
            {
                for (int i = 0; i < count; i++)
                {
                    Reply reply = client.Receive();
                    (GetItem item, byte[] bytes) = Blocks.ReadGet(reply, 1).Single();
                    string key;
                    lock (asked) key = asked[reply.Header.RequestId];
                    Assert.True(item.Status.IsHit(), $"{key}: {item.Status}");
                    Assert.True(Testing.BlockBytes.Verify(client.Id(key), bytes));
                }
            });
            for (int i = 0; i < count; i++)
            {
                lock (asked) asked.Add(client.Post(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, [client.Id($"k{i}")])),
                    $"k{i}");
            }

            await reading;
            Assert.True(host.Engine.Stats.SsdHits > 0);
        }
    }

    [Fact]
    public async Task Get_OfMoreThanHostMemoryHolds_IsRefusedAtOnce()
    {
        SiloHost host = await StartAsync(WithSsd with { HostBytes = 1 << 20 });
        RawClient client = Connect(host);
        string[] keys = [.. Enumerable.Range(0, 40).Select(i => $"k{i}")];
        foreach (string key in keys) Blocks.Put(client, (key, 60_000));
        KvError error = client.Ask(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, [.. keys.Select(client.Id)])).Error;
        Assert.Equal((ErrorCode.LimitExceeded, "get.bytes", "2400000"), (error.Code, error.Field, error.Value));
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task Stop_ThenStart_OnTheSameFolder_KeepsNamespacesAndBlocks()
    {
        var ns = new NamespaceDescriptor("acme", Profiles.Opaque with { Name = "mine" });
        SiloHost first = await StartAsync(WithSsd);
        RawClient client = Connect(first, ns);
        for (int i = 0; i < 30; i++) Blocks.Put(client, ($"k{i}", 10_000 + i));
        Assert.Equal("dataDirectory", (await SiloHost.StartAsync(WithSsd with { UnixSocket = null })).Error!.Field);
        Assert.Null(await first.StopAsync());
        Assert.True(client.IsClosedBySilo());
        SiloHost second = await StartAsync(WithSsd);
        Assert.True(second.Recovery!.Clean);
        Assert.Contains(second.Engine.Namespaces, known => known.Name == "acme/mine");
        RawClient again = Connect(second, ns);
        for (int i = 0; i < 30; i++) Blocks.AssertRight(again, $"k{i}", 10_000 + i);
    }

    [Fact]
    public async Task Draining_RefusesNewWork_AndNewConnections()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        RawClient busy = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(busy, [("a", 1000)]);
        busy.Send(RawClient.Encode(Opcode.Put, 9, body, payload.Length));
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 1, "the put to begin");
        Task<KvError?> stopping = host.StopAsync();
        await UntilAsync(() => host.Connections.IsDraining, "draining");
        Assert.Equal(ErrorCode.ShuttingDown,
            client.Ask(Opcode.Get, b => GetRequest.Write(b, client.Namespace, 0, [client.Id("a")])).Error.Code);
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
        busy.Send(payload);
        Blocks.ReadPut(busy.Receive(), 1);
        Assert.Null(await stopping);
    }

    [Fact]
    public async Task Drain_WithAClientThatNeverFinishes_EndsAtItsDeadline()
    {
        SiloHost host = await StartAsync(Small with { DrainSeconds = 1 });
        RawClient busy = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(busy, [("a", 1000)]);
        busy.Send(RawClient.Encode(Opcode.Put, 9, body, payload.Length));
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 1, "the put to begin");
        KvError? error = await host.StopAsync();
        Assert.Equal(ErrorCode.DeadlineExceeded, error!.Code);
        Assert.Equal(SiloState.Stopped, host.State);
    }
}

using System.Text.Json;
using KvTier.Kernels;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;

namespace KvTier.Silo.Tests;

/// <summary>Sequences and recall as frames to a real silo.</summary>
public sealed class RecallRequestTests : SiloTest
{
    [Theory]
    [InlineData(Dtype.Float16)]
    [InlineData(Dtype.BFloat16)]
    public async Task Recall_WithShortQueries_AnswersAsWithFp32(Dtype dtype)
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host, SequenceCalls.Namespace);
        Assert.Equal(48, SequenceCalls.Store(client, "a", 3).Tokens);
        byte[] whole = SequenceCalls.Bytes(SequenceCalls.Queries());
        byte[] halves = new byte[whole.Length / 2];
        RowConvert.FromSingle(dtype, SequenceCalls.Queries(), halves);
        RecallHead head = SequenceCalls.Head(client, RecallMode.Attend);
        Reply expected = client.Ask(Opcode.Recall, SequenceCalls.Body(head, whole), whole);
        Reply got = client.Ask(Opcode.Recall, SequenceCalls.Body(head with { Dtype = dtype }, halves), halves);
        Assert.Null(RecallResponse.TryRead(got.Ok(), SequenceCalls.Shape(RecallMode.Attend), got.Payload.Length,
            out RecallItemsReader items));
        Assert.True(items.TryReadNext(out RecallItemView item));
        Assert.Equal(Crc32C.Compute(got.Payload), item.Check);
        Assert.Equal(expected.Payload, got.Payload);
    }

    [Fact]
    public async Task Recall_OfWhatCanNotBe_IsRefusedByNameAndTheConnectionGoesOn()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 3);
        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        float[] infinite = SequenceCalls.Queries();
        infinite[5] = float.PositiveInfinity;
        RecallHead head = SequenceCalls.Head(client, RecallMode.Ids);
        Selector none = SequenceCalls.Whole with { Budget = RecallBudget.OfTokens(0) };
        Selector much = SequenceCalls.Whole with { Budget = RecallBudget.OfTokens(49) };

        AssertRefused("recall.queryCheck", ErrorCode.Corrupt, SequenceCalls.Body(head with { QueryCheck = 1 }, queries), queries);
        AssertRefused("recall.headDim", ErrorCode.InvalidArgument,
            SequenceCalls.Body(head with { HeadDim = 32 }, queries[..512]), queries[..512]);
        AssertRefused("recall.payloadLength", ErrorCode.InvalidArgument, SequenceCalls.Body(head, queries), queries[..1020]);
        AssertRefused("ns", ErrorCode.NamespaceUnknown, SequenceCalls.Body(head with { Namespace = 99 }, queries), queries);
        AssertRefused("queryHeads", ErrorCode.InvalidArgument,
            SequenceCalls.Body(head with { QueryHeads = 1, Window = 4 }, queries), queries);
        AssertRefused("items[0].queries[5]", ErrorCode.InvalidArgument,
            SequenceCalls.Body(head, SequenceCalls.Bytes(infinite)), SequenceCalls.Bytes(infinite));
        AssertRefused("items[0].sequence", ErrorCode.InvalidArgument, SequenceCalls.Body(head, queries, "nobody"), queries);
        AssertRefused("items[0].layer", ErrorCode.InvalidArgument, SequenceCalls.Body(head, queries, layer: 1), queries);
        AssertRefused("selector.budget", ErrorCode.InvalidArgument, SequenceCalls.Body(head with { Selector = none }, queries), queries);
        AssertRefused("selector.budget", ErrorCode.InvalidArgument, SequenceCalls.Body(head with { Selector = much }, queries), queries);
        client.Ask(Opcode.Recall, SequenceCalls.Body(head, queries), queries).Ok();
        Selector unnamed = SequenceCalls.Whole with { Budget = RecallBudget.Default };
        client.Ask(Opcode.Recall, SequenceCalls.Body(head with { Selector = unnamed }, queries), queries).Ok();

        void AssertRefused(string field, ErrorCode code, Action<FrameBuffer> body, byte[] payload)
        {
            KvError error = client.Ask(Opcode.Recall, body, payload).Error;
            Assert.Equal((code, field), (error.Code, error.Field));
            Assert.NotEmpty(error.Limit);
        }
    }

    [Fact]
    public async Task LocalRecall_OverTcp_IsUnsupported()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host, SequenceCalls.Namespace);
        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        Action<FrameBuffer> body = SequenceCalls.Body(SequenceCalls.Head(client, RecallMode.Ids), queries);
        Assert.Equal(ErrorCode.Unsupported, client.Ask(Opcode.LocalRecall, body, queries).Error.Code);
    }

    [Fact]
    public async Task LocalRecall_WaitingForRoom_LetsOtherRequestsThrough()
    {
        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 70);
        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        Action<FrameBuffer> gather = SequenceCalls.Body(SequenceCalls.Head(client, RecallMode.Gather), queries);

        // Slots without a block may take a quarter of the 8 MiB; one gather of 1.1 MiB leaves no room for another.
        RecallSlot first = SlotOf(client.Ask(Opcode.LocalRecall, gather, queries));
        ulong waiting = client.Post(Opcode.LocalRecall, gather, queries);
        client.Post(Opcode.Ping, EmptyBody.Write);
        Reply ping = client.Receive();
        Assert.Equal(Opcode.Ping, ping.Header.Opcode);
        client.Post(Opcode.LocalRelease, buffer => NumbersNotice.Write(buffer, [first.Lease]));
        Reply second = client.Receive();
        Assert.Equal(waiting, second.Header.RequestId);
        RecallSlot slot = SlotOf(second);
        await UntilAsync(() => host.Engine.Stats is { ScratchSlots: 1, LeasedSlots: 1 }, "the second slot to be the only lease");
        client.Post(Opcode.LocalRelease, buffer => NumbersNotice.Write(buffer, [slot.Lease]));
    }

    [Fact]
    public async Task LocalRecall_OfAClientThatIsKilled_LeavesNoLease()
    {
        SiloHost host = await StartAsync();
        using (RawClient setup = RawClient.Open(host.Endpoints.Native!, SequenceCalls.Namespace)) SequenceCalls.Store(setup, "a", 30);
        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        for (int i = 0; i < 20; i++)
        {
            using RawClient client = RawClient.Open(
                new System.Net.Sockets.UnixDomainSocketEndPoint(host.Endpoints.UnixSocket!), SequenceCalls.Namespace);
            Action<FrameBuffer> body = SequenceCalls.Body(SequenceCalls.Head(client, RecallMode.Gather), queries);
            for (int pending = 0; pending <= i % 4; pending++) client.Post(Opcode.LocalRecall, body, queries);
        }

        await UntilAsync(() => host.Connections.Count == 0, "the killed clients' connections to end");
        Assert.Equal((0L, 0L), (host.Engine.Stats.LeasedSlots, host.Engine.Stats.ScratchSlots));
    }

    [Fact]
    public async Task LocalRecall_WaitingForRoomThatItsKilledClientHolds_EndsWithTheConnection()
    {
        SiloHost host = await StartAsync();
        using (RawClient client = RawClient.Open(
            new System.Net.Sockets.UnixDomainSocketEndPoint(host.Endpoints.UnixSocket!), SequenceCalls.Namespace))
        {
            SequenceCalls.Store(client, "a", 70);
            byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());

            // Both last longer than the guard of this test waits.
            RecallHead head = SequenceCalls.Head(client, RecallMode.Gather) with { LeaseMs = 60_000, DeadlineMs = 120_000 };
            SlotOf(client.Ask(Opcode.LocalRecall, SequenceCalls.Body(head, queries), queries));
            client.Post(Opcode.LocalRecall, SequenceCalls.Body(head, queries), queries);
            client.Ask(Opcode.Ping, EmptyBody.Write);
        }

        await UntilAsync(() => host.Connections.Count == 0, "the killed client's connection to end");
        Assert.Equal((0L, 0L), (host.Engine.Stats.LeasedSlots, host.Engine.Stats.ScratchSlots));
    }

    [Fact]
    public async Task Recall_CutAnywhere_LeavesNothingBehind()
    {
        SiloHost host = await StartAsync();
        ushort ns;
        using (RawClient setup = RawClient.Open(host.Endpoints.Native!, SequenceCalls.Namespace))
        {
            SequenceCalls.Store(setup, "a", 3);
            ns = setup.Namespace;
        }

        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        byte[]? frame = null;
        for (int cut = 1; frame is null || cut < frame.Length; cut += 23)
        {
            using RawClient client = RawClient.Open(host.Endpoints.Native!, SequenceCalls.Namespace);
            Assert.Equal(ns, client.Namespace);
            RecallHead head = SequenceCalls.Head(client, RecallMode.Attend);
            frame ??= [.. RawClient.Encode(Opcode.Recall, 99, SequenceCalls.Body(head, queries), queries.Length), .. queries];
            client.Send(frame.AsSpan(0, cut));
        }

        await UntilAsync(() => host.Connections.Count == 0, "the cut connections to end");
        Assert.Equal(0, host.Connections.QueryBytes);
        RawClient after = Connect(host, SequenceCalls.Namespace);
        after.Ask(Opcode.Recall, SequenceCalls.Body(SequenceCalls.Head(after, RecallMode.Attend), queries), queries).Ok();
    }

    [Fact]
    public async Task Recall_WithoutAHello_IsUnauthorized()
    {
        SiloHost host = await StartAsync(Small with { Token = "secret" });
        RawClient client = Dial(host.Endpoints.Native!);
        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        Action<FrameBuffer> body = SequenceCalls.Body(SequenceCalls.Head(client, RecallMode.Ids), queries);
        Assert.Equal(ErrorCode.Unauthorized, client.Ask(Opcode.Recall, body, queries).Error.Code);
        Assert.True(client.IsClosedBySilo());
    }

    [Fact]
    public async Task Stat_AfterARecall_ShowsSequencesAndWhatWasRead()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host, SequenceCalls.Namespace);
        SequenceCalls.Store(client, "a", 3);
        byte[] queries = SequenceCalls.Bytes(SequenceCalls.Queries());
        client.Ask(Opcode.Recall, SequenceCalls.Body(SequenceCalls.Head(client, RecallMode.Attend), queries), queries).Ok();
        using JsonDocument stat = JsonDocument.Parse(StatResponse.Read(client.Ask(Opcode.Stat, EmptyBody.Write).Ok()).Value);
        JsonElement recall = stat.RootElement.GetProperty("recall");
        Assert.Equal(1, recall.GetProperty("sequences").GetInt64());
        Assert.Equal(1, recall.GetProperty("recalls").GetInt64());
        Assert.Equal(48 * 2 * 2 * 64 * 4, recall.GetProperty("kvBytes").GetInt64());
        Assert.True(recall.GetProperty("digestBytes").GetInt64() > 0);
        JsonElement own = Assert.Single(stat.RootElement.GetProperty("namespaces").EnumerateArray());
        Assert.Equal("acme/tiny", own.GetProperty("name").GetString());
    }

    private static RecallSlot SlotOf(Reply reply)
    {
        Assert.Null(LocalRecallResponse.TryRead(
            reply.Ok(), SequenceCalls.Shape(RecallMode.Gather), long.MaxValue, out RecallSlot slot, out _));
        Assert.NotEqual(0UL, slot.Lease);
        return slot;
    }
}

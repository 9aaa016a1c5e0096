using System.Diagnostics;
using System.Net.Sockets;
using System.Text;
using KvTier.Memory;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;
using KvTier.Testing;

namespace KvTier.Silo.Tests;

/// <summary>The local path, spoken by hand over a Unix socket and a mapping of the arena.</summary>
public sealed class LocalPathTests : SiloTest
{
    [Fact]
    public async Task ReserveWriteCommit_ThenLocalGet_MovesNoPayloadOverTheSocket()
    {
        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host);
        using SharedMapping arena = Map(client);
        ReservedItem slot = Reserve(client, ("a", 100_000)).Items.Single();
        Assert.Equal(ReserveStatus.Reserved, slot.Status);
        byte[] bytes = Blocks.Bytes(client.Id("a"), 100_000);
        bytes.CopyTo(arena.Slice(slot.Offset, bytes.Length).Span);
        Assert.Equal(GetStatus.NotSealed, Blocks.Get(client, "a").Single().Item.Status);
        Assert.Equal(PutItemStatus.Stored, Commit(client, slot.Reservation, Blocks.Check(client.Id("a"), bytes)).Status);

        (long deadline, LocalGetItem[] items) = Get(client, 0, "a", "missing");
        Assert.True(deadline > Stopwatch.GetTimestamp());
        Assert.Equal((GetStatus.HostHit, GetStatus.NeverStored), (items[0].Status, items[1].Status));
        Assert.True(BlockBytes.Verify(client.Id("a"), arena.Slice(items[0].Offset, items[0].Length).Span));
        Assert.Equal(Blocks.Check(client.Id("a"), bytes), items[0].Check);
        Assert.Equal(1, host.Engine.Stats.LeasedSlots);
        client.Post(Opcode.LocalRelease, b => NumbersNotice.Write(b, [items[0].Lease, 12345]));
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
        Assert.Equal(ReserveStatus.Present, Reserve(client, ("a", 100_000)).Items.Single().Status);
        Blocks.AssertRight(Connect(host), "a", 100_000);
    }

    [Fact]
    public async Task Commit_OfBytesThatAreNotThoseOfTheCheck_IsRefused()
    {
        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host);
        ReservedItem slot = Reserve(client, ("a", 1000)).Items.Single();
        (PutItemStatus status, KvError? error) = Commit(client, slot.Reservation, 42);
        Assert.Equal((PutItemStatus.Refused, ErrorCode.Corrupt), (status, error!.Code));
        Assert.Equal(0, host.Engine.Stats.ReservedSlots);
        Assert.Equal(GetStatus.NeverStored, Blocks.Get(client, "a").Single().Item.Status);
    }

    [Fact]
    public async Task ReadLease_ThatRanOut_IsReleasedByTheSweep()
    {
        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host);
        Blocks.Put(client, ("a", 1000));
        Assert.Equal(GetStatus.HostHit, Get(client, 1, "a").Items.Single().Status);

        // It may have run out already. The sweep first gives back, then counts.
        await UntilAsync(() => host.Catalog.Source.LeasesExpired == 1, "the lease to run out");
        Assert.Equal(0, host.Engine.Stats.LeasedSlots);
    }

    [Fact]
    public async Task Reservation_ThatRanOut_IsRevoked_ButItsSlotIsNotUsedAgainBeforeTheClientIsGone()
    {
        SiloHost host = await StartAsync();
        RawClient writer = ConnectUnix(host);
        RawClient other = ConnectUnix(host);
        ReservedItem slot = Reserve(writer, 1, ("a", 1000)).Items.Single();
        await UntilAsync(() => host.Catalog.Source.ReservationsRevoked == 1, "the reservation to run out");
        (PutItemStatus status, KvError? error) = Commit(writer, slot.Reservation, 42);
        Assert.Equal((PutItemStatus.Refused, ErrorCode.LeaseExpired), (status, error!.Code));
        Assert.Equal(1, host.Engine.Stats.ReservedSlots);
        for (int i = 0; i < 50; i++)
        {
            ReservedItem next = Reserve(other, ($"o{i}", 1000)).Items.Single();
            Assert.False(next.Offset < slot.Offset + slot.Capacity && slot.Offset < next.Offset + next.Capacity,
                "a slot that may still be written was handed out");
        }

        writer.Dispose();
        other.Dispose();
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 0, "the slots to be given back");
    }

    [Fact]
    public async Task Writer_ThatStopsWithSlots_IsNotCutOffBeforeItEnds()
    {
        SiloHost host = await StartAsync(Small with { StallTimeoutMs = 100 });
        RawClient writer = ConnectUnix(host);
        Reserve(writer, 1, ("a", 1000));
        writer.Send("KVT1"u8);
        await UntilAsync(() => host.Catalog.Source.ConnectionsStalled == 1, "the stall to be seen");
        Assert.Equal((1, 1), (host.Connections.Count, (int)host.Engine.Stats.ReservedSlots));
        writer.Dispose();
        await UntilAsync(() => host.Engine.Stats.ReservedSlots == 0 && host.Connections.Count == 0, "the slot to be given back");
    }

    [Fact]
    public async Task Client_ThatLeaves_LosesItsLeasesAndReservations()
    {
        SiloHost host = await StartAsync();
        RawClient client = ConnectUnix(host);
        Blocks.Put(client, ("a", 1000));
        Get(client, 0, "a");
        ReservedItem aborted = Reserve(client, ("b", 1000)).Items.Single();
        Reserve(client, ("c", 1000));
        client.Post(Opcode.LocalAbort, b => NumbersNotice.Write(b, [aborted.Reservation]));
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
        Assert.Equal((1, 1), ((int)host.Engine.Stats.LeasedSlots, (int)host.Engine.Stats.ReservedSlots));
        client.Dispose();
        await UntilAsync(() => host.Engine.Stats is { LeasedSlots: 0, ReservedSlots: 0 }, "what the client held to be given back");
    }

    [Fact]
    public async Task LeasesAndReservations_AboveTheLimit_AreRefusedAsBusy()
    {
        SiloHost host = await StartAsync(Small with { Limits = new Limits { LeasesMax = 2, ReservationsMax = 2, LeaseMsMax = 5000 } });
        RawClient client = ConnectUnix(host);
        Blocks.Put(client, ("a", 10), ("b", 10), ("c", 10));
        Assert.Equal(new KvError(ErrorCode.Busy, "leases", "3", "2"),
            client.Ask(Opcode.LocalGet, b =>
            LocalGetRequest.Write(b, client.Namespace, 0, 0, [client.Id("a"), client.Id("b"), client.Id("c")])).Error);
        (ReservedItem[] items, KvError? error) = Reserve(client, ("x", 10), ("y", 10), ("z", 10));
        Assert.Equal([ReserveStatus.Reserved, ReserveStatus.Reserved, ReserveStatus.Refused], items.Select(i => i.Status));
        Assert.Equal(new KvError(ErrorCode.Busy, "reservations", "3", "2"), error);
        Assert.Equal(KvError.LimitExceeded("localGet.leaseMs", 5001, 5000),
            client.Ask(Opcode.LocalGet, b => LocalGetRequest.Write(b, client.Namespace, 0, 5001, [client.Id("a")])).Error);
    }

    [Fact]
    public async Task Reserve_ThatMustWait_GetsTheRoomThatTheSameConnectionReleases()
    {
        SiloHost host = await StartAsync(Small with { HostBytes = 1 << 20 });
        RawClient client = ConnectUnix(host);
        Blocks.Put(client, ("a", 700_000));
        (_, LocalGetItem[] items) = Get(client, 0, "a");
        ulong id = PostReserve(client, 0, ("b", 700_000));
        client.Ask(Opcode.Ping, EmptyBody.Write).Ok();
        client.Post(Opcode.LocalRelease, b => NumbersNotice.Write(b, [items[0].Lease]));
        Reply reply = client.Receive();
        Assert.Equal(id, reply.Header.RequestId);
        Assert.Equal(ReserveStatus.Reserved, ReadReserve(reply, 1).Items[0].Status);
    }

    [Fact]
    public async Task LocalPath_OverTcp_OrSwitchedOff_OrUnshared_IsUnsupported()
    {
        SiloHost on = await StartAsync();
        Assert.Equal((ErrorCode.Unsupported, "localPath"), Attach(Connect(on)));
        SiloHost off = await StartAsync(Small with { LocalPath = false, UnixSocket = Path.Combine(Folder, "off") });
        Assert.Equal((ErrorCode.Unsupported, "localPath"), Attach(ConnectUnix(off)));
        SiloHost unshared = await StartAsync(Small with { SharedMemory = false, UnixSocket = Path.Combine(Folder, "unshared") });
        Assert.Equal((ErrorCode.Unsupported, "localPath"), Attach(ConnectUnix(unshared)));
    }

    [Fact]
    public async Task LocalPath_ForAnotherUser_IsUnauthorized_ButBytesAreNot()
    {
        Assert.True(Environment.UserName == "root", "this test runs as root, to become another user in a child process");
        SiloHost host = await StartAsync();
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(Folder, (UnixFileMode)0b111_101_101);
            File.SetUnixFileMode(host.Endpoints.UnixSocket!, (UnixFileMode)0b110_110_110);
        }

        string hello = Convert.ToHexString(RawClient.Encode(Opcode.Hello, 1, new HelloRequest(1, 1, "t", null, WireBounds.Probe).Write));
        string attach = Convert.ToHexString(RawClient.Encode(Opcode.LocalAttach, 2, EmptyBody.Write));
        string script = "import os,socket;os.setuid(65534);s=socket.socket(socket.AF_UNIX);s.settimeout(60);" +
            $"s.connect('{host.Endpoints.UnixSocket}');s.sendall(bytes.fromhex('{hello}{attach}'));s.shutdown(1);" +
            "d=b''.join(iter(lambda:s.recv(65536),b''));print(d.hex())";
        using Process python = Process.Start(
            new ProcessStartInfo("python3", ["-c", script]) { UseShellExecute = false, RedirectStandardOutput = true })!;
        byte[] answers = Convert.FromHexString((await python.StandardOutput.ReadToEndAsync()).Trim());
        await python.WaitForExitAsync();
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(answers, new Limits(), out FrameHeader first));
        Assert.Equal(FrameKind.Response, first.Kind);
        byte[] rest = answers[(FrameHeader.SizeBytes + first.BodyLength)..];
        Assert.Null(HelloResponse.Read(answers.AsSpan(FrameHeader.SizeBytes, first.BodyLength)).Value.Arena);
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(rest, new Limits(), out FrameHeader second));
        Assert.Equal(new KvError(ErrorCode.Unauthorized, "localPath", "user 65534", "user 0, whose silo it is"),
            ErrorBody.Read(rest.AsSpan(FrameHeader.SizeBytes, second.BodyLength)));
    }

    private static (ErrorCode Code, string Field) Attach(RawClient client)
    {
        KvError error = client.Ask(Opcode.LocalAttach, EmptyBody.Write).Error;
        return (error.Code, error.Field);
    }

    private static SharedMapping Map(RawClient client) =>
        SharedMapping.Open(LocalAttachResponse.Read(client.Ask(Opcode.LocalAttach, EmptyBody.Write).Ok()).Value).Value;

    private static (ReservedItem[] Items, KvError? Error) Reserve(RawClient client, params (string Key, int Length)[] blocks) =>
        Reserve(client, 0, blocks);

    private static (ReservedItem[] Items, KvError? Error) Reserve(RawClient client, int leaseMs, params (string Key, int Length)[] blocks)
    {
        PostReserve(client, leaseMs, blocks);
        return ReadReserve(client.Receive(), blocks.Length);
    }

    private static ulong PostReserve(RawClient client, int leaseMs, params (string Key, int Length)[] blocks) =>
        client.Post(Opcode.LocalReserve, b =>
    {
        LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(b, client.Namespace, PutFlags.None, 0, 0, leaseMs,
            blocks.Length);
        foreach ((string key, int length) in blocks) writer.Add(Encoding.UTF8.GetBytes(key), length, 0);
    });

    private static (ReservedItem[] Items, KvError? Error) ReadReserve(Reply reply, int count)
    {
        Assert.Null(LocalReserveResponseReader.TryRead(reply.Ok(), count, long.MaxValue, out LocalReserveResponseReader reader));
        var items = new List<ReservedItem>();
        while (reader.TryReadNext(out ReservedItem item)) items.Add(item);
        return ([.. items], reader.Error);
    }

    private static (PutItemStatus Status, KvError? Error) Commit(RawClient client, ulong reservation, uint check)
    {
        (PutItemStatus[] statuses, KvError? error) = Blocks.ReadPut(
            client.Ask(Opcode.LocalCommit, b =>
                LocalCommitRequestWriter.Begin(b, AckLevel.Memory, 0, 1).Add(new CommitItem(reservation, check))), 1);
        return (statuses[0], error);
    }

    private static (long DeadlineNs, LocalGetItem[] Items) Get(RawClient client, int leaseMs, params string[] keys)
    {
        Reply reply = client.Ask(Opcode.LocalGet, b => LocalGetRequest.Write(b, client.Namespace, 0, leaseMs, [.. keys.Select(client.Id)]));
        Assert.Null(LocalGetResponseReader.TryRead(reply.Ok(), keys.Length, long.MaxValue, new Limits(),
            out LocalGetResponseReader reader));
        var items = new List<LocalGetItem>();
        while (reader.TryReadNext(out LocalGetItem item)) items.Add(item);
        return (reader.LeaseDeadlineNs, [.. items]);
    }
}

using System.Text;
using System.Text.Json;
using KvTier.Protocol;
using KvTier.Silo.Tests.Support;
using KvTier.Storage;
using KvTier.Testing;

namespace KvTier.Silo.Tests;

public sealed class NativeRequestTests : SiloTest
{
    [Fact]
    public async Task Hello_OverTcp_NamesVersionAndLimitsAndNoArena()
    {
        SiloHost host = await StartAsync();
        HelloResponse hello = HelloResponse.Read(Dial(host.Endpoints.Native!).Hello().Ok()).Value;
        Assert.Equal(1, hello.Version);
        Assert.Equal("silo", hello.Silo);
        Assert.Null(hello.Arena);
        Assert.Equal(host.Options.Limits, hello.Limits);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(511)]
    [InlineData(16 << 10)]
    [InlineData((16 << 10) + 1)]
    [InlineData(64 << 10)]
    [InlineData(1 << 20)]
    [InlineData((3 << 20) + 7)]
    public async Task PutThenGet_OfAnyLength_GivesTheBytesBack(int length)
    {
        SiloHost host = await StartAsync();
        RawClient tcp = Connect(host);
        Assert.Equal([PutItemStatus.Stored], Blocks.Put(tcp, ("a", length)).Statuses);
        Assert.Equal([PutItemStatus.Present], Blocks.Put(tcp, ("a", length)).Statuses);
        Blocks.AssertRight(tcp, "a", length);
        Blocks.AssertRight(ConnectUnix(host), "a", length);
    }

    [Fact]
    public async Task PutThenGet_OfABatchOfMixedLengths_KeepsOrder()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (string, int)[] blocks = [.. Enumerable.Range(0, 64).Select(i => ($"k{i}", (i * 1777) % 70_000))];
        Assert.All(Blocks.Put(client, blocks).Statuses, status => Assert.Equal(PutItemStatus.Stored, status));
        (GetItem Item, byte[] Bytes)[] got = Blocks.Get(client, [.. blocks.Select(b => b.Item1), "missing"]);
        for (int i = 0; i < blocks.Length; i++) Assert.True(BlockBytes.Verify(client.Id(blocks[i].Item1), got[i].Bytes)
            && got[i].Bytes.Length == blocks[i].Item2);
        Assert.Equal(GetStatus.NeverStored, got[^1].Item.Status);
    }

    [Fact]
    public async Task Get_OfRanges_SendsThemWithTheirOwnCheck()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 100_000));
        BlockId id = client.Id("a");
        byte[] whole = Blocks.Bytes(id, 100_000);
        foreach ((int offset, int length) in new[] { (0, 1), (99_999, 1), (512, 4096), (70_000, 0), (100_000, 0) })
        {
            (GetItem item, byte[] bytes) = Blocks.Get(client, [new ByteRange(offset, length)], "a").Single();
            Assert.Equal(whole[offset..(length == 0 ? 100_000 : offset + length)], bytes);
            Assert.Equal(Blocks.Check(id, bytes, offset), item.Check);
            Assert.Equal(100_000, item.BlockLength);
        }
    }

    [Fact]
    public async Task PrefixTouchPinUnpinDescribePrefetchDelete_OnIds_SayWhatIsHere()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 10), ("b", 20));
        BlockId[] ids = [client.Id("a"), client.Id("b"), client.Id("c")];
        Assert.Null(PrefixResponse.TryRead(
            client.Ask(Opcode.Prefix, b => PrefixRequest.Write(b, client.Namespace, PrefixFlags.Touch, ids)).Ok(), 3,
            out PrefixResponse prefix));
        Assert.Equal([TierSet.Host, TierSet.Host], prefix.Tiers.ToArray());
        ItemStatus[] here = [ItemStatus.Done, ItemStatus.Done, ItemStatus.NotHere];
        Assert.Equal(here, Statuses(client, Opcode.Touch, ids));
        Assert.Equal(here, Statuses(client, client.Ask(Opcode.Pin, b => PinRequest.Write(b, client.Namespace, 60_000, ids))));
        DescribeItem[] items = DescribeResponse.Read(client.Ask(Opcode.Describe, b => IdsRequest.Write(b, client.Namespace, ids)).Ok(), 3,
            new Limits()).Value;
        Assert.Equal(20, items[1].Length);
        Assert.True(items[0].PinnedUntilUnixMs > 0);
        Assert.Equal(MissReason.NeverStored, items[2].Reason);
        Assert.Equal(here, Statuses(client, Opcode.Unpin, ids));
        Assert.Equal(here, Statuses(client, Opcode.Prefetch, ids));
        Assert.Equal(here, Statuses(client, Opcode.Delete, ids));
        Assert.Equal(GetStatus.Deleted, Blocks.Get(client, "a").Single().Item.Status);
    }

    [Fact]
    public async Task Stat_AfterPuts_IsJsonWithFiguresOptionsAndLimitsButNoSecrets()
    {
        SiloHost host = await StartAsync(Small with { Token = "s3cret" });
        RawClient client = Dial(host.Endpoints.Native!);
        client.Hello("s3cret").Ok();
        client.OpenNamespace(WireBounds.ProbeNamespace);
        Blocks.Put(client, ("a", 10));
        string json = StatResponse.Read(client.Ask(Opcode.Stat, EmptyBody.Write).Ok()).Value;
        JsonElement stat = JsonDocument.Parse(json).RootElement;
        Assert.Equal(1, stat.GetProperty("engine").GetProperty("hostBlocks").GetInt64());
        Assert.Equal(512, stat.GetProperty("limits").GetProperty("keyBytesMax").GetInt32());
        Assert.Equal("8MiB", stat.GetProperty("options").GetProperty("hostBytes").GetString());
        Assert.Equal("default/opaque", stat.GetProperty("namespaces")[0].GetProperty("name").GetString());
        Assert.Equal("ready", stat.GetProperty("state").GetString());
        Assert.DoesNotContain("s3cret", json);
    }

    [Fact]
    public async Task NamespaceOpen_OfTheSilosOwn_IsRefusedAndNotListed()
    {
        var own = new NamespaceDescriptor("_own", Profiles.Opaque);
        string data = Path.Combine(Folder, "data");
        using (DataDirectory directory = DataDirectory.Open(data).Value) Assert.Null(directory.Namespaces.Save([own]));
        SiloHost host = await StartAsync(
            Small with { DataDirectory = data, SsdBytes = 128 << 20, Limits = new Limits { BlockBytesMax = 1 << 20 } });
        RawClient client = Connect(host);
        KvError error = client.TryOpenNamespace(own).Error;
        Assert.Equal((ErrorCode.InvalidArgument, "tenant", "_own"), (error.Code, error.Field, error.Value));
        Assert.Equal([WireBounds.ProbeNamespace.Id], NamespaceListResponse.Read(
            client.Ask(Opcode.NamespaceList, EmptyBody.Write).Ok(), new Limits()).Value.Entries.Select(entry => entry.Fingerprint));
        Assert.DoesNotContain("_own", StatResponse.Read(client.Ask(Opcode.Stat, EmptyBody.Write).Ok()).Value);
        Result<SiloHost> refused = await SiloHost.StartAsync(Small with { Namespaces = [own], UnixSocket = null });
        Assert.Equal("tenant", refused.Error?.Field);
    }

    [Fact]
    public async Task NamespaceList_AfterOpening_ListsFingerprintsAndBlocks()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 1), ("b", 1));
        NamespaceListEntry entry = NamespaceListResponse.Read(client.Ask(Opcode.NamespaceList, EmptyBody.Write).Ok(),
            new Limits()).Value.Entries.Single();
        Assert.Equal(WireBounds.ProbeNamespace.Id, entry.Fingerprint);
        Assert.Equal(2, entry.Blocks);
    }

    [Fact]
    public async Task Requests_SentAsOneStreamOfBytes_AreAnsweredInOrder()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        Blocks.Put(client, ("a", 5000));
        byte[] stream = [.. Enumerable.Range(100, 500).SelectMany(i => i % 2 == 0
            ? RawClient.Encode(Opcode.Ping, (ulong)i, EmptyBody.Write)
            : RawClient.Encode(Opcode.Get, (ulong)i, b => GetRequest.Write(b, client.Namespace, 0, [client.Id("a")])))];
        Task sending = Task.Run(() => client.Send(stream));
        for (int i = 100; i < 600; i++)
        {
            Reply reply = client.Receive();
            Assert.Equal((ulong)i, reply.Header.RequestId);
            Assert.Equal(i % 2 == 0 ? 0 : 5000, reply.Payload.Length);
        }

        await sending;
    }

    [Fact]
    public async Task Put_SplitAtEveryByte_IsStored()
    {
        SiloHost host = await StartAsync();
        RawClient client = Connect(host);
        (Action<FrameBuffer> body, byte[] payload) = Blocks.PutRequest(client, [("k", 40)]);
        byte[] frame = [.. RawClient.Encode(Opcode.Put, 7, body, payload.Length), .. payload];
        for (int cut = 1; cut < frame.Length; cut++)
        {
            client.Send(frame.AsSpan(0, cut));
            client.Send(frame.AsSpan(cut));
            Assert.Equal(cut == 1 ? PutItemStatus.Stored : PutItemStatus.Present, Blocks.ReadPut(client.Receive(), 1).Statuses[0]);
        }

        Blocks.AssertRight(client, "k", 40);
    }

    private static ItemStatus[] Statuses(RawClient client, Opcode opcode, BlockId[] ids) =>
        Statuses(client, client.Ask(opcode, b => IdsRequest.Write(b, client.Namespace, ids)));

    private static ItemStatus[] Statuses(RawClient client, Reply reply)
    {
        Assert.NotNull(client);
        Assert.Null(StatusesResponse.TryRead(reply.Ok(), 3, out ReadOnlySpan<ItemStatus> statuses));
        return statuses.ToArray();
    }
}

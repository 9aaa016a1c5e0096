namespace KvTier.Protocol.Tests;

/// <summary>Messages of a cluster: maps that are not allowed, routes that are left out, errors that name the owner.</summary>
public sealed class ClusterMessageTests
{
    private static readonly BlockId group = new(1, 2);

    private static readonly Dictionary<string, (ClusterMap Map, long Epoch)> maps = new()
    {
        ["InvalidArgument: clusterMap.items[1].name is silo-a twice; allowed: each name once"] = (Map([Silo("silo-a"), Silo("silo-a")]), 9),
        ["InvalidArgument: clusterMap.items[0].name is Silo A; allowed: 1 to 128 characters of [a-z0-9._-]"] = (Map([Silo("Silo A")]), 9),
        ["InvalidArgument: clusterMap.items[0].endpoint.length is 0; allowed: 1 to 512"] =
            (Map([Silo("silo-a") with { Endpoint = "" }]), 9),
        ["LimitExceeded: clusterMap.items[0].joinedEpoch is 10; allowed: 9"] = (Map([Silo("silo-a") with { JoinedEpoch = 10 }]), 9),
        ["LimitExceeded: clusterMap.replicas is 4; allowed: 3"] = (Map([Silo("silo-a")], replicas: 4), 9),
        ["LimitExceeded: clusterMap.membersEpoch is 9; allowed: 8"] = (Map([Silo("silo-a")]), 8),
        ["InvalidArgument: clusterMap.epoch is 0; allowed: 1 or more with a map"] = (new ClusterMap("c", 0, 0, [], new(), NoneMoved), 0),
    };

    public static TheoryData<string> Maps => [.. maps.Keys];

    private static Dictionary<BlockId, string> NoneMoved => [];

    [Theory]
    [MemberData(nameof(Maps))]
    public void Read_OfAMapThatIsNotAllowed_NamesFieldValueAndLimit(string expected)
    {
        (ClusterMap map, long epoch) = maps[expected];
        // A map with two silos of one name can't be made, so the second is renamed on the wire.
        using var buffer = new FrameBuffer();
        new ClusterMapResponse(epoch, epoch == 0 ? "" : "kvtier", "silo-a", map).Write(buffer);
        byte[] body = buffer.WrittenSpan.ToArray();
        int twin = body.AsSpan().IndexOf("twin-b"u8);
        if (twin >= 0) "silo-a"u8.CopyTo(body.AsSpan(twin));
        Assert.Equal(expected, $"{ClusterMapResponse.Read(body).Error}");
    }

    [Fact]
    public void Read_OfAMap_GivesTheSameOwners()
    {
        var moved = new Dictionary<BlockId, string> { [group] = "silo-b" };
        var map = new ClusterMap("kvtier", 9, 9, [Silo("silo-a"), Silo("silo-b"), Silo("silo-c")], new(), moved);
        using var buffer = new FrameBuffer();
        ClusterMapResponse.Of(map, "silo-a", 0).Write(buffer);
        ClusterMap read = ClusterMapResponse.Read(buffer.WrittenSpan).Value.Map!;
        Assert.Equal(("kvtier", 9L, 9L), (read.Cluster, read.Epoch, read.MembersEpoch));
        Assert.Equal(map.Silos, read.Silos);
        Assert.Equal("silo-b", read.Silos[read.OwnerOf(group)].Name);
        for (ulong i = 0; i < 1000; i++) Assert.Equal(map.OwnerOf(new BlockId(i, ~i)), read.OwnerOf(new BlockId(i, ~i)));
    }

    [Fact]
    public void Write_OfARouteThatSaysNothing_MakesTheBodyOfASiloOnItsOwn()
    {
        using var bare = new FrameBuffer();
        using var routed = new FrameBuffer();
        GetRequest.Write(bare, 7, 0, [group]);
        GetRequest.Write(routed, 7, 0, [group], [], new Route(0, RouteRole.Client, []));
        Assert.Equal(bare.WrittenSpan.ToArray(), routed.WrittenSpan.ToArray());
        Assert.Null(GetRequest.TryRead(bare.WrittenSpan, Limits.Default, out GetRequest request));
        Assert.Equal((0, RouteRole.Client, 0), (request.Route.Epoch, request.Route.Role, request.Route.Groups.Count));
        Assert.Equal(group, request.Route.GroupOf(0, group));
    }

    [Fact]
    public void MovedError_ThatWasMade_NamesTheOwnerItsEndpointAndTheEpoch()
    {
        KvError error = MovedError.Of("sequence s", Silo("silo-b"), 9);
        Assert.Equal("silo-b", error.Value);
        Assert.True(MovedError.TryRead(error, out string endpoint, out long epoch));
        Assert.Equal(("127.0.0.1:7070", 9), (endpoint, epoch));
        Assert.False(MovedError.TryRead(error with { Code = ErrorCode.Busy }, out _, out _));
        Assert.False(MovedError.TryRead(error with { Limit = "127.0.0.1:7070" }, out _, out _));
    }

    [Fact]
    public void TryRead_OfACallWithTooLargeAPayload_IsRefused()
    {
        using var buffer = new FrameBuffer();
        PeerRequest.Write(buffer, 1, 2, "silo-a", [], 0, 0);
        Assert.Null(PeerRequest.TryRead(buffer.WrittenSpan, WireBounds.PeerPayloadBytesMax, Limits.Default, out _));
        KvError? error = PeerRequest.TryRead(buffer.WrittenSpan, WireBounds.PeerPayloadBytesMax + 1, Limits.Default, out _);
        Assert.Equal("LimitExceeded: peer.payloadLength is 67108865; allowed: 67108864", $"{error}");
    }

    private static ClusterMap Map(SiloEntry[] silos, int replicas = 1)
    {
        if (silos.Length == 2) silos[1] = silos[1] with { Name = "twin-b" };
        return new ClusterMap("kvtier", 9, 9, silos, new ClusterSettings { Replicas = replicas }, NoneMoved);
    }

    private static SiloEntry Silo(string name) => new()
    {
        Name = name,
        Endpoint = "127.0.0.1:7070",
        CapacityBytes = 1 << 20,
        Protocol = 1,
        DiskFormat = 2,
    };
}

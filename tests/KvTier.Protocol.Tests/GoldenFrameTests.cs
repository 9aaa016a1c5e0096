using System.Text;

namespace KvTier.Protocol.Tests;

public sealed class GoldenFrameTests
{
    private static readonly BlockId id1 = BlockId.Read(Convert.FromHexString("000102030405060708090a0b0c0d0e0f"));
    private static readonly BlockId id2 = BlockId.Read(Convert.FromHexString("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"));
    private static readonly BlockId[] ids = [id1, id2];
    private static readonly KvError refused = new(ErrorCode.LimitExceeded, "put.items[1].key.length", "600", "512");
    private static readonly uint check1 = BlockCheck.Compute(id1, 0, 0, 5, Crc32C.Compute("hello"u8));
    private static readonly uint check2 = BlockCheck.Compute(id2, 3, 0, 6, Crc32C.Compute("world!"u8));
    private static readonly NamespaceId fingerprint = NamespaceId.Read(Enumerable.Repeat((byte)0x8F, 16).ToArray());
    private static readonly SharedArenaInfo arena = new("/dev/shm/kvtier-1-host", 1 << 30, 0x1122334455667788);
    private static readonly NamespaceDescriptor llama = new("acme", Profiles.Llama31_8B);

    private static readonly DigestSpec moments = new() { Kind = DigestKind.Moments, ChunkTokens = 16, Form = DigestForm.Float16 };
    private static readonly DigestSpec landmark = new() { Kind = DigestKind.Mean, ChunkTokens = 8, OutlierChunks = 48 };
    private static readonly RopeRotation rotation = new(500_000, 8, 128, RopePairing.Half, 0);
    private static readonly SequenceEntry sequence = new("chat-1", 3, 40, [moments], null, 4096, 0, 0, 0);
    private static readonly SequenceEntry forked = new("chat-2", 2, 32, [moments, landmark], rotation, 8192, 512, 1, 1 << 20);

    private static readonly RecallHead head = new()
    {
        Namespace = 7,
        DeadlineMs = 100,
        Mode = RecallMode.Attend,
        QueryHeads = 2,
        Window = 1,
        HeadDim = 4,
        Dtype = Dtype.Float32,
        Layout = GatherLayout.KvHeadToken,
        Temperature = 1,
        LseMultiplier = 1,
        Selector = new Selector
        {
            Name = "moments",
            Digest = moments,
            Reduction = GroupReduction.Sum,
            Budget = RecallBudget.OfTokens(32),
            Estimate = true,
        },
        QueryCheck = 0,
    };

    private const long Epoch = 42;

    private static readonly ClusterMap map = new(
        "kvtier",
        Epoch,
        41,
        [
            new SiloEntry
            {
                Name = "silo-b",
                Endpoint = "10.0.0.2:7070",
                CapacityBytes = 1L << 35,
                Protocol = 1,
                DiskFormat = 2,
                JoinedEpoch = 7,
                Draining = true,
            },
            new SiloEntry
            {
                Name = "silo-a",
                Endpoint = "10.0.0.1:7070",
                RespEndpoint = "10.0.0.1:6379",
                HttpEndpoint = "10.0.0.1:8080",
                CapacityBytes = 1L << 36,
                Zone = "rack-1",
                Protocol = 1,
                DiskFormat = 2,
                DataId = "d1",
                JoinedEpoch = 3,
            },
        ],
        new ClusterSettings { Replicas = 2, NamespaceReplicas = new Dictionary<string, int> { ["acme/opaque"] = 3 } },
        new Dictionary<BlockId, string> { [id2] = "silo-a", [id1] = "silo-lost" });

    private static readonly Dictionary<string, Action<FrameBuffer>> siloEncoders = new()
    {
        ["hello.request"] = b => new HelloRequest(1, 1, "kvtier-net 0.1.0", "secret", id1).Write(b),
        ["hello.request.no-token"] = b => new HelloRequest(1, 1, "c", null, id2).Write(b),
        ["hello.response"] = b => new HelloResponse(1, "silo-a", "0.1.0", arena, Limits.Default).Write(b),
        ["hello.response.remote"] = b => new HelloResponse(1, "silo-a", "0.1.0", null, Limits.Default).Write(b),
        ["ping.request"] = EmptyBody.Write,
        ["ping.response"] = EmptyBody.Write,
        ["namespaceOpen.request"] = b => new NamespaceOpenRequest(llama).Write(b),
        ["namespaceOpen.response"] = b => new NamespaceOpenResponse(7, fingerprint, 2_097_152).Write(b),
        ["namespaceList.request"] = EmptyBody.Write,
        ["namespaceList.response"] = b => new NamespaceListResponse([new NamespaceListEntry(llama, fingerprint, 300)]).Write(b),
        ["put.request"] = WritePut,
        ["put.request.small"] = b => PutRequestWriter.Begin(b, 7, AckLevel.Memory, PutFlags.None, 0, 0, 1).Add("key-1"u8, 5, 0, check1),
        ["put.response"] = b => PutResponse.Write(b, [PutItemStatus.Stored, PutItemStatus.Present], null),
        ["put.response.refused"] = b => PutResponse.Write(b, [PutItemStatus.Stored, PutItemStatus.Refused], refused),
        ["get.request"] = b => GetRequest.Write(b, 7, 250, ids),
        ["get.request.ranges"] = b => GetRequest.Write(b, 7, 0, ids, [new ByteRange(0, 4), new ByteRange(2, 0)]),
        ["get.response"] = WriteGetResponse,
        ["prefix.request"] = b => PrefixRequest.Write(b, 7, PrefixFlags.Touch, ids),
        ["prefix.response"] = b => PrefixResponse.Write(b, [TierSet.Host, TierSet.Host | TierSet.Ssd]),
        ["delete.request"] = b => IdsRequest.Write(b, 7, ids),
        ["delete.response"] = b => StatusesResponse.Write(b, [ItemStatus.Done, ItemStatus.NotHere]),
        ["pin.request"] = b => PinRequest.Write(b, 7, 60_000, ids),
        ["pin.response"] = b => StatusesResponse.Write(b, [ItemStatus.Done, ItemStatus.Done]),
        ["unpin.request"] = b => IdsRequest.Write(b, 7, ids),
        ["unpin.response"] = b => StatusesResponse.Write(b, [ItemStatus.Done, ItemStatus.Done]),
        ["touch.request"] = b => IdsRequest.Write(b, 7, ids),
        ["touch.response"] = b => StatusesResponse.Write(b, [ItemStatus.Done, ItemStatus.Done]),
        ["prefetch.request"] = b => IdsRequest.Write(b, 7, [id1]),
        ["prefetch.response"] = b => StatusesResponse.Write(b, [ItemStatus.NotHere]),
        ["describe.request"] = b => IdsRequest.Write(b, 7, ids),
        ["describe.response"] = WriteDescribeResponse,
        ["stat.request"] = EmptyBody.Write,
        ["stat.response"] = b => StatResponse.Write(b, Encoding.UTF8.GetBytes("{\"hostBlocks\":1,\"name\":\"größe\"}")),
        ["localAttach.request"] = EmptyBody.Write,
        ["localAttach.response"] = b => LocalAttachResponse.Write(b, arena),
        ["localGet.request"] = b => LocalGetRequest.Write(b, 7, 100, 5000, ids),
        ["localGet.response"] = WriteLocalGetResponse,
        ["localGet.request.check-by-silo"] = b => LocalGetRequest.Write(b, 7, 100, 5000, ids, flags: LocalGetFlags.CheckBySilo),
        ["localGet.response.checked"] = WriteCheckedLocalGetResponse,
        ["localRelease.notice"] = b => NumbersNotice.Write(b, [1UL << 40, 3]),
        ["localReserve.request"] = WriteReserve,
        ["localReserve.response"] = WriteReserveResponse,
        ["localCommit.request"] = b => LocalCommitRequestWriter.Begin(b, AckLevel.Ssd, 100, 1).Add(new CommitItem(9, check1)),
        ["localCommit.request.checks-by-silo"] = WriteCommitWithoutChecks,
        ["localCommit.response"] = b => PutResponse.Write(b, [PutItemStatus.Stored], null),
        ["localAbort.notice"] = b => NumbersNotice.Write(b, [9]),
        ["sequenceOpen.request"] = b => new SequenceOpenRequest(7, 100, "chat-1", [moments, landmark], rotation).Write(b),
        ["sequenceOpen.request.post-rope"] = b => new SequenceOpenRequest(7, 0, "chat-1", [moments], null).Write(b),
        ["sequenceOpen.response"] = b => sequence.Write(b),
        ["sequenceAppend.request"] = b => SequenceAppendRequest.Write(b, 7, 100, "chat-1", 32, false, 8, ids),
        ["sequenceAppend.request.any"] = b => SequenceAppendRequest.Write(b, 7, 0, "chat-1", 9, true, -1, [id1]),
        ["sequenceAppend.response"] = b => sequence.Write(b),
        ["sequenceFork.request"] = b => new SequenceForkRequest(7, 100, "chat-1", "chat-2", 32).Write(b),
        ["sequenceFork.response"] = b => forked.Write(b),
        ["sequenceClose.request"] = b => new SequenceRequest(7, 100, "chat-2").Write(b),
        ["sequenceClose.response"] = b => forked.Write(b),
        ["sequenceDescribe.request"] = b => new SequenceRequest(7, 0, "größe").Write(b),
        ["sequenceDescribe.response"] = b => sequence.Write(b),
        ["sequenceList.request"] = b => new SequenceListRequest(7, "chat-1", 100).Write(b),
        ["sequenceList.response"] = b => new SequenceListResponse([sequence, forked]).Write(b),
        ["recall.request"] = WriteRecall,
        ["recall.request.slots"] = WriteRecallOfSlots,
        ["recall.response"] = WriteRecallResponse,
        ["localRecall.request"] = WriteLocalRecall,
        ["localRecall.response"] = WriteLocalRecallResponse,
    };

    private static readonly Dictionary<string, Action<FrameBuffer>> clusterEncoders = new()
    {
        ["put.request.routed"] = b => WriteRoutedPut(b, AckLevel.Replica, RouteRole.Client),
        ["put.request.pushed"] = b => WriteRoutedPut(b, AckLevel.Memory, RouteRole.Replica),
        ["put.response.moved"] = b => PutResponse.Write(b, [PutItemStatus.Stored, PutItemStatus.Moved], null, Epoch),
        ["get.request.routed"] = b => GetRequest.Write(b, 7, 250, ids, [], new Route(Epoch, RouteRole.Client, [])),
        ["get.request.hedge"] = b => GetRequest.Write(b, 7, 250, ids, [], new Route(Epoch, RouteRole.Hedge, ids)),
        ["get.response.routed"] = WriteRoutedGetResponse,
        ["prefix.request.routed"] = b => PrefixRequest.Write(b, 7, PrefixFlags.Touch, ids, new Route(Epoch, RouteRole.Client, [id1, id1])),
        ["prefix.response.moved"] = b => PrefixResponse.Write(b, [TierSet.Host], Epoch, moved: true),
        ["delete.request.routed"] = b => IdsRequest.Write(b, 7, ids, new Route(Epoch, RouteRole.Client, [])),
        ["delete.response.moved"] = b => StatusesResponse.Write(b, [ItemStatus.Done, ItemStatus.Moved], Epoch),
        ["pin.request.routed"] = b => PinRequest.Write(b, 7, 60_000, ids, new Route(Epoch, RouteRole.Client, [])),
        ["describe.response.moved"] = WriteMovedDescribe,
        ["localGet.request.routed"] =
            b => LocalGetRequest.Write(b, 7, 100, 5000, ids, new Route(Epoch, RouteRole.Client, [id1, id1])),
        ["localGet.response.routed"] = WriteRoutedLocalGetResponse,
        ["localReserve.request.routed"] = WriteRoutedReserve,
        ["localReserve.response.moved"] = WriteMovedReserve,
        ["sequenceOpen.request.routed"] = b => new SequenceOpenRequest(7, 0, "chat-1", [moments], null, Epoch).Write(b),
        ["sequenceAppend.request.routed"] = b => SequenceAppendRequest.Write(b, 7, 0, "chat-1", 9, true, -1, [id1], Epoch),
        ["sequenceFork.request.routed"] = b => new SequenceForkRequest(7, 0, "chat-1", "chat-2", 0, Epoch).Write(b),
        ["sequenceClose.request.routed"] = b => new SequenceRequest(7, 0, "chat-1", Epoch).Write(b),
        ["sequenceList.request.routed"] = b => new SequenceListRequest(7, "", 100, Epoch).Write(b),
        ["recall.request.routed"] = WriteRoutedRecall,
        ["clusterMap.request"] = b => new ClusterMapRequest(40).Write(b),
        ["clusterMap.response"] = b => ClusterMapResponse.Of(map, "silo-a", 40).Write(b),
        ["clusterMap.response.current"] = b => ClusterMapResponse.Of(map, "silo-a", 42).Write(b),
        ["clusterMap.response.none"] = b => ClusterMapResponse.OutsideOf("silo-a").Write(b),
        ["clusterStatus.request"] = EmptyBody.Write,
        ["clusterStatus.response"] = b => StatResponse.Write(b, "{\"epoch\":42}"u8),
        ["peer.request"] = b => PeerRequest.Write(b, 20, Epoch, "silo-b", [0x92, 1, 2], 2000, Crc32C.Compute("hello"u8)),
        ["peer.response"] = b => PeerResponse.Write(b, Epoch, [0x90], Crc32C.Compute("world!"u8)),
        ["clusterAdmin.request"] = b => new ClusterAdminRequest("drain", ["silo-b"], 30_000).Write(b),
        ["clusterAdmin.response"] = b => StatResponse.Write(b, "{\"epoch\":43}"u8),
        ["error.moved"] = b => ErrorBody.Write(b, MovedError.Of("sequence chat-1", map.Silos[1], Epoch)),
        ["error"] = b => ErrorBody.Write(b, refused),
        ["error.untrusted"] = b => ErrorBody.Write(b, new KvError(ErrorCode.ProtocolViolation, "frame.magic", "47455420", "4B565431")),
    };

    /// <summary>The body of each golden frame made of typed values.</summary>
    private static readonly Dictionary<string, Action<FrameBuffer>> encoders = new(
        siloEncoders.Concat(clusterEncoders).Concat(RegionEncoders.All).Concat(EngineRecode.Encoders(id1, id2)));

    public static TheoryData<string> Names => [.. GoldenFrame.All.Select(frame => frame.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Write_OfTypedValues_MakesTheGoldenBytes(string name)
    {
        GoldenFrame golden = GoldenFrame.Of(name);
        using var buffer = new FrameBuffer();
        int start = Frame.Begin(buffer);
        encoders[name](buffer);
        Frame.Complete(buffer, start, golden.Kind, golden.Opcode, golden.RequestId, golden.Payload.Length);
        Assert.Equal(Convert.ToHexString(golden.HeaderAndBody), Convert.ToHexString(buffer.WrittenSpan));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Read_OfTheGoldenBytes_GivesBackWhatMakesThem(string name)
    {
        GoldenFrame golden = GoldenFrame.Of(name);
        Assert.Equal(FrameStatus.Ok, FrameHeader.TryParse(golden.Bytes, Limits.Default, out FrameHeader header));
        Assert.Equal((golden.Kind, golden.Opcode, golden.RequestId), (header.Kind, header.Opcode, header.RequestId));
        Assert.Equal(golden.Payload.Length, header.PayloadLength);
        Assert.Null(header.CheckBody(golden.Body));
        using var buffer = new FrameBuffer();
        Assert.Null(Recode.Of(name)(golden.Body, header.PayloadLength, buffer));
        Assert.Equal(Convert.ToHexString(golden.Body), Convert.ToHexString(buffer.WrittenSpan));
    }

    [Fact]
    public void GoldenFrames_CoverEveryOpcodeInBothDirections()
    {
        foreach (Opcode opcode in Enum.GetValues<Opcode>().Where(opcode => opcode != Opcode.None))
        {
            FrameKind[] expected = opcode.IsNotice() ? [FrameKind.Notice] : [FrameKind.Request, FrameKind.Response];
            IEnumerable<GoldenFrame> frames = GoldenFrame.All.Where(frame => frame.Opcode == opcode && frame.Kind != FrameKind.Error);
            Assert.Equal(expected, frames.Select(frame => frame.Kind).Distinct());
            Assert.True(opcode.IsKnown());
        }
    }

    [Fact]
    public void GoldenFrames_ReadByPython_AgreeInHeaderChecksAndBody()
    {
        string answer = Repository.RunPython(Path.Combine(Repository.GoldenPath, "frames.py"), "", "--check");
        Assert.Equal($"{GoldenFrame.All.Count} frames", answer.Trim());
    }

    [Fact]
    public void WorkedExamples_InTheReference_AreGoldenFrames()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "reference", "protocol.md"));
        foreach (string name in new[] { "put.request.small", "get.request", "get.response", "recall.request", "recall.response" })
        {
            string[] lines = page.Split($"`{name}`\n\n```text\n")[1].Split("```")[0].Split('\n', StringSplitOptions.RemoveEmptyEntries);
            string hex = string.Concat(lines.Select(line => line.Split("  ")[0].Replace(" ", "")));
            Assert.Equal(Convert.ToHexString(GoldenFrame.Of(name).Bytes), hex);
        }
    }

    private static void WritePut(FrameBuffer buffer)
    {
        PutRequestWriter writer = PutRequestWriter.Begin(buffer, 7, AckLevel.Ssd, PutFlags.None, 3_600_000, 1000, 2);
        writer.Add("key-1"u8, 5, 0, check1);
        writer.Add(Enumerable.Repeat((byte)'k', 512).ToArray(), 6, 3, check2);
    }

    private static void WriteRoutedPut(FrameBuffer buffer, AckLevel ack, RouteRole role)
    {
        PutRequestWriter writer = PutRequestWriter.Begin(buffer, 7, ack, PutFlags.None, 0, 1000, 1, new Route(Epoch, role, [id2]));
        writer.Add("key-1"u8, 5, 0, check1);
        writer.End();
    }

    private static void WriteRoutedGetResponse(FrameBuffer buffer)
    {
        GetResponseWriter writer = GetResponseWriter.Begin(buffer, 3, Epoch, copies: 3);
        writer.Add(new GetItem(GetStatus.HostHit, 5, 0, check1, 5));
        writer.Add(GetItem.Miss(MissReason.Moved));
        writer.Add(GetItem.Miss(MissReason.OwnerLost));
        writer.End();
    }

    private static void WriteMovedDescribe(FrameBuffer buffer)
    {
        DescribeResponseWriter writer = DescribeResponseWriter.Begin(buffer, 2, Epoch);
        writer.Add(new DescribeItem(TierSet.None, MissReason.Moved, 0, 0, 0, 0, 0, false));
        writer.Add(new DescribeItem(TierSet.None, MissReason.OwnerLost, 0, 0, 0, 0, 0, false));
        writer.End();
    }

    private static void WriteRoutedLocalGetResponse(FrameBuffer buffer)
    {
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(buffer, 123_456_789_012_345, 2, Epoch);
        writer.Add(new LocalGetItem(GetStatus.HostHit, 1UL << 40, 1 << 20, 5, 0, check1));
        writer.Add(LocalGetItem.Miss(MissReason.Moved));
        writer.End();
    }

    private static void WriteRoutedReserve(FrameBuffer buffer)
    {
        var route = new Route(Epoch, RouteRole.Client, [id2]);
        LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(buffer, 7, PutFlags.None, 0, 100, 5000, 1, route);
        writer.Add("key-1"u8, 5, 0);
        writer.End();
    }

    private static void WriteMovedReserve(FrameBuffer buffer)
    {
        LocalReserveResponseWriter writer = LocalReserveResponseWriter.Begin(buffer, 123_456_789_012_345, 2, Epoch);
        writer.Add(new ReservedItem(ReserveStatus.Reserved, 9, 4096, 512));
        writer.Add(new ReservedItem(ReserveStatus.Moved, 0, 0, 0));
        writer.End(null);
    }

    private static void WriteRoutedRecall(FrameBuffer buffer)
    {
        RecallHead routed = head with { QueryCheck = CheckOf("recall.request.routed"), Epoch = Epoch };
        RecallRequestWriter writer = RecallRequestWriter.Begin(buffer, routed, 1);
        writer.Add("chat-1", 0, []);
        writer.End();
    }

    private static void WriteGetResponse(FrameBuffer buffer)
    {
        GetResponseWriter writer = GetResponseWriter.Begin(buffer, 3);
        writer.Add(new GetItem(GetStatus.HostHit, 5, 0, check1, 5));
        writer.Add(GetItem.Miss(MissReason.Evicted));
        writer.Add(new GetItem(GetStatus.SsdHit, 6, 3, check2, 6));
    }

    private static void WriteDescribeResponse(FrameBuffer buffer)
    {
        DescribeResponseWriter writer = DescribeResponseWriter.Begin(buffer, 2);
        uint crc = Crc32C.Compute("hello"u8);
        writer.Add(new DescribeItem(TierSet.Host | TierSet.Ssd, MissReason.None, 5, 0, crc, 1_800_000_000_000, 1_700_000_000_000, true));
        writer.Add(new DescribeItem(TierSet.None, MissReason.Expired, 0, 0, 0, 0, 0, false));
    }

    private static void WriteLocalGetResponse(FrameBuffer buffer)
    {
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(buffer, 123_456_789_012_345, 2);
        writer.Add(new LocalGetItem(GetStatus.HostHit, 1UL << 40, 1 << 20, 5, 0, check1));
        writer.Add(LocalGetItem.Miss(MissReason.NeverStored));
    }

    private static void WriteCheckedLocalGetResponse(FrameBuffer buffer)
    {
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(buffer, 123_456_789_012_345, 2);
        writer.Add(new LocalGetItem(GetStatus.HostHit, 1UL << 40, 1 << 20, 5, 0, check1, IsChecked: true));
        writer.Add(LocalGetItem.Miss(MissReason.Corrupt));
    }

    private static void WriteCommitWithoutChecks(FrameBuffer b)
    {
        LocalCommitRequestWriter writer = LocalCommitRequestWriter.Begin(b, AckLevel.Memory, 100, 2, CommitFlags.ChecksBySilo);
        writer.Add(new CommitItem(9, 0));
        writer.Add(new CommitItem(10, 0));
        writer.End();
    }

    private static void WriteReserve(FrameBuffer buffer)
    {
        LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(buffer, 7, PutFlags.Overwrite, 0, 100, 5000, 2);
        writer.Add("key-1"u8, 5, 0);
        writer.Add("key-2"u8, 6, 3);
    }

    private static void WriteReserveResponse(FrameBuffer buffer)
    {
        LocalReserveResponseWriter writer = LocalReserveResponseWriter.Begin(buffer, 123_456_789_012_345, 2);
        writer.Add(new ReservedItem(ReserveStatus.Reserved, 9, 4096, 512));
        writer.Add(new ReservedItem(ReserveStatus.Refused, 0, 0, 0));
        writer.End(new KvError(ErrorCode.HostFull, "hostBytes", "full", ""));
    }

    private static uint CheckOf(string name) => Crc32C.Compute(GoldenFrame.Of(name).Payload);

    private static void WriteRecall(FrameBuffer buffer) =>
        RecallRequestWriter.Begin(buffer, head with { QueryCheck = CheckOf("recall.request") }, 1).Add("chat-1", 0, []);

    private static void WriteRecallOfSlots(FrameBuffer buffer)
    {
        RecallHead gather = head with
        {
            DeadlineMs = 0,
            Mode = RecallMode.Gather,
            QueryHeads = 1,
            HeadDim = 2,
            Dtype = Dtype.Float16,
            Layout = GatherLayout.KvTokenHead,
            Temperature = 0.5f,
            LseMultiplier = 2,
            QueryCheck = CheckOf("recall.request.slots"),
        };
        RecallRequestWriter writer = RecallRequestWriter.Begin(buffer, gather, 2);
        writer.Add("chat-1", 0, [0, -1]);
        writer.Add("größe", 31, [4, 2]);
    }

    private static void WriteLocalRecall(FrameBuffer buffer) => RecallRequestWriter.Begin(
        buffer, head with { LeaseMs = 5000, Mode = RecallMode.Ids, QueryCheck = CheckOf("localRecall.request") }, 1).Add("chat-1", 0, []);

    private static void WriteRecallResponse(FrameBuffer buffer) => RecallResponseWriter.Begin(buffer, 1).Add(new RecallResponseItem
    {
        UnitTokens = 16,
        Counts = [2],
        Units = [0, 2],
        Missing = [new MissingTokens(33, 1, MissReason.Corrupt)],
        PayloadLength = 24,
        Check = CheckOf("recall.response"),
        Cost = new RecallCost(3, 192, 1024, 512, 1, 1, false, true),
    });

    private static void WriteLocalRecallResponse(FrameBuffer buffer)
    {
        byte[] rows = new byte[32];
        for (int i = 0; i < 16; i++) BitConverter.TryWriteBytes(rows.AsSpan(2 * i), (Half)i);
        var slot = new RecallSlot(123_456_789_012_345, 9, 4096, 32);
        RecallResponseWriter.BeginLocal(buffer, slot, 1).Add(new RecallResponseItem
        {
            UnitTokens = 4,
            Counts = [2],
            Units = [0, 2],
            Slots = [2, 0],
            SentCounts = [1],
            Sent = [2],
            GatherRows = 4,
            PayloadLength = 32,
            Check = Crc32C.Compute(rows),
            Cost = new RecallCost(3, 192, 32, 0, 1, 0, false, true),
        });
    }
}

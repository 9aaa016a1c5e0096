using System.Text;

namespace KvTier.Protocol.Tests;

/// <summary>Decodes a body and encodes what was read again.</summary>
/// <returns>Null when the body was accepted, else why not.</returns>
internal delegate KvError? Recoder(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output);

/// <summary>
/// For each message of the protocol its decoder and encoder in a row. Answers are read for the counts that the golden ones have.
/// </summary>
internal static class Recode
{
    public static readonly Limits Limits = Limits.Default;
    private const long ArenaBytes = 1L << 30;

    private static readonly Dictionary<string, Recoder> ofBlocks = new()
    {
        ["hello.request"] = (body, _, output) => Whole(HelloRequest.Read(body), output, static (m, o) => m.Write(o)),
        ["hello.response"] = (body, _, output) => Whole(HelloResponse.Read(body), output, static (m, o) => m.Write(o)),
        ["ping.request"] = Empty,
        ["ping.response"] = Empty,
        ["namespaceOpen.request"] = (body, _, output) => Whole(NamespaceOpenRequest.Read(body), output, static (m, o) => m.Write(o)),
        ["namespaceOpen.response"] = (body, _, output) => Whole(NamespaceOpenResponse.Read(body), output, static (m, o) => m.Write(o)),
        ["namespaceList.request"] = Empty,
        ["namespaceList.response"] =
            (body, _, output) => Whole(NamespaceListResponse.Read(body, Limits), output, static (m, o) => m.Write(o)),
        ["put.request"] = PutRequest,
        ["put.response"] = PutResponse2,
        ["get.request"] = GetRequest1,
        ["get.response"] = GetResponse3,
        ["prefix.request"] = Prefix,
        ["prefix.response"] = PrefixResponse2,
        ["delete.request"] = Ids,
        ["delete.response"] = Statuses,
        ["pin.request"] = Pin,
        ["pin.response"] = Statuses,
        ["unpin.request"] = Ids,
        ["unpin.response"] = Statuses,
        ["touch.request"] = Ids,
        ["touch.response"] = Statuses,
        ["prefetch.request"] = Ids,
        ["prefetch.response"] = Statuses,
        ["describe.request"] = Ids,
        ["describe.response"] = Describe,
        ["stat.request"] = Empty,
        ["stat.response"] =
            (body, _, output) => Whole(StatResponse.Read(body), output, static (m, o) => StatResponse.Write(o, Encoding.UTF8.GetBytes(m))),
        ["localAttach.request"] = Empty,
        ["localAttach.response"] =
            (body, _, output) => Whole(LocalAttachResponse.Read(body), output, static (m, o) => LocalAttachResponse.Write(o, m)),
        ["localGet.request"] = LocalGet,
        ["localGet.response"] = LocalGetResponse,
        ["localRelease.notice"] = Numbers,
        ["localReserve.request"] = LocalReserve,
        ["localReserve.response"] = LocalReserveResponse,
        ["localCommit.request"] = LocalCommit,
        ["localCommit.request.checks-by-silo"] = LocalCommit,
        ["localCommit.response"] = PutResponse1,
        ["localAbort.notice"] = Numbers,
    };

    private static readonly Dictionary<string, Recoder> ofOthers = new()
    {
        ["sequenceOpen.request"] =
            (body, _, output) => Whole(SequenceOpenRequest.Read(body, Limits), output, static (m, o) => m.Write(o)),
        ["sequenceOpen.response"] = Sequence,
        ["sequenceAppend.request"] = RecallRecode.Append,
        ["sequenceAppend.response"] = Sequence,
        ["sequenceFork.request"] =
            (body, _, output) => Whole(SequenceForkRequest.Read(body, Limits), output, static (m, o) => m.Write(o)),
        ["sequenceFork.response"] = Sequence,
        ["sequenceClose.request"] = OneSequence,
        ["sequenceClose.response"] = Sequence,
        ["sequenceDescribe.request"] = OneSequence,
        ["sequenceDescribe.response"] = Sequence,
        ["sequenceList.request"] = (body, _, output) => Whole(SequenceListRequest.Read(body), output, static (m, o) => m.Write(o)),
        ["sequenceList.response"] = (body, _, output) => Whole(SequenceListResponse.Read(body), output, static (m, o) => m.Write(o)),
        ["recall.request"] = RecallRecode.Request,
        ["recall.response"] = RecallRecode.Response,
        ["localRecall.request"] = RecallRecode.Request,
        ["localRecall.response"] = RecallRecode.LocalResponse,
        ["clusterMap.request"] = (body, _, output) => Whole(ClusterMapRequest.Read(body), output, static (m, o) => m.Write(o)),
        ["clusterMap.response"] = (body, _, output) => Whole(ClusterMapResponse.Read(body), output, static (m, o) => m.Write(o)),
        ["clusterStatus.request"] = Empty,
        ["clusterStatus.response"] =
            (body, _, output) => Whole(StatResponse.Read(body), output, static (m, o) => StatResponse.Write(o, Encoding.UTF8.GetBytes(m))),
        ["peer.request"] = Peer,
        ["peer.response"] = PeerResponse1,
        ["clusterAdmin.request"] =
            (body, _, output) => Whole(ClusterAdminRequest.Read(body, Limits), output, static (m, o) => m.Write(o)),
        ["clusterAdmin.response"] =
            (body, _, output) => Whole(StatResponse.Read(body), output, static (m, o) => StatResponse.Write(o, Encoding.UTF8.GetBytes(m))),
        ["error"] = Error,
    };

    /// <summary>By the name that the golden frames have; a name may have a suffix there.</summary>
    public static IReadOnlyDictionary<string, Recoder> ByName { get; } = new Dictionary<string, Recoder>(
        ofBlocks.Concat(ofOthers).Concat(RegionRecode.All).Concat(EngineRecode.ByName));

    /// <summary>The recoder of a golden frame.</summary>
    public static Recoder Of(string goldenName)
    {
        if (ByName.TryGetValue(goldenName, out Recoder? recoder)) return recoder;
        return ByName[goldenName[..goldenName.LastIndexOf('.')]];
    }

    public static BlockId[] ToArray(IdList list)
    {
        var ids = new BlockId[list.Count];
        list.CopyTo(ids);
        return ids;
    }

    /// <summary>A route as it was read.</summary>
    public static Route Again(RouteView route) => new(route.Epoch, route.Role, ToArray(route.Groups));

    private static KvError? Whole<T>(Result<T> result, FrameBuffer output, Action<T, FrameBuffer> write)
    {
        if (result.IsOk) write(result.Value, output);
        return result.Error;
    }

    private static KvError? Sequence(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output) =>
        Whole(SequenceEntry.Read(body), output, static (m, o) => m.Write(o));

    private static KvError? OneSequence(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output) =>
        Whole(SequenceRequest.Read(body, Limits), output, static (m, o) => m.Write(o));

    private static KvError? Empty(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        KvError? error = EmptyBody.Check(body);
        if (error is null) EmptyBody.Write(output);
        return error;
    }

    private static KvError? Error(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        ErrorBody.Write(output, ErrorBody.Read(body));
        return null;
    }

    private static KvError? Peer(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PeerRequest.TryRead(body, payloadLength, Limits, out PeerRequest request) is { } error) return error;
        PeerRequest.Write(output, request.Op, request.Epoch, request.Sender, request.Body, request.DeadlineMs, request.Check);
        return null;
    }

    private static KvError? PeerResponse1(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PeerResponse.TryRead(body, payloadLength, Limits, out PeerResponse response) is { } error) return error;
        PeerResponse.Write(output, response.Epoch, response.Body, response.Check);
        return null;
    }

    private static KvError? PutRequest(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PutRequestReader.TryRead(body, payloadLength, Limits, out PutRequestReader reader) is { } error) return error;
        PutRequestWriter writer = PutRequestWriter.Begin(
            output, reader.Namespace, reader.Ack, reader.Flags, reader.TtlMs, reader.DeadlineMs, reader.Count,
            Again(reader.Route));
        while (reader.TryReadNext(out PutItem item)) writer.Add(item.Key, item.Length, item.Codec, item.Check);
        writer.End();
        return null;
    }

    private static KvError? PutResponse1(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output) => PutResponseOf(body, 1, output);

    private static KvError? PutResponse2(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output) => PutResponseOf(body, 2, output);

    private static KvError? PutResponseOf(ReadOnlySpan<byte> body, int count, FrameBuffer output)
    {
        if (PutResponse.TryRead(body, count, out PutResponse response) is { } error) return error;
        PutResponse.Write(output, response.Statuses, response.Error, response.Epoch);
        return null;
    }

    private static KvError? GetRequest1(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (GetRequest.TryRead(body, Limits, out GetRequest request) is { } error) return error;
        var ranges = new ByteRange[request.Ranges.Count];
        for (int i = 0; i < ranges.Length; i++) ranges[i] = request.Ranges[i];
        GetRequest.Write(output, request.Namespace, request.DeadlineMs, ToArray(request.Ids), ranges, Again(request.Route));
        return null;
    }

    private static KvError? GetResponse3(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (GetResponseReader.TryRead(body, 3, payloadLength, Limits, out GetResponseReader reader) is { } error) return error;
        GetResponseWriter writer = GetResponseWriter.Begin(output, reader.Count, reader.Epoch, reader.Copies);
        while (reader.TryReadNext(out GetItem item)) writer.Add(item);
        writer.End();
        return null;
    }

    private static KvError? Prefix(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PrefixRequest.TryRead(body, Limits, out PrefixRequest request) is { } error) return error;
        PrefixRequest.Write(output, request.Namespace, request.Flags, ToArray(request.Ids), Again(request.Route));
        return null;
    }

    private static KvError? PrefixResponse2(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PrefixResponse.TryRead(body, 2, out PrefixResponse response) is { } error) return error;
        PrefixResponse.Write(output, response.Tiers, response.Epoch, response.Moved);
        return null;
    }

    private static KvError? Ids(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (IdsRequest.TryRead(body, Limits, out IdsRequest request) is { } error) return error;
        IdsRequest.Write(output, request.Namespace, ToArray(request.Ids), Again(request.Route));
        return null;
    }

    private static KvError? Statuses(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        // The golden answers have one or two statuses; a client knows how many it asked for.
        int count = body.Length > 2 && body[2] == 1 ? 1 : 2;
        if (StatusesResponse.TryRead(body, count, out ReadOnlySpan<ItemStatus> statuses, out long epoch) is { } error) return error;
        StatusesResponse.Write(output, statuses, epoch);
        return null;
    }

    private static KvError? Pin(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (PinRequest.TryRead(body, Limits, out PinRequest request) is { } error) return error;
        PinRequest.Write(output, request.Namespace, request.PinMs, ToArray(request.Ids), Again(request.Route));
        return null;
    }

    private static KvError? Describe(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        Result<DescribeItem[]> result = DescribeResponse.Read(body, 2, Limits, out long epoch);
        if (!result.IsOk) return result.Error;
        DescribeResponseWriter writer = DescribeResponseWriter.Begin(output, 2, epoch);
        foreach (DescribeItem item in result.Value) writer.Add(item);
        writer.End();
        return null;
    }

    private static KvError? LocalGet(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (LocalGetRequest.TryRead(body, Limits, out LocalGetRequest request) is { } error) return error;
        LocalGetRequest.Write(output, request.Namespace, request.DeadlineMs, request.LeaseMs, ToArray(request.Ids), Again(request.Route),
            request.Flags);
        return null;
    }

    private static KvError? LocalGetResponse(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (LocalGetResponseReader.TryRead(body, 2, ArenaBytes, Limits, out LocalGetResponseReader reader) is { } error) return error;
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(
            output, reader.LeaseDeadlineNs, reader.Count, reader.Epoch, reader.Copies);
        while (reader.TryReadNext(out LocalGetItem item)) writer.Add(item);
        writer.End();
        return null;
    }

    private static KvError? Numbers(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (NumbersNotice.TryRead(body, Limits.LeasesMax, out NumberList list) is { } error) return error;
        var numbers = new ulong[list.Count];
        for (int i = 0; i < numbers.Length; i++) numbers[i] = list[i];
        NumbersNotice.Write(output, numbers);
        return null;
    }

    private static KvError? LocalReserve(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (LocalReserveRequestReader.TryRead(body, Limits, out LocalReserveRequestReader reader) is { } error) return error;
        LocalReserveRequestWriter writer = LocalReserveRequestWriter.Begin(
            output, reader.Namespace, reader.Flags, reader.TtlMs, reader.DeadlineMs, reader.LeaseMs, reader.Count, Again(reader.Route));
        while (reader.TryReadNext(out ReserveItem item)) writer.Add(item.Key, item.Length, item.Codec);
        writer.End();
        return null;
    }

    private static KvError? LocalReserveResponse(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (LocalReserveResponseReader.TryRead(body, 2, ArenaBytes, out LocalReserveResponseReader reader) is { } error) return error;
        LocalReserveResponseWriter writer = LocalReserveResponseWriter.Begin(
            output, reader.LeaseDeadlineNs, reader.Count, reader.Epoch);
        while (reader.TryReadNext(out ReservedItem item)) writer.Add(item);
        writer.End(reader.Error);
        return null;
    }

    private static KvError? LocalCommit(ReadOnlySpan<byte> body, long payloadLength, FrameBuffer output)
    {
        if (LocalCommitRequestReader.TryRead(body, Limits, out LocalCommitRequestReader reader) is { } error) return error;
        LocalCommitRequestWriter writer = LocalCommitRequestWriter.Begin(output, reader.Ack, reader.DeadlineMs, reader.Count, reader.Flags);
        while (reader.TryReadNext(out CommitItem item)) writer.Add(item);
        writer.End();
        return null;
    }
}

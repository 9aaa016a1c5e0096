using System.Runtime.CompilerServices;
using System.Text;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Silo.Http;

namespace KvTier.Silo.Native;

/// <content>Which request goes where, and those that are answered at once.</content>
internal sealed partial class NativeConnection
{
    private long reportedReceived;
    private long reportedSent;

    /// <summary>Handles one request.</summary>
    /// <returns>False when the client closed in the middle of it.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> HandleAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        if (RefusalOf(header) is { } refusal)
        {
            if (!await input.SkipAsync(header.PayloadLength)) return false;
            await SendErrorAsync(header, refusal);
            if (refusal.Code == ErrorCode.ShuttingDown && !refusing)
            {
                // All that came before is answered; a client that goes on asking must not hold the drain up.
                await output.FlushAsync();
                refusing = true;
            }

            return true;
        }

        switch (header.Opcode)
        {
            case Opcode.Put:
                if (!await HandlePutAsync(header, body, receivedAt)) return false;
                break;
            case Opcode.Get:
                await HandleGetAsync(header, body, receivedAt);
                break;
            case Opcode.LocalGet:
                await HandleLocalGetAsync(header, body, receivedAt);
                break;
            case Opcode.LocalReserve:
                await HandleReserveAsync(header, body, receivedAt);
                break;
            case Opcode.LocalCommit:
                await HandleCommitAsync(header, body, receivedAt);
                break;
            case Opcode.Prefix or Opcode.Pin or Opcode.Unpin or Opcode.Touch or Opcode.Prefetch or Opcode.Describe or Opcode.Delete
                when cluster is not null:
                await HandleRoutedIdsAsync(header, body, receivedAt);
                break;
            case Opcode.Peer:
                if (!await HandlePeerAsync(header, body, receivedAt)) return false;
                break;
            case Opcode.EngineHello:
                await HandleEngineHelloAsync(header, body, receivedAt);
                break;
            case Opcode.ClusterAdmin:
                await HandleAdminAsync(header, body, receivedAt);
                break;
            case Opcode.SequenceDescribe when cluster is not null:
            case Opcode.SequenceOpen or Opcode.SequenceAppend or Opcode.SequenceFork or Opcode.SequenceClose:
                await HandleSequenceAsync(header, body, receivedAt);
                break;
            case Opcode.Recall or Opcode.LocalRecall:
                if (!await HandleRecallAsync(header, body, receivedAt)) return false;
                break;
            case Opcode.RegionStore:
                await HandleRegionStoreAsync(header, body, receivedAt);
                break;
            case Opcode.RegionLoad:
                await HandleRegionLoadAsync(header, body, receivedAt);
                break;
            default:
                await AnswerAsync(header, body, receivedAt);
                break;
        }

        ReportTraffic();
        return true;
    }

    /// <summary>What is refused whatever its body says.</summary>
    private KvError? RefusalOf(in FrameHeader header)
    {
        if (!header.Opcode.IsKnown()) return new KvError(ErrorCode.Unsupported, "frame.opcode", $"{(ushort)header.Opcode}",
            "an opcode of version 1");
        if (header.PayloadLength > 0 && !header.Opcode.HasRequestPayload())
            return KvError.InvalidArgument("frame.payloadLength", header.PayloadLength, $"0 for {header.Opcode}");
        if (connections.IsDraining
            && header.Opcode is not (Opcode.Ping or Opcode.Stat or Opcode.LocalRelease or Opcode.LocalAbort or Opcode.LocalCommit
                or Opcode.ClusterMap or Opcode.ClusterStatus or Opcode.Peer))
            return new KvError(ErrorCode.ShuttingDown, "silo", context.Options.Name, "a silo that is not draining");
        return header.Opcode.IsLocal() ? CheckLocal() : null;
    }

    /// <summary>Answers a request that needs no waiting.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AnswerAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        await output.AcquireAsync();
        try
        {
            int mark = output.Buffer.WrittenCount;
            if (Answer(header, body.Span) is { } error)
            {
                output.Buffer.Truncate(mark);
                context.Metrics.ErrorSent(error.Code);
                if (header.Kind != FrameKind.Notice) Frame.WriteError(output.Buffer, header.Opcode, header.RequestId, error);
            }

            await output.FlushIfLargeAsync();
        }
        finally
        {
            output.Release();
        }

        Done(header, receivedAt);
    }

    private KvError? Answer(in FrameHeader header, ReadOnlySpan<byte> body)
    {
        if (header.Opcode == Opcode.LocalRelease) return ReleaseLocal(body);
        if (header.Opcode == Opcode.LocalAbort) return AbortLocal(body);
        int start = Frame.Begin(output.Buffer);
        KvError? error = header.Opcode switch
        {
            Opcode.Hello => WriteHello(),
            Opcode.Ping => WriteEmpty(body),
            Opcode.NamespaceOpen => OpenNamespace(body),
            Opcode.NamespaceList => ListNamespaces(body),
            Opcode.Prefix => Prefix(body),
            Opcode.Pin => Pin(body),
            Opcode.Describe => Describe(body),
            Opcode.Stat => Stat(body),
            Opcode.LocalAttach => Attach(body),
            Opcode.ClusterMap => WriteMap(body),
            Opcode.ClusterStatus => WriteStatus(body),
            Opcode.SequenceDescribe => DescribeSequence(body),
            Opcode.SequenceList => ListSequences(body),
            Opcode.RegionOpen => OpenRegion(body),
            Opcode.RegionClose => CloseRegion(body),
            Opcode.Loadable => Loadable(body),
            Opcode.EventNotes => TakeNotes(body),
            _ => ChangeEach(header.Opcode, body),
        };
        if (error is null) Frame.Complete(output.Buffer, start, FrameKind.Response, header.Opcode, header.RequestId);
        return error;
    }

    private KvError? CheckHello(ReadOnlySpan<byte> body)
    {
        if (!HelloRequest.Read(body).TryGet(out HelloRequest? hello, out KvError? error)) return error;
        isPeer = context.PeerToken.Accepts(hello.Token);
        if (!isPeer && !context.Token.Accepts(hello.Token))
            return new KvError(ErrorCode.Unauthorized, "hello.token", hello.Token is null ? "missing" : "wrong", "the silo's token");
        if (hello.VersionMin > FrameHeader.Version || hello.VersionMax < FrameHeader.Version)
            return new KvError(ErrorCode.VersionMismatch, "hello.version", $"{hello.VersionMin} to {hello.VersionMax}",
                $"{FrameHeader.Version}");
        return hello.Probe == WireBounds.Probe
            ? null
            : KvError.InvalidArgument("hello.probe", hello.Probe, $"{WireBounds.Probe}, the id of the key kvtier in default/opaque");
    }

    private KvError? WriteHello()
    {
        new HelloResponse(
            FrameHeader.Version, context.Options.Name, HttpListenerHost.Version, CheckLocal() is null ? engine.Arena.Shared : null,
                limits).Write(output.Buffer);
        return null;
    }

    private KvError? WriteEmpty(ReadOnlySpan<byte> body)
    {
        if (EmptyBody.Check(body) is { } error) return error;
        EmptyBody.Write(output.Buffer);
        return null;
    }

    private KvError? OpenNamespace(ReadOnlySpan<byte> body)
    {
        if (!NamespaceOpenRequest.Read(body).TryGet(out NamespaceOpenRequest? request, out KvError? error)) return error;
        if (!context.Namespaces.Open(request.Descriptor).TryGet(out ushort handle, out error)) return error;
        while (opened.Count <= handle) opened.Add(null);
        opened[handle] = request.Descriptor;
        new NamespaceOpenResponse(handle, request.Descriptor.Id, request.Descriptor.Profile.BlockBytes).Write(output.Buffer);
        return null;
    }

    /// <summary>The namespace of a handle that this connection has opened.</summary>
    private NamespaceDescriptor? Opened(ushort handle) => handle < opened.Count ? opened[handle] : null;

    private static KvError UnknownNamespace(ushort handle) =>
        new(ErrorCode.NamespaceUnknown, "ns", $"{handle}", "a handle that this connection got from NamespaceOpen");

    private KvError? ListNamespaces(ReadOnlySpan<byte> body)
    {
        if (EmptyBody.Check(body) is { } error) return error;
        IReadOnlyList<NamespaceDescriptor> all = engine.Namespaces;
        new NamespaceListResponse([.. all.Select((ns, i) => new NamespaceListEntry(ns, ns.Id, engine.Count((ushort)i)))
            .Where(entry => !entry.Descriptor.IsInternal)]).Write(output.Buffer);
        return null;
    }

    private KvError? Stat(ReadOnlySpan<byte> body)
    {
        if (EmptyBody.Check(body) is { } error) return error;
        StatResponse.Write(output.Buffer, Encoding.UTF8.GetBytes(context.Stat()));
        return null;
    }

    private void Done(in FrameHeader header, long receivedAt) =>
        context.Metrics.RequestDone(header.Opcode, context.Time.GetElapsedTime(receivedAt));

    private TimeSpan Deadline(int deadlineMs) =>
        TimeSpan.FromMilliseconds(deadlineMs == 0 ? context.Options.RequestDeadlineMs : deadlineMs);

    private void ReportTraffic()
    {
        long received = input.BytesReceived;
        long sent = output.BytesSent;
        context.Metrics.Transferred(received - reportedReceived, sent - reportedSent);
        reportedReceived = received;
        reportedSent = sent;
    }
}

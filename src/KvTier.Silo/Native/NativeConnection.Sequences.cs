using System.Runtime.CompilerServices;
using KvTier.Protocol;
using KvTier.Recall;
using KvTier.Silo.Sequences;

namespace KvTier.Silo.Native;

/// <content>Sequences: what changes one is done beside the loop, because digests of many blocks may have to be built.</content>
internal sealed partial class NativeConnection
{
    private delegate ValueTask<Result<SequenceInfo>> SequenceCall(ISequences sequences, TimeSpan deadline);

    /// <summary>What is asked of a sequence.</summary>
    private readonly record struct SequenceAsk(ushort Namespace, int DeadlineMs, long Epoch, SequenceCall Call);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleSequenceAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        if (!ReadSequenceCall(header.Opcode, body.Span).TryGet(out SequenceAsk read, out KvError? error))
        {
            await SendErrorAsync(header, error);
            return;
        }

        if (Opened(read.Namespace) is null)
        {
            await SendErrorAsync(header, UnknownNamespace(read.Namespace));
            return;
        }

        await TakeLateSlotAsync();
        _ = CallSequenceLateAsync(header, read, receivedAt);
    }

    private Result<SequenceAsk> ReadSequenceCall(Opcode opcode, ReadOnlySpan<byte> body)
    {
        KvError? error;
        switch (opcode)
        {
            case Opcode.SequenceOpen:
                if (!SequenceOpenRequest.Read(body, limits).TryGet(out SequenceOpenRequest? open, out error)) return error;
                var wanted = new SequenceOpen
                {
                    Namespace = open.Namespace,
                    Name = open.Name,
                    Digests = open.Digests,
                    Rotation = open.Rotation,
                };
                return new SequenceAsk(open.Namespace, open.DeadlineMs, open.Epoch, (sequences, left) => sequences.OpenAsync(wanted, left));
            case Opcode.SequenceAppend:
                return ReadAppend(body);
            case Opcode.SequenceFork:
                if (!SequenceForkRequest.Read(body, limits).TryGet(out SequenceForkRequest? fork, out error)) return error;
                return new SequenceAsk(fork.Namespace, fork.DeadlineMs, fork.Epoch, (sequences, left) =>
                    sequences.ForkAsync(fork.Namespace, fork.Name, fork.NewName, fork.Tokens, left));
            default:
                if (!SequenceRequest.Read(body, limits).TryGet(out SequenceRequest? close, out error)) return error;
                if (opcode == Opcode.SequenceDescribe)
                {
                    return new SequenceAsk(close.Namespace, close.DeadlineMs, close.Epoch, (sequences, left) =>
                        ((ClusterSequences)sequences).DescribeAsync(close.Namespace, close.Name, left));
                }

                return new SequenceAsk(close.Namespace, close.DeadlineMs, close.Epoch, (sequences, left) =>
                    sequences.CloseAsync(close.Namespace, close.Name, left));
        }
    }

    private Result<SequenceAsk> ReadAppend(ReadOnlySpan<byte> body)
    {
        if (SequenceAppendRequest.TryRead(body, limits, out SequenceAppendRequest request) is { } error) return error;
        var ids = new BlockId[request.Ids.Count];
        request.Ids.CopyTo(ids);
        (ushort ns, long epoch, string name, long tokens, bool replaceLast, long expected) =
            (request.Namespace, request.Epoch, request.Name, request.Tokens, request.ReplaceLast, request.ExpectedTokens);
        return new SequenceAsk(ns, request.DeadlineMs, epoch, (sequences, left) =>
            sequences.AppendAsync(ns, name, ids, tokens, replaceLast, left, expected));
    }

    /// <summary>Does a change of a sequence and answers; holds a slot for late answers.</summary>
    private async Task CallSequenceLateAsync(FrameHeader header, SequenceAsk ask, long receivedAt)
    {
        // The call may work on this thread for long before it waits for something.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            if (IsBehind(ask.Epoch)) await CatchUpAsync(ask.Epoch);
            Result<SequenceInfo> result = await ask.Call(context.Sequences, TimeLeft(ask.DeadlineMs, receivedAt));
            if (!result.TryGet(out SequenceInfo? info, out KvError? error)) await SendErrorAsync(header, error);
            else await SendSequenceAsync(header, info, receivedAt);
            await output.FlushAsync();
        }
        catch (Exception e)
        {
            EndFailed(e);
        }
        finally
        {
            lateSlots.Release();
        }
    }

    private async ValueTask SendSequenceAsync(FrameHeader header, SequenceInfo info, long receivedAt)
    {
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            EntryOf(info).Write(output.Buffer);
            Frame.Complete(output.Buffer, start, FrameKind.Response, header.Opcode, header.RequestId);
        }
        finally
        {
            output.Release();
        }

        Done(header, receivedAt);
    }

    private KvError? DescribeSequence(ReadOnlySpan<byte> body)
    {
        if (!SequenceRequest.Read(body, limits).TryGet(out SequenceRequest? request, out KvError? error)) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        if (!context.Sequences.Describe(request.Namespace, request.Name).TryGet(out SequenceInfo? info, out error)) return error;
        EntryOf(info).Write(output.Buffer);
        return null;
    }

    private KvError? ListSequences(ReadOnlySpan<byte> body)
    {
        if (!SequenceListRequest.Read(body).TryGet(out SequenceListRequest? request, out KvError? error)) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        int fit = limits.FrameBodyBytesMax / SequenceEntry.SizeBytesMax;
        IReadOnlyList<SequenceInfo> page = context.Sequences.List(request.Namespace, request.After, Math.Min(request.Max, fit));
        new SequenceListResponse([.. page.Select(EntryOf)]).Write(output.Buffer);
        return null;
    }

    /// <summary>What is left of a request's deadline, 0 or more.</summary>
    private TimeSpan TimeLeft(int deadlineMs, long receivedAt)
    {
        TimeSpan left = Deadline(deadlineMs) - context.Time.GetElapsedTime(receivedAt);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private static SequenceEntry EntryOf(SequenceInfo info) => new(
        info.Name, info.Blocks, info.Tokens, info.Digests, info.Rotation, info.DigestBytes, info.HotBytes, info.QuarantinedChunks,
        info.DeviceBytes);
}

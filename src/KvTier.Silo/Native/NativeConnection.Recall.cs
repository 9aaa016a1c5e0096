using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Recall;

namespace KvTier.Silo.Native;

/// <content>Recall: queries are received by the loop, the rest is done beside it.</content>
internal sealed partial class NativeConnection
{
    private readonly WorkPool<RecallWork> recallPool = new();

    /// <summary>Receives the queries of a recall and starts it.</summary>
    /// <returns>False when the client closed in the middle of it.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> HandleRecallAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        RecallWork work = recallPool.Rent();
        if (BeginRecall(work, header, body.Span, receivedAt) is { } refusal)
        {
            recallPool.Return(work);
            if (!await input.SkipAsync(header.PayloadLength)) return false;
            await SendErrorAsync(header, refusal);
            return true;
        }

        bool started = false;
        try
        {
            if (!await input.ReadAsync(work.QueryBuffer)) return false;
            if (work.TakeQueries() is { } damaged)
            {
                await SendErrorAsync(header, damaged);
                return true;
            }

            await TakeLateSlotAsync();
            started = true;
        }
        finally
        {
            if (!started) EndRecall(work, keepsQueries: false);
        }

        _ = RecallLateAsync(work);
        return true;
    }

    private KvError? BeginRecall(RecallWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (RecallRequestReader.TryRead(body, header.PayloadLength, limits, out RecallRequestReader request) is { } error) return error;
        RecallHead head = request.Head;
        if (Opened(head.Namespace) is not { } ns) return UnknownNamespace(head.Namespace);
        if (ns.Profile.Kind == AttentionKind.Opaque)
            return KvError.InvalidArgument("recall.ns", ns.Name, "a namespace whose profile is not opaque");
        if (head.HeadDim != ns.Profile.HeadDim)
            return KvError.InvalidArgument("recall.headDim", head.HeadDim, $"{ns.Profile.HeadDim}, that of {ns.Name}");
        if (!context.QueryBytes.TryTake(header.PayloadLength))
            return new KvError(ErrorCode.Busy, "recall.queryBytes", $"{context.QueryBytes.Taken + header.PayloadLength}",
                $"{context.QueryBytes.Max} in flight");
        work.Begin(header, receivedAt, request, LeaseMs(head.LeaseMs));
        return null;
    }

    /// <summary>Recalls and answers; holds a slot for late answers.</summary>
    private async Task RecallLateAsync(RecallWork work)
    {
        // The recall may work on this thread for long before it waits for something.
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        bool answered = false;
        try
        {
            if (IsBehind(work.Epoch)) await CatchUpAsync(work.Epoch);
            Result<RecallAnswer> result = await context.Sequences.RecallAsync(
                work.Request, TimeLeft(work.DeadlineMs, work.ReceivedAt));
            if (result.TryGet(out RecallAnswer? answer, out KvError? error))
            {
                answered = true;
                context.Metrics.RecallDone(work.Request.Mode, answer.Items);
                using (answer) error = await SendRecallAsync(work, answer);
            }

            if (error is not null) await SendErrorAsync(work.Header, error);
            else Done(work.Header, work.ReceivedAt);
            await output.FlushAsync();
        }
        catch (Exception e)
        {
            EndFailed(e);
        }
        finally
        {
            // A recall that failed may have readers of its queries left that have not noticed yet.
            EndRecall(work, keepsQueries: !answered);
            lateSlots.Release();
        }
    }

    private void EndRecall(RecallWork work, bool keepsQueries)
    {
        context.QueryBytes.Return(work.QueryBytes);
        work.End(keepsQueries);
        recallPool.Return(work);
    }

    /// <summary>Sends an answer.</summary>
    /// <returns>Null, or why it can't be sent; then nothing was.</returns>
    private async ValueTask<KvError?> SendRecallAsync(RecallWork work, RecallAnswer answer)
    {
        bool isLocal = work.Header.Opcode == Opcode.LocalRecall;
        long payload = isLocal ? 0 : answer.Items.Sum(static item => item.PayloadLength);
        if (payload > limits.FramePayloadBytesMax)
            return KvError.LimitExceeded("recall.payloadLength", payload, limits.FramePayloadBytesMax);
        uint[] checks = new uint[answer.Items.Count];
        for (int i = 0; i < checks.Length; i++) checks[i] = Crc32C.Compute(PartOf(answer, i).Span);
        await output.AcquireAsync();
        try
        {
            int mark = output.Buffer.WrittenCount;
            int start = Frame.Begin(output.Buffer);
            ulong lease = 0;
            if ((isLocal ? WriteLocal(work, answer, checks, out lease) : WriteWire(answer, checks)) is { } refusal)
            {
                output.Buffer.Truncate(mark);
                return refusal;
            }

            int bodyLength = output.Buffer.WrittenCount - start - FrameHeader.SizeBytes;
            if (bodyLength > limits.FrameBodyBytesMax)
            {
                output.Buffer.Truncate(mark);
                if (lease != 0) local.ReleaseRead(lease);
                return KvError.LimitExceeded("recall.bodyLength", bodyLength, limits.FrameBodyBytesMax);
            }

            Frame.Complete(output.Buffer, start, FrameKind.Response, work.Header.Opcode, work.Header.RequestId, payload);
            for (int i = 0; payload > 0 && i < answer.Items.Count; i++)
            {
                ReadOnlyMemory<byte> part = PartOf(answer, i);
                if (part.Length > 0) await output.SendBlockAsync(part);
            }

            return null;
        }
        finally
        {
            output.Release();
        }
    }

    private static ReadOnlyMemory<byte> PartOf(RecallAnswer answer, int index) =>
        answer.Payload.Slice((int)answer.Items[index].PayloadOffset, (int)answer.Items[index].PayloadLength);

    private KvError? WriteWire(RecallAnswer answer, uint[] checks)
    {
        WriteItems(RecallResponseWriter.Begin(output.Buffer, answer.Items.Count), answer, checks, keepOffsets: false);
        return null;
    }

    /// <summary>Hands the slot over to the client and writes where it is.</summary>
    private KvError? WriteLocal(RecallWork work, RecallAnswer answer, uint[] checks, out ulong lease)
    {
        lease = 0;
        long deadline = context.Time.GetTimestamp() + (work.LeaseMs * 1_000_000L);
        var slot = new RecallSlot(deadline, 0, 0, 0);
        if (answer.Lease is not null)
        {
            int length = answer.Payload.Length;
            BlockLease taken = answer.TakeLease();
            lease = local.GrantRead(taken, deadline);
            if (lease == 0) return new KvError(ErrorCode.Busy, "leases", $"{limits.LeasesMax + 1}", $"{limits.LeasesMax}");
            slot = new RecallSlot(deadline, lease, taken.Offset, length);
        }
        else if (answer.Payload.Length > 0)
        {
            return new KvError(ErrorCode.Internal, "recall.lease", "none", "a slot of the arena for the payload");
        }

        WriteItems(RecallResponseWriter.BeginLocal(output.Buffer, slot, answer.Items.Count), answer, checks, keepOffsets: true);
        return null;
    }

    private static void WriteItems(RecallResponseWriter writer, RecallAnswer answer, uint[] checks, bool keepOffsets)
    {
        long offset = 0;
        for (int i = 0; i < answer.Items.Count; i++)
        {
            RecallItemAnswer item = answer.Items[i];
            writer.Add(new RecallResponseItem
            {
                UnitTokens = item.UnitTokens,
                Counts = item.Counts.Span,
                Units = item.Units.Span,
                Slots = item.Slots.Span,
                SentCounts = item.SentCounts.Span,
                Sent = item.Sent.Span,
                Missing = item.Missing,
                GatherRows = item.GatherRows,
                PayloadOffset = keepOffsets ? item.PayloadOffset : offset,
                PayloadLength = (int)item.PayloadLength,
                Check = checks[i],
                Cost = item.Cost,
            });
            offset += item.PayloadLength;
        }
    }
}

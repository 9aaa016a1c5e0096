using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Silo.Engines;
using Microsoft.Extensions.Logging;

namespace KvTier.Silo.Native;

/// <content>
/// Gets: blocks in host memory are sent at once, straight from the arena; those on the SSD are read first, while the loop goes on.
/// </content>
internal sealed partial class NativeConnection
{
    private readonly WorkPool<GetWork> getPool = new();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleGetAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        GetWork work = getPool.Rent();
        KvError? error = BeginGet(work, header, body.Span, receivedAt);
        if (error is null)
        {
            if (IsBehind(work.Route.Epoch)) await CatchUpAsync(work.Route.Epoch);
            error = LeaseWhatIsHere(work);
        }

        if (error is not null)
        {
            getPool.Return(work);
            await SendErrorAsync(header, error);
            return;
        }

        if (!work.MustWait)
        {
            await SendGetAsync(work);
            return;
        }

        await AnswerLaterAsync(work, SendGetAsync);
    }

    private KvError? BeginGet(GetWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (GetRequest.TryRead(body, limits, out GetRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        work.Begin(header, receivedAt, request.Namespace, request.DeadlineMs, 0, request.Ids, request.Ranges);
        if (cluster is not null) work.BeginRouted(request.Route);
        return null;
    }

    /// <summary>Leases the blocks in host memory, and counts those that must be read first.</summary>
    /// <returns>Null, or an error when the request can't be met as a whole; then nothing is held and the work is ended.</returns>
    private KvError? LeaseWhatIsHere(GetWork work)
    {
        for (int i = 0; i < work.Count; i++)
        {
            BlockLease lease = default;
            MissReason reason = cluster is null
                ? engine.TryLease(work.Namespace, work.Ids[i], out lease)
                : TryLeaseRouted(work, i, out lease);
            work.Results[i] = new LeaseResult(reason, lease);
            if (reason == MissReason.Deadline) work.Waiting++;
        }

        if (cluster is not null) NoteReads(work);
        if (work.Waiting == 0 || CheckRoom(work) is not { } error) return null;
        work.ReleaseAll(engine);
        work.End();
        return error;
    }

    /// <summary>All blocks of a request are held in host memory at one time: one that can't fit would wait for its own leases.</summary>
    private KvError? CheckRoom(GetWork work)
    {
        long bytes = 0, answerBytes = 0;
        int blocks = 0;
        bool carriesBytes = work.Header.Opcode == Opcode.Get;
        for (int i = 0; i < work.Count; i++)
        {
            bool hit = work.IsHit(i);
            if (!hit && work.Results[i].Reason != MissReason.Deadline) continue;
            blocks++;
            int length = hit ? work.Results[i].Lease.Length : engine.Describe(work.Namespace, work.Ids[i]).Length;
            bytes += length;
            if (carriesBytes && work.TryRange(i, length, out _, out int asked)) answerBytes += asked;
        }

        if (answerBytes > limits.FramePayloadBytesMax)
            return KvError.LimitExceeded("get.payloadLength", answerBytes, limits.FramePayloadBytesMax);
        if (bytes > engine.Arena.CapacityBytes) return KvError.LimitExceeded("get.bytes", bytes,
            $"{engine.Arena.CapacityBytes}, the host memory; ask for fewer blocks");
        long most = context.Options.HostBlocks;
        return most > 0 && blocks > most ? KvError.LimitExceeded("get.ids.count", blocks, $"{most}, the host tier's blocks; ask for fewer")
            : null;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendGetAsync(GetWork work)
    {
        try
        {
            if (CheckAnswer(work, out long total) is { } error)
            {
                await SendErrorAsync(work.Header, error);
                return;
            }

            await output.AcquireAsync();
            try
            {
                WriteGet(work, total);
                long start = context.Time.GetTimestamp();
                for (int i = 0; i < work.Count; i++)
                {
                    if (!work.IsHit(i)) continue;
                    work.TryRange(i, out int offset, out int length);
                    if (length > 0) await output.SendBlockAsync(engine.Arena.Slice(work.Results[i].Lease.Offset + offset, length));
                    work.Release(engine, i);
                }

                context.Desk.Bandwidth.Add(LoadPath.Host, total, context.Time.GetElapsedTime(start));
            }
            finally
            {
                output.Release();
            }

            Done(work.Header, work.ReceivedAt);
        }
        finally
        {
            work.ReleaseAll(engine);
            work.End();
            getPool.Return(work);
        }
    }

    private KvError? CheckAnswer(GetWork work, out long total)
    {
        total = 0;
        for (int i = 0; i < work.Count; i++)
        {
            if (!work.IsHit(i)) continue;
            if (!work.TryRange(i, out int offset, out int length))
                return KvError.InvalidArgument($"ranges[{i}]", $"offset {offset}, length {length}",
                    $"within the block's {work.Results[i].Lease.Length} bytes");
            total += length;
        }

        return total > limits.FramePayloadBytesMax ? KvError.LimitExceeded("get.payloadLength", total, limits.FramePayloadBytesMax) : null;
    }

    private void WriteGet(GetWork work, long total)
    {
        int start = Frame.Begin(output.Buffer);
        GetResponseWriter writer = GetResponseWriter.Begin(output.Buffer, work.Count, MapEpoch, CopiesOf(work));
        for (int i = 0; i < work.Count; i++)
        {
            if (!work.IsHit(i))
            {
                writer.Add(GetItem.Miss(work.Results[i].Reason));
                continue;
            }

            BlockLease lease = work.Results[i].Lease;
            work.TryRange(i, out int offset, out int length);
            uint crc = length == lease.Length ? lease.PayloadCrc : Crc32C.Compute(engine.Arena.Slice(lease.Offset + offset, length).Span);
            uint check = BlockCheck.Compute(work.Ids[i], lease.Codec, offset, length, crc);
            writer.Add(new GetItem(GetStatusExtensions.HitFrom(lease.Source), length, lease.Codec, check, lease.Length));
        }

        writer.End();
        Frame.Complete(output.Buffer, start, FrameKind.Response, work.Header.Opcode, work.Header.RequestId, total);
    }

    /// <summary>Takes one of the slots for late answers; while there is none, nothing more is received from this client.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask TakeLateSlotAsync()
    {
        if (lateSlots.Wait(0)) return;
        if (output.HasUnsent) await output.FlushAsync();
        await lateSlots.WaitAsync();
    }

    /// <summary>Answers beside the loop once there is a slot for late answers.</summary>
    private async ValueTask AnswerLaterAsync(GetWork work, Func<GetWork, ValueTask> answer)
    {
        try
        {
            await TakeLateSlotAsync();
        }
        catch
        {
            // What waited to be sent could not be: the client is gone, and nobody else knows of these leases.
            work.ReleaseAll(engine);
            work.End();
            throw;
        }

        _ = AnswerLateAsync(work, answer);
    }

    /// <summary>Reads what is missing, then answers; holds a slot for late answers.</summary>
    private async Task AnswerLateAsync(GetWork work, Func<GetWork, ValueTask> answer)
    {
        try
        {
            if (work.Elsewhere.Count > 0) await ReadThroughAsync(work);
            if (work.Waiting > 0) await LeaseMissingAsync(work);
            await answer(work);
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

    private async Task LeaseMissingAsync(GetWork work)
    {
        TimeSpan deadline = Deadline(work.DeadlineMs);
        long start = context.Time.GetTimestamp();
        var reads = new List<(int Index, Task<LeaseResult> Read)>(work.Waiting);
        for (int i = 0; i < work.Count; i++)
        {
            if (work.Results[i].Reason == MissReason.Deadline) reads.Add(
                (i, engine.LeaseAsync(work.Namespace, work.Ids[i], deadline).AsTask()));
        }

        foreach ((int index, Task<LeaseResult> read) in reads)
        {
            LeaseResult result = await read;
            work.Results[index] = result;
        }

        context.Desk.Bandwidth.Add(LoadPath.Ssd, BytesFrom(work, TierSet.Ssd), context.Time.GetElapsedTime(start));
    }

    /// <summary>A late answer could not be sent: the connection is of no use any more.</summary>
    private void EndFailed(Exception e)
    {
        if (e is not (System.Net.Sockets.SocketException or ObjectDisposedException or OperationCanceledException))
            context.Logger.ConnectionFailed(e, number);
        EndForSilo();
    }
}

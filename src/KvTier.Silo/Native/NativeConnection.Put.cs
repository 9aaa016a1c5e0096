using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Puts: payload bytes go from the socket straight into reserved slots.</content>
internal sealed partial class NativeConnection
{
    private readonly WorkPool<PutWork> putPool = new();

    /// <summary>Receives and stores the blocks of a put.</summary>
    /// <returns>False when the client closed in the middle of it.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> HandlePutAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        PutWork work = putPool.Rent();
        if (BeginPut(work, header, body.Span, receivedAt) is { } refusal)
        {
            putPool.Return(work);
            if (!await input.SkipAsync(header.PayloadLength)) return false;
            await SendErrorAsync(header, refusal);
            return true;
        }

        if (cluster is not null) await BeginRoutedAsync(work);
        bool whole = true;
        for (int i = 0; i < work.Count && whole; i++) whole = await ReceiveBlockAsync(work, i, body);
        if (!whole)
        {
            work.End();
            putPool.Return(work);
            return false;
        }

        await AcknowledgeAsync(work);
        return true;
    }

    private KvError? BeginPut(PutWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (PutRequestReader.TryRead(body, header.PayloadLength, limits, out PutRequestReader request) is { } error) return error;
        if (Opened(request.Namespace) is not { } ns) return UnknownNamespace(request.Namespace);
        work.Begin(header, receivedAt, request.Count);
        work.Namespace = request.Namespace;
        work.Ack = request.Ack;
        work.LostBefore = engine.LostBlocks;
        work.Overwrite = (request.Flags & PutFlags.Overwrite) != PutFlags.None;
        work.ExpiryUnixMs = ExpiryOf(request.TtlMs);
        work.DeadlineMs = request.DeadlineMs;
        work.Route = RouteOf(request.Route);
        if (CheckRoute(ns, work) is { } unwanted)
        {
            work.End();
            return unwanted;
        }

        for (int i = 0; request.TryReadNext(out PutItem item); i++)
        {
            error = CheckLength(ns, i, item.Length, item.Codec);
            if (error is not null)
            {
                work.End();
                return error;
            }

            body.Overlaps(item.Key, out int keyOffset);
            BlockId id = BlockId.Compute(ns.Id, item.Key);
            work.Entries[i] = new PutEntry
            {
                Id = id,
                Group = request.Route.GroupOf(i, id),
                Namespace = request.Namespace,
                KeyOffset = keyOffset,
                KeyLength = item.Key.Length,
                Length = item.Length,
                Codec = item.Codec,
                Check = item.Check,
            };
        }

        return null;
    }

    private static KvError? CheckLength(NamespaceDescriptor ns, int index, int length, byte codec) =>
        codec != 0 || ns.Profile.BlockBytes == 0 || ns.Profile.BlockBytes == length
            ? null
            : KvError.InvalidArgument($"items[{index}].length", length, $"{ns.Profile.BlockBytes}, the block of {ns.Name}");

    private long ExpiryOf(long ttlMs) => ttlMs == 0 ? 0 : context.Time.GetUtcNow().ToUnixTimeMilliseconds() + ttlMs;

    /// <summary>Receives one block into a slot, or past one that is here or refused.</summary>
    /// <returns>False when the client closed in the middle of it.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ReceiveBlockAsync(PutWork work, int index, ReadOnlyMemory<byte> body)
    {
        int length = work.Entries[index].Length;
        if (cluster is not null && !IsAdmitted(work, index)) return await input.SkipAsync(length);
        PutBegin begin;
        Reservation reservation;
        while (!TryBegin(work, index, body.Span, out begin, out reservation))
        {
            if (output.HasUnsent) await output.FlushAsync();
            if (await WaitForRoomAsync(work, length)) continue;
            begin = PutBegin.HostFull;
            break;
        }

        if (begin != PutBegin.Reserved)
        {
            Note(work, index, begin);
            return await input.SkipAsync(length);
        }

        uint? crc = null;
        try
        {
            crc = await input.ReadBlockAsync(length == 0 ? default : engine.Arena.Slice(reservation.Offset, length));
        }
        finally
        {
            if (crc is null) engine.Abort(reservation);
        }

        if (crc is null) return false;
        SealChecked(work, index, reservation, crc.Value);
        return true;
    }

    private bool TryBegin(PutWork work, int index, ReadOnlySpan<byte> body, out PutBegin begin, out Reservation reservation)
    {
        ref PutEntry entry = ref work.Entries[index];
        var request = new PutRequest
        {
            Namespace = work.Namespace,
            Id = entry.Id,
            Group = entry.Group,
            Key = body.Slice(entry.KeyOffset, entry.KeyLength),
            Length = entry.Length,
            Codec = entry.Codec,
            ExpiryUnixMs = work.ExpiryUnixMs,
            Overwrite = work.Overwrite,
        };
        return engine.TryBeginPut(request, out begin, out reservation);
    }

    /// <summary>Waits for a slot, unless an earlier block of the request has waited in vain: one full wait is enough.</summary>
    private ValueTask<bool> WaitForRoomAsync(PutWork work, int length)
    {
        if (work.Error?.Code == ErrorCode.HostFull) return ValueTask.FromResult(false);
        TimeSpan left = Deadline(work.DeadlineMs) - context.Time.GetElapsedTime(work.ReceivedAt);
        return left <= TimeSpan.Zero ? ValueTask.FromResult(false) : engine.WaitForRoomAsync(length, left);
    }

    private void Note(PutWork work, int index, PutBegin begin)
    {
        switch (begin)
        {
            case PutBegin.Present:
                work.Statuses[index] = PutItemStatus.Present;
                break;
            case PutBegin.ShuttingDown:
                work.Refuse(index, new KvError(ErrorCode.ShuttingDown, "silo", context.Options.Name, "a silo that is not draining"));
                break;
            default:
                work.Refuse(index, HostFull(work, index));
                break;
        }
    }

    private KvError HostFull(PutWork work, int index) => new(
        ErrorCode.HostFull, $"items[{index}].length", $"{work.Entries[index].Length}",
            $"{engine.Arena.CapacityBytes} bytes of host memory, all leased, pinned or not yet in the log");

    /// <summary>Seals a block whose bytes are those that the client meant.</summary>
    private void SealChecked(PutWork work, int index, in Reservation reservation, uint payloadCrc)
    {
        ref PutEntry entry = ref work.Entries[index];
        uint check = BlockCheck.Compute(entry.Id, entry.Codec, 0, reservation.Length, payloadCrc);
        if (check != entry.Check)
        {
            engine.Abort(reservation);
            work.Refuse(index, new KvError(ErrorCode.Corrupt, $"items[{index}].check", $"{entry.Check:X8}",
                $"{check:X8}, that of the bytes received"));
            return;
        }

        switch (engine.Seal(reservation, payloadCrc, out _))
        {
            case SealStatus.Stored:
                work.Statuses[index] = PutItemStatus.Stored;
                break;
            case SealStatus.Present:
                work.Statuses[index] = PutItemStatus.Present;
                break;
            default:
                work.Refuse(index, new KvError(ErrorCode.LeaseExpired, $"items[{index}]", "revoked", "a reservation that is held"));
                break;
        }
    }

    /// <summary>Answers a put or commit: now, or when the log has it.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AcknowledgeAsync(PutWork work)
    {
        if (work.Error is { } refused) context.Metrics.ErrorSent(refused.Code);
        if (cluster is not null) RecheckAdmitted(work);
        if (work.Ack == AckLevel.Memory || !work.HasAny)
        {
            if (cluster is not null) QueueReplication(work);
            await SendPutAsync(work);
            return;
        }

        TimeSpan left = TimeLeft(work.DeadlineMs, work.ReceivedAt);
        ValueTask<KvError?> durable = work.Ack == AckLevel.Replica
            ? ReplicateAsync(work, left)
            : engine.WaitDurableAsync(engine.CurrentTicket, left);
        if (cluster is not null && work.Ack == AckLevel.Ssd) QueueReplication(work);
        await TakeLateSlotAsync();
        _ = AcknowledgeLateAsync(work, durable);
    }

    private async Task AcknowledgeLateAsync(PutWork work, ValueTask<KvError?> durable)
    {
        try
        {
            if ((await durable ?? (work.Ack == AckLevel.Ssd ? LostMeanwhile(work) : null)) is { } error)
            {
                context.Metrics.ErrorSent(error.Code);
                work.Error ??= error;
            }

            await SendPutAsync(work);
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

    // The log refused for long and works again: what was evicted in between is not in it, and this request's blocks may be among them.
    private KvError? LostMeanwhile(PutWork work) => engine.LostBlocks == work.LostBefore
        ? null
        : new KvError(ErrorCode.DiskFull, "ssd", "refused records for a while, blocks were evicted meanwhile",
            "a log that takes every block");

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendPutAsync(PutWork work)
    {
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            PutResponse.Write(output.Buffer, work.Statuses, work.Error, MapEpoch);
            Frame.Complete(output.Buffer, start, FrameKind.Response, work.Header.Opcode, work.Header.RequestId);
            await output.FlushIfLargeAsync();
        }
        finally
        {
            output.Release();
        }

        Done(work.Header, work.ReceivedAt);
        work.End();
        putPool.Return(work);
    }
}

using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;
using KvTier.Silo.Regions;

namespace KvTier.Silo.Native;

/// <content>Region stores: rows of an engine's file become blocks, copied once, beside the loop.</content>
internal sealed partial class NativeConnection
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleRegionStoreAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        PutWork work = putPool.Rent();
        if (!BeginRegionStore(work, header, body.Span, receivedAt, out long deadlineNs)
            .TryGet(out EngineRegion? region, out KvError? error))
        {
            putPool.Return(work);
            await SendErrorAsync(header, error);
            return;
        }

        if (cluster is not null) await BeginRoutedAsync(work);
        await TakeLateSlotAsync();
        _ = StoreRowsLateAsync(work, region, deadlineNs);
    }

    private Result<EngineRegion> BeginRegionStore(
        PutWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt, out long deadlineNs)
    {
        deadlineNs = 0;
        if (RegionStoreRequestReader.TryRead(body, limits, out RegionStoreRequestReader request) is { } malformed) return malformed;
        deadlineNs = request.DeadlineNs;
        if (!RegionFor(request.Region, deadlineNs).TryGet(out EngineRegion? region, out KvError? error)) return error;
        NamespaceDescriptor ns = opened[region.Request.Namespace]!;
        work.Begin(header, receivedAt, request.Count);
        work.Namespace = region.Request.Namespace;
        work.Ack = request.Ack;
        work.LostBefore = engine.LostBlocks;
        work.Overwrite = false;
        work.ExpiryUnixMs = ExpiryOf(request.TtlMs);
        work.DeadlineMs = MsUntil(deadlineNs);
        work.Route = RouteOf(request.Route);
        error = CheckRoute(ns, work);
        for (int i = 0; error is null && request.TryReadNext(out RegionStoreItem item); i++)
        {
            error = CheckRow(region, i, item.Row);
            body.Overlaps(item.Key, out int keyOffset);
            BlockId id = BlockId.Compute(ns.Id, item.Key);
            work.Entries[i] = new PutEntry
            {
                Id = id,
                Group = request.Route.GroupOf(i, id),
                Namespace = work.Namespace,
                KeyOffset = keyOffset,
                KeyLength = item.Key.Length,
                Length = region.Request.RowBytes,
                Row = item.Row,
            };
        }

        if (error is not null)
        {
            work.End();
            return error;
        }

        work.CopyBody(body);
        return region;
    }

    /// <summary>Copies the rows and answers; holds a slot for late answers.</summary>
    private async Task StoreRowsLateAsync(PutWork work, EngineRegion region, long deadlineNs)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            for (int i = 0; i < work.Count; i++) await StoreRowAsync(work, i, region, deadlineNs);
            if (cluster is not null) RecheckAdmitted(work);
            if (work.Ack != AckLevel.Memory && work.HasAny) work.Error ??= await AcknowledgeRowsAsync(work);
            if (work.Error is { } refused) context.Metrics.ErrorSent(refused.Code);
            if (cluster is not null && work.Ack != AckLevel.Replica) QueueReplication(work);
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

    private async ValueTask<KvError?> AcknowledgeRowsAsync(PutWork work)
    {
        TimeSpan left = TimeLeft(work.DeadlineMs, work.ReceivedAt);
        return work.Ack == AckLevel.Replica
            ? await ReplicateAsync(work, left)
            : await engine.WaitDurableAsync(engine.CurrentTicket, left) ?? LostMeanwhile(work);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask StoreRowAsync(PutWork work, int index, EngineRegion region, long deadlineNs)
    {
        if (IsEnding)
        {
            work.Refuse(index, ConnectionGone());
            return;
        }

        if (cluster is not null && !IsAdmitted(work, index)) return;
        PutBegin begin;
        Reservation reservation;
        while (!TryBegin(work, index, work.BodyCopy.Span, out begin, out reservation))
        {
            if (await WaitForRoomAsync(work, work.Entries[index].Length)) continue;
            begin = PutBegin.HostFull;
            break;
        }

        if (begin == PutBegin.Reserved) CopyRow(work, index, reservation, region, deadlineNs);
        else Note(work, index, begin);
    }

    private void CopyRow(PutWork work, int index, in Reservation reservation, EngineRegion region, long deadlineNs)
    {
        Span<byte> slot = engine.Arena.Slice(reservation.Offset, reservation.Length).Span;
        if (region.Read(work.Entries[index].Row, slot, deadlineNs) is { } error)
        {
            engine.Abort(reservation);
            work.Refuse(index, error);
            context.Metrics.Regions.RowFailed();
            return;
        }

        switch (engine.Seal(reservation, Crc32C.Compute(slot), out _))
        {
            case SealStatus.Stored:
                work.Statuses[index] = PutItemStatus.Stored;
                context.Metrics.Regions.RowStored(slot.Length);
                break;
            case SealStatus.Present:
                work.Statuses[index] = PutItemStatus.Present;
                break;
            default:
                work.Refuse(index, new KvError(ErrorCode.LeaseExpired, $"items[{index}]", "revoked", "a reservation that is held"));
                break;
        }
    }
}

using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Puts over the local path, first half: slots for the client to write.</content>
internal sealed partial class NativeConnection
{
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleReserveAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        PutWork work = putPool.Rent();
        if (BeginReserve(work, header, body.Span, receivedAt) is { } error)
        {
            putPool.Return(work);
            await SendErrorAsync(header, error);
            return;
        }

        if (cluster is not null) await BeginRoutedAsync(work);
        int done = ReserveFrom(work, 0);
        if (done == work.Count)
        {
            await SendReserveAsync(work);
            return;
        }

        // The releases that make room may be the next frames on this connection: wait beside the loop.
        await TakeLateSlotAsync();
        _ = ReserveLateAsync(work, done);
    }

    private KvError? BeginReserve(PutWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (LocalReserveRequestReader.TryRead(body, limits, out LocalReserveRequestReader request) is { } error) return error;
        if (Opened(request.Namespace) is not { } ns) return UnknownNamespace(request.Namespace);
        work.Begin(header, receivedAt, request.Count);
        work.Namespace = request.Namespace;
        work.Overwrite = (request.Flags & PutFlags.Overwrite) != PutFlags.None;
        work.ExpiryUnixMs = ExpiryOf(request.TtlMs);
        work.DeadlineMs = request.DeadlineMs;
        work.Route = RouteOf(request.Route);
        if (CheckRoute(ns, work) is { } unwanted)
        {
            work.End();
            return unwanted;
        }

        work.LeaseMs = LeaseMs(request.LeaseMs);
        work.LeaseDeadlineNs = context.Time.GetTimestamp() + (work.LeaseMs * 1_000_000L);
        for (int i = 0; request.TryReadNext(out ReserveItem item); i++)
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
            };
        }

        work.BeginReserve(body);
        return null;
    }

    /// <summary>Reserves slots from one block on, until there is none free.</summary>
    /// <returns>The block that has to wait; the count when none has to.</returns>
    private int ReserveFrom(PutWork work, int index)
    {
        for (; index < work.Count; index++)
        {
            if (cluster is not null && !IsAdmitted(work, index))
            {
                bool moved = work.Statuses[index] == PutItemStatus.Moved;
                work.Reserved[index] = new ReservedItem(moved ? ReserveStatus.Moved : ReserveStatus.Refused, 0, 0, 0);
                continue;
            }

            if (!TryBegin(work, index, work.BodyCopy.Span, out PutBegin begin, out Reservation reservation)) break;
            NoteReserved(work, index, begin, reservation);
        }

        return index;
    }

    private void NoteReserved(PutWork work, int index, PutBegin begin, in Reservation reservation)
    {
        if (begin != PutBegin.Reserved)
        {
            Note(work, index, begin);
            work.Reserved[index] = new ReservedItem(begin == PutBegin.Present ? ReserveStatus.Present : ReserveStatus.Refused, 0, 0, 0);
            return;
        }

        PutEntry entry = work.Entries[index];
        var slot = new LocalReservation(reservation, entry.Id, entry.Group, entry.Namespace, entry.Codec);
        ulong granted = local.GrantWrite(slot, work.LeaseDeadlineNs);
        if (granted == 0) work.Refuse(index,
            new KvError(ErrorCode.Busy, "reservations", $"{limits.ReservationsMax + 1}", $"{limits.ReservationsMax}"));
        work.Reserved[index] = granted == 0
            ? new ReservedItem(ReserveStatus.Refused, 0, 0, 0)
            : new ReservedItem(ReserveStatus.Reserved, granted, reservation.Offset, reservation.Capacity);
    }

    private async Task ReserveLateAsync(PutWork work, int index)
    {
        try
        {
            while (index < work.Count)
            {
                if (!await WaitForRoomAsync(work, work.Entries[index].Length))
                {
                    NoteReserved(work, index, PutBegin.HostFull, default);
                    index++;
                }

                index = ReserveFrom(work, index);
            }

            await SendReserveAsync(work);
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

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendReserveAsync(PutWork work)
    {
        if (work.Error is { } refused) context.Metrics.ErrorSent(refused.Code);
        await output.AcquireAsync();
        try
        {
            int start = Frame.Begin(output.Buffer);
            LocalReserveResponseWriter writer = LocalReserveResponseWriter.Begin(
                output.Buffer, work.LeaseDeadlineNs, work.Count, MapEpoch);
            foreach (ReservedItem item in work.Reserved) writer.Add(item);
            writer.End(work.Error);
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

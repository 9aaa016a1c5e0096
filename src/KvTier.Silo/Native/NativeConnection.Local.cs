using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>The local path: offsets into the shared arena instead of bytes.</content>
internal sealed partial class NativeConnection
{
    /// <summary>Lease that a client gets who names none, in ms.</summary>
    private const int LeaseMsDefault = 10_000;

    private bool? isSameUser;

    /// <summary>Says why the local path is closed to this connection.</summary>
    private KvError? CheckLocal()
    {
        if (!context.Options.LocalPath) return new KvError(ErrorCode.Unsupported, "localPath", "false", "true in the silo's options");
        if (!isUnix) return new KvError(ErrorCode.Unsupported, "localPath", "a TCP connection", "a connection over the Unix socket");
        if (engine.Arena.Shared is null) return new KvError(ErrorCode.Unsupported, "localPath", "host memory that is not shared",
            "shared memory: " + engine.Arena.Fallback);
        if (isSameUser ??= PeerCredentials.UidOf(socket) == PeerCredentials.OwnUid) return null;
        return new KvError(ErrorCode.Unauthorized, "localPath", $"user {PeerCredentials.UidOf(socket)}",
            $"user {PeerCredentials.OwnUid}, whose silo it is");
    }

    private KvError? Attach(ReadOnlySpan<byte> body)
    {
        if (EmptyBody.Check(body) is { } error) return error;
        LocalAttachResponse.Write(output.Buffer, engine.Arena.Shared!);
        return null;
    }

    private KvError? ReleaseLocal(ReadOnlySpan<byte> body)
    {
        if (NumbersNotice.TryRead(body, limits.LeasesMax, out NumberList leases) is { } error) return error;
        for (int i = 0; i < leases.Count; i++) local.ReleaseRead(leases[i]);
        return null;
    }

    private KvError? AbortLocal(ReadOnlySpan<byte> body)
    {
        if (NumbersNotice.TryRead(body, limits.ReservationsMax, out NumberList reservations) is { } error) return error;
        long now = context.Time.GetTimestamp();
        for (int i = 0; i < reservations.Count; i++)
        {
            if (local.TryTakeWrite(reservations[i], now, out LocalReservation reservation)) engine.Abort(reservation.Reservation);
        }

        return null;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleLocalGetAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        GetWork work = getPool.Rent();
        KvError? error = BeginLocalGet(work, header, body.Span, receivedAt);
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
            await SendLocalGetAsync(work);
            return;
        }

        await AnswerLaterAsync(work, SendLocalGetAsync);
    }

    private KvError? BeginLocalGet(GetWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (LocalGetRequest.TryRead(body, limits, out LocalGetRequest request) is { } error) return error;
        if (Opened(request.Namespace) is null) return UnknownNamespace(request.Namespace);
        if (local.ReadCount + request.Ids.Count > limits.LeasesMax)
            return new KvError(ErrorCode.Busy, "leases", $"{local.ReadCount + request.Ids.Count}", $"{limits.LeasesMax}");
        work.Begin(header, receivedAt, request.Namespace, request.DeadlineMs, LeaseMs(request.LeaseMs), request.Ids, default);
        work.IsChecked = request.Flags.HasFlag(LocalGetFlags.CheckBySilo);
        if (cluster is not null) work.BeginRouted(request.Route);
        return null;
    }

    private int LeaseMs(int wanted) => wanted == 0 ? Math.Min(LeaseMsDefault, limits.LeaseMsMax) : wanted;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendLocalGetAsync(GetWork work)
    {
        if (work.IsChecked) CheckLeased(work);
        await output.AcquireAsync();
        try
        {
            WriteLocalGet(work);
            await output.FlushIfLargeAsync();
        }
        finally
        {
            output.Release();
            work.End();
        }

        Done(work.Header, work.ReceivedAt);
        getPool.Return(work);
    }

    /// <summary>Computes the checks of what is to be leased; what fails is put away and is a miss.</summary>
    private void CheckLeased(GetWork work)
    {
        for (int i = 0; i < work.Count; i++)
        {
            BlockLease block = work.Results[i].Lease;
            if (!work.IsHit(i) || block.Length == 0) continue;
            if (Crc32C.Compute(engine.Arena.Slice(block.Offset, block.Length).Span) == block.PayloadCrc) continue;
            engine.Quarantine(work.Namespace, work.Ids[i], block.PayloadCrc);
            engine.Release(block);
            work.Results[i] = new LeaseResult(MissReason.Corrupt, default);
        }
    }

    private void WriteLocalGet(GetWork work)
    {
        long deadline = context.Time.GetTimestamp() + (work.LeaseMs * 1_000_000L);
        int start = Frame.Begin(output.Buffer);
        LocalGetResponseWriter writer = LocalGetResponseWriter.Begin(
            output.Buffer, deadline, work.Count, MapEpoch, CopiesOf(work));
        for (int i = 0; i < work.Count; i++)
        {
            ulong lease = work.IsHit(i) ? local.GrantRead(work.Results[i].Lease, deadline) : 0;
            if (lease == 0)
            {
                // A hit that could not be granted because late answers have used the leases up meanwhile counts as one that came too late.
                writer.Add(LocalGetItem.Miss(work.IsHit(i) ? MissReason.Deadline : work.Results[i].Reason));
                continue;
            }

            BlockLease block = work.Results[i].Lease;
            uint check = BlockCheck.Compute(work.Ids[i], block.Codec, 0, block.Length, block.PayloadCrc);
            writer.Add(new LocalGetItem(
                GetStatusExtensions.HitFrom(block.Source), lease, block.Offset, block.Length, block.Codec, check, work.IsChecked));
        }

        writer.End();
        Frame.Complete(output.Buffer, start, FrameKind.Response, work.Header.Opcode, work.Header.RequestId);
    }

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

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask HandleCommitAsync(FrameHeader header, Memory<byte> body, long receivedAt)
    {
        PutWork work = putPool.Rent();
        if (Commit(work, header, body.Span, receivedAt) is { } error)
        {
            putPool.Return(work);
            await SendErrorAsync(header, error);
            return;
        }

        await AcknowledgeAsync(work);
    }

    /// <summary>Seals the slots that the client has written, if their bytes are those it says.</summary>
    private KvError? Commit(PutWork work, in FrameHeader header, ReadOnlySpan<byte> body, long receivedAt)
    {
        if (LocalCommitRequestReader.TryRead(body, limits, out LocalCommitRequestReader request) is { } error) return error;
        if (cluster is null && request.Ack == AckLevel.Replica) return NoReplicas("commit.ack");
        work.Begin(header, receivedAt, request.Count);
        work.Ack = request.Ack;
        work.AdmittedEpoch = MapEpoch;
        work.LostBefore = engine.LostBlocks;
        work.DeadlineMs = request.DeadlineMs;
        for (int i = 0; request.TryReadNext(out CommitItem item); i++)
        {
            if (!local.TryTakeWrite(item.Reservation, context.Time.GetTimestamp(), out LocalReservation held))
            {
                work.Refuse(i, new KvError(ErrorCode.LeaseExpired, $"items[{i}].reservation", $"{item.Reservation}",
                    "a reservation of this connection that has not run out"));
                continue;
            }

            work.Entries[i] = new PutEntry
            {
                Id = held.Id,
                Group = held.Group,
                Namespace = held.Namespace,
                Codec = held.Codec,
                Check = item.Check,
                Length = held.Reservation.Length,
            };
            if (cluster is not null && !IsAdmitted(work, i))
            {
                engine.Abort(held.Reservation);
                continue;
            }

            int length = held.Reservation.Length;
            uint crc = length == 0 ? 0 : Crc32C.Compute(engine.Arena.Slice(held.Reservation.Offset, length).Span);
            // The client wrote into the slot itself: it may leave it to the silo to say what was written.
            if (request.Flags.HasFlag(CommitFlags.ChecksBySilo))
                work.Entries[i].Check = BlockCheck.Compute(held.Id, held.Codec, 0, length, crc);
            SealChecked(work, i, held.Reservation, crc);
        }

        return null;
    }
}

using System.Runtime.CompilerServices;
using KvTier.Engine;
using KvTier.Protocol;

namespace KvTier.Silo.Native;

/// <content>Puts over the local path, second half: slots that the client has written are sealed.</content>
internal sealed partial class NativeConnection
{
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

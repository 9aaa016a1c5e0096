using KvTier.Client.Local;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Leases blocks in the silo's shared memory: no payload moves. Needs the local path.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="leases">Takes a lease, or the reason of a miss, for each block; at least as long as <paramref name="ids"/>. Each one
    /// that is a hit must be disposed.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait; leases that were granted all the same are given back.</param>
    /// <returns>How many are hits; <see cref="ErrorCode.Unsupported"/> when the arena is not mapped.</returns>
    public async ValueTask<Result<int>> LeaseAsync(
        ReadOnlyMemory<BlockId> ids, Memory<BlockLease> leases, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        CheckRoom(leases.Length, ids.Length, nameof(leases), optional: false);
        return ids.IsEmpty ? 0 : await LeaseAsync(ids, default, leases, timeout, 0, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The same of a silo of a cluster, with the group of each block, or none, and the epoch of the caller's map.</summary>
    internal async ValueTask<Result<int>> LeaseAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, Memory<BlockLease> leases, TimeSpan timeout, long epoch,
        CancellationToken cancellationToken)
    {
        LocalGetExchange get = client.LocalGets.Rent();
        try
        {
            get.Set(this, ids, groups);
            get.Route = new RouteContext(epoch, RouteRole.Client);
            if (await client.ExecuteAsync(get, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return TakeLeases(get, ids.Span, leases.Span);
        }
        finally
        {
            client.LocalGets.Return(get);
        }
    }

    /// <summary>Leases one block in the silo's shared memory. Needs the local path.</summary>
    /// <param name="id">The block.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The lease, which must be disposed when it is a hit; <see cref="ErrorCode.Unsupported"/>
    /// when the arena is not mapped.</returns>
    public async ValueTask<Result<BlockLease>> LeaseAsync(BlockId id, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        BlockId[] ids = [id];
        var leases = new BlockLease[1];
        Result<int> answer = await LeaseAsync(ids, leases, timeout, cancellationToken).ConfigureAwait(false);
        if (answer.Error is { } error) return error;
        return leases[0];
    }

    /// <summary>Reserves slots in the silo's shared memory to write blocks in place. Needs the local path.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="reservations">Takes a reservation for each; at least as long as <paramref name="blocks"/>. Each one must be committed
    /// or disposed.</param>
    /// <param name="options">Overwrite, time to live and timeout; the ack level is given with the commit.</param>
    /// <param name="cancellationToken">Ends the wait; slots that were reserved all the same are given back.</param>
    public async ValueTask<Result<ReserveSummary>> ReserveAsync(
        ReadOnlyMemory<ReserveBlock> blocks, Memory<BlockReservation> reservations, PutOptions options = default,
        CancellationToken cancellationToken = default)
    {
        CheckRoom(reservations.Length, blocks.Length, nameof(reservations), optional: false);
        if (blocks.IsEmpty) return default(ReserveSummary);
        LocalReserveExchange reserve = client.LocalReserves.Rent();
        try
        {
            reserve.Set(this, blocks, options);
            if (await client.ExecuteAsync(reserve, options.Timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return TakeReservations(reserve, blocks.Span, reservations.Span);
        }
        finally
        {
            client.LocalReserves.Return(reserve);
        }
    }

    /// <summary>Seals written reservations: from then on the blocks are found. Ends them whatever the outcome.</summary>
    /// <param name="reservations">Reservations with status <see cref="ReserveStatus.Reserved"/>, all of one <see cref="ReserveAsync"/> or
    /// several of the same connection; others are answered with <see cref="PutStatus.Refused"/>, those already present with <see
    /// cref="PutStatus.Present"/>.</param>
    /// <param name="statuses">Takes the outcome of each; empty when the caller does not care.</param>
    /// <param name="ack">How far the put must have come when it is acknowledged.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be stored all the same.</param>
    public async ValueTask<Result<PutSummary>> CommitAsync(
        ReadOnlyMemory<BlockReservation> reservations, Memory<PutStatus> statuses = default, AckLevel ack = AckLevel.Memory,
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        CheckRoom(statuses.Length, reservations.Length, nameof(statuses), optional: true);
        LocalCommitExchange commit = client.LocalCommits.Rent();
        int[] places = System.Buffers.ArrayPool<int>.Shared.Rent(Math.Max(reservations.Length, 1));
        try
        {
            PutSummary summary = Collect(reservations.Span, statuses.Span, commit, ack, places);
            if (commit.ItemCount == 0) return summary;
            if (await client.ExecuteAsync(commit, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            for (int i = 0; i < commit.ItemCount && !statuses.IsEmpty; i++) statuses.Span[places[i]] = commit.Statuses[i];
            return PutSummaries.Add(summary, commit.Summary);
        }
        finally
        {
            System.Buffers.ArrayPool<int>.Shared.Return(places);
            client.LocalCommits.Return(commit);
        }
    }

    private static int TakeLeases(LocalGetExchange get, ReadOnlySpan<BlockId> ids, Span<BlockLease> leases)
    {
        LocalSession session = get.Session;
        int hits = 0;
        for (int i = 0; i < ids.Length; i++)
        {
            LocalGetItem item = get.Items[i];
            if (!item.Status.IsHit())
            {
                leases[i] = new BlockLease(BlockStatus.Miss, item.Status.Reason());
                continue;
            }

            (int Place, int Generation) grant = (-1, 0);
            if (item.Lease != 0)
            {
                // A connection that ended meanwhile took the leases with it.
                if (!session.TryAcquire())
                {
                    leases[i] = new BlockLease(BlockStatus.Miss, MissReason.Deadline);
                    continue;
                }

                grant = session.Leases.Add(item.Lease);
                if (grant.Place < 0)
                {
                    // The caller keeps so many leases that have run out that there is no place to note another.
                    session.Release(item.Lease);
                    session.ReleaseMapping();
                    leases[i] = new BlockLease(BlockStatus.Miss, MissReason.Deadline);
                    continue;
                }
            }

            hits++;
            BlockStatus status = item.Status == GetStatus.SsdHit ? BlockStatus.SsdHit : BlockStatus.HostHit;
            leases[i] = new BlockLease(session, ids[i], status, grant, item, get.LeaseDeadlineNs);
        }

        return hits;
    }

    private ReserveSummary TakeReservations(LocalReserveExchange reserve, ReadOnlySpan<ReserveBlock> blocks,
        Span<BlockReservation> reservations)
    {
        LocalSession session = reserve.Session;
        Span<int> counts = stackalloc int[4];
        for (int i = 0; i < blocks.Length; i++)
        {
            ReservedItem item = reserve.Items[i];
            var status = (ReserveStatus)item.Status;
            bool reserved = status == ReserveStatus.Reserved;
            if (reserved && !session.TryAcquire()) (status, reserved) = (ReserveStatus.Refused, false);
            counts[(int)status]++;
            reservations[i] = reserved
                ? new BlockReservation(session, IdOf(blocks[i].Key.Span), blocks[i], session.Reservations.Add(item.Reservation),
                    item.Offset, reserve.LeaseDeadlineNs)
                : new BlockReservation(status, blocks[i].Length);
        }

        return new ReserveSummary(counts[0], counts[1], counts[2], reserve.Error, counts[3]);
    }

    /// <summary>Ends reservations and puts those that may be committed into a request.</summary>
    /// <returns>The outcome of the others.</returns>
    private static PutSummary Collect(
        ReadOnlySpan<BlockReservation> reservations, Span<PutStatus> statuses, LocalCommitExchange commit, AckLevel ack, int[] places)
    {
        LocalSession? session = null;
        int present = 0, refused = 0;
        KvError? error = null;
        for (int i = 0; i < reservations.Length; i++)
        {
            BlockReservation reservation = reservations[i];
            PutStatus status = PutStatus.Refused;
            if (reservation.Status == ReserveStatus.Present)
            {
                status = PutStatus.Present;
                present++;
            }
            else if (reservation.IsValid && (session is null || session == reservation.Session))
            {
                if (session is null) commit.Set(session = reservation.Session!, ack, reservations.Length);
                uint crc = Crc32C.Compute(reservation.Memory.Span);
                uint check = BlockCheck.Compute(reservation.Id, reservation.Codec, 0, reservation.Length, crc);
                if (reservation.TryEnd(out ulong number))
                {
                    places[commit.ItemCount] = i;
                    commit.Add(number, check);
                    continue;
                }
            }

            if (status == PutStatus.Refused)
            {
                refused++;
                error ??= new KvError(ErrorCode.LeaseExpired, $"reservations[{i}]",
                    $"{reservation.Status}, ended, expired or of another connection", "a live one");
                reservation.Dispose();
            }

            if (!statuses.IsEmpty) statuses[i] = status;
        }

        return new PutSummary(0, present, refused, error);
    }
}

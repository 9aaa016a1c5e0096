using KvTier.Engine;
using KvTier.Memory;
using KvTier.Silo.Metrics;

namespace KvTier.Silo.Native;

/// <summary>A slot that a local client is writing.</summary>
/// <param name="Reservation">The engine's reservation.</param>
/// <param name="Id">The block.</param>
/// <param name="Group">Its group.</param>
/// <param name="Namespace">Handle of its namespace.</param>
/// <param name="Codec">Stored form of its payload.</param>
internal readonly record struct LocalReservation(Reservation Reservation, BlockId Id, BlockId Group, ushort Namespace, byte Codec);

/// <summary>
/// What one local client holds in the arena: read leases and reservations, each with a deadline. Thread-safe: the connection uses it, late
/// answers add to it, and the sweep of the server ends what has run out.
/// </summary>
/// <remarks>
/// A read lease that runs out is simply released: the client looks at the clock after it has read and throws the bytes away. A reservation
/// that runs out is revoked, but its slot is not given back before the connection ends: a client that was stopped in the middle of a write
/// goes on writing when it wakes up, and must not hit another block. Revoked slots count against <see cref="Limits.ReservationsMax"/>.
/// </remarks>
internal sealed class LocalLeases(BlockEngine engine, Limits limits, SiloMetrics metrics)
{
    /// <summary>Added to a read lease's deadline before it is released: 100 ms for the two sides' readings of one clock. In ns.</summary>
    public const long ReadGraceNs = 100_000_000;

    /// <summary>The only owner in tables that belong to one connection.</summary>
    private const int Owner = 1;

    private readonly Lock gate = new();
    private readonly LeaseTable<BlockLease> reads = new();
    private readonly LeaseTable<LocalReservation> writes = new();
    private readonly List<Reservation> quarantine = [];
    private bool closed;

    /// <summary>Reservations revoked and not yet given back.</summary>
    public int QuarantinedCount
    {
        get
        {
            lock (gate) return quarantine.Count;
        }
    }

    /// <summary>Read leases held now.</summary>
    public int ReadCount
    {
        get
        {
            lock (gate) return reads.Count;
        }
    }

    /// <summary>Takes over a block's lease for the client.</summary>
    /// <param name="lease">The engine's lease; released here when it is refused.</param>
    /// <param name="deadlineNs">The deadline that the client is told.</param>
    /// <returns>The lease's number; 0 when the client holds too many, or is gone.</returns>
    public ulong GrantRead(in BlockLease lease, long deadlineNs)
    {
        lock (gate)
        {
            if (!closed && reads.Count < limits.LeasesMax) return reads.Grant(Owner, lease, deadlineNs + ReadGraceNs);
        }

        engine.Release(lease);
        return 0;
    }

    /// <summary>Ends a read lease; a number that is unknown has run out already.</summary>
    public void ReleaseRead(ulong number)
    {
        BlockLease lease;
        lock (gate)
        {
            if (!reads.TryEnd(number, Owner, out lease)) return;
        }

        engine.Release(lease);
    }

    /// <summary>Takes over a reservation for the client.</summary>
    /// <param name="reservation">The engine's reservation; given back here when it is refused.</param>
    /// <param name="deadlineNs">The deadline that the client is told.</param>
    /// <returns>The reservation's number; 0 when the client holds too many, or is gone.</returns>
    public ulong GrantWrite(in LocalReservation reservation, long deadlineNs)
    {
        lock (gate)
        {
            if (!closed && writes.Count + quarantine.Count < limits.ReservationsMax) return writes.Grant(Owner, reservation, deadlineNs);
        }

        engine.Abort(reservation.Reservation);
        return 0;
    }

    /// <summary>Takes a reservation out of the table for commit or abort.</summary>
    /// <returns>False when the number is unknown or has run out.</returns>
    public bool TryTakeWrite(ulong number, long nowNs, out LocalReservation reservation)
    {
        lock (gate)
        {
            if (!writes.TryGet(number, Owner, out reservation, out long deadline)
                || !writes.TryEnd(number, Owner, out reservation)) return false;
            if (deadline > nowNs) return true;
            quarantine.Add(reservation.Reservation);
        }

        metrics.ReservationRevoked();
        return false;
    }

    /// <summary>Ends what has run out.</summary>
    /// <returns>Reservations revoked by this call.</returns>
    public int Sweep(long nowNs)
    {
        while (true)
        {
            BlockLease lease;
            lock (gate)
            {
                if (!reads.TryEndExpired(nowNs, out lease, out _)) break;
            }

            engine.Release(lease);
            metrics.LeaseExpired();
        }

        int revoked = 0;
        lock (gate)
        {
            while (writes.TryEndExpired(nowNs, out LocalReservation reservation, out _))
            {
                quarantine.Add(reservation.Reservation);
                revoked++;
            }
        }

        for (int i = 0; i < revoked; i++) metrics.ReservationRevoked();
        return revoked;
    }

    /// <summary>True while the client may still write into the arena.</summary>
    public bool HoldsWritable
    {
        get
        {
            lock (gate) return writes.Count + quarantine.Count > 0;
        }
    }

    /// <summary>The client has gone: everything goes back, and nothing is granted any more.</summary>
    public void Close()
    {
        lock (gate)
        {
            closed = true;
            while (reads.TryEndAnyOf(Owner, out BlockLease lease)) engine.Release(lease);
            while (writes.TryEndAnyOf(Owner, out LocalReservation reservation)) engine.Abort(reservation.Reservation);
            foreach (Reservation reservation in quarantine) engine.Abort(reservation);
            quarantine.Clear();
        }
    }
}

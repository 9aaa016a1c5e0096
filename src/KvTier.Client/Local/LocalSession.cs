using System.Runtime.InteropServices;
using KvTier.Client.Connections;
using KvTier.Protocol;

namespace KvTier.Client.Local;

/// <summary>The local path of one connection: the mapped arena, what the silo has granted, and what goes back to it. Thread-safe.</summary>
internal sealed class LocalSession
{
    private readonly Connection connection;
    private readonly ArenaMapping mapping;
    private readonly TimeProvider time;
    private readonly int releaseBatch;
    private readonly TimeSpan releaseDelay;
    private readonly Lock gate = new();
    private readonly ITimer flushTimer;
    private readonly List<ulong> released = [];
    private readonly List<ulong> aborted = [];
    private bool closed;

    public LocalSession(Connection connection, ArenaMapping mapping, KvTierClientOptions options)
    {
        this.connection = connection;
        this.mapping = mapping;
        time = options.TimeProvider;
        releaseBatch = options.ReleaseBatch;
        releaseDelay = options.ReleaseDelay;
        LeaseMs = (int)Math.Clamp(Math.Ceiling(options.LeaseDuration.TotalMilliseconds), 1, connection.Limits.LeaseMsMax);
        Leases = new GrantTable(connection.Limits.LeasesMax);
        Reservations = new GrantTable(connection.Limits.ReservationsMax);
        flushTimer = time.CreateTimer(
            static state => _ = ((LocalSession)state!).connection.FlushAsync(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public GrantTable Leases { get; }

    public GrantTable Reservations { get; }

    /// <summary>How long leases and reservations are asked for, in ms.</summary>
    public int LeaseMs { get; }

    public long ArenaBytes => mapping.Info.SizeBytes;

    public Connection Connection => connection;

    /// <summary>False once the connection has ended: what was granted is void.</summary>
    public bool IsOpen => !Volatile.Read(ref closed) && connection.IsOpen;

    /// <summary>Now, in ns on the clock of lease deadlines.</summary>
    public long NowNs => time.TimestampFrequency == 1_000_000_000
        ? time.GetTimestamp()
        : (long)((Int128)time.GetTimestamp() * 1_000_000_000 / time.TimestampFrequency);

    public Memory<byte> Slice(long offset, int length) => mapping.Slice(offset, length);

    /// <summary>Keeps the arena mapped, for a grant or while bytes are read.</summary>
    public bool TryAcquire() => mapping.TryAcquire();

    public void ReleaseMapping() => mapping.Release();

    /// <summary>Ends the session with its connection.</summary>
    public void Close()
    {
        lock (gate)
        {
            if (closed) return;
            closed = true;
            released.Clear();
            aborted.Clear();
        }

        flushTimer.Dispose();
        mapping.Release();
    }

    /// <summary>Gives a lease back to the silo soon.</summary>
    public void Release(ulong lease) => Queue(released, lease);

    /// <summary>Gives leases back to the silo soon.</summary>
    public void Release(ReadOnlySpan<ulong> leases)
    {
        foreach (ulong lease in leases) Queue(released, lease);
    }

    /// <summary>Gives a reservation back to the silo soon.</summary>
    public void AbortReservation(ulong reservation) => Queue(aborted, reservation);

    /// <summary>Writes what is to be given back; called under the connection's send lock, before a request.</summary>
    public void WriteNotices(FrameBuffer buffer)
    {
        lock (gate)
        {
            WriteNotice(buffer, Opcode.LocalRelease, released);
            WriteNotice(buffer, Opcode.LocalAbort, aborted);
        }
    }

    /// <summary>Gives back what a late answer granted.</summary>
    /// <param name="opcode">The answer's opcode.</param>
    /// <param name="body">Its body.</param>
    /// <param name="count">Blocks of the request.</param>
    public void ReturnGrants(Opcode opcode, ReadOnlySpan<byte> body, int count)
    {
        if (opcode == Opcode.LocalGet
            && LocalGetResponseReader.TryRead(body, count, ArenaBytes, connection.Limits, out LocalGetResponseReader gets) is null)
        {
            while (gets.TryReadNext(out LocalGetItem item))
            {
                if (item.Lease != 0) Release(item.Lease);
            }
        }
        else if (opcode == Opcode.LocalReserve
            && LocalReserveResponseReader.TryRead(body, count, ArenaBytes, out LocalReserveResponseReader slots) is null)
        {
            while (slots.TryReadNext(out ReservedItem item))
            {
                if (item.Status == Protocol.ReserveStatus.Reserved) AbortReservation(item.Reservation);
            }
        }
        else if (opcode == Opcode.LocalRecall && LocalRecallResponse.TryReadSlot(body, ArenaBytes, out RecallSlot slot))
        {
            if (slot.Lease != 0) Release(slot.Lease);
        }
    }

    private static void WriteNotice(FrameBuffer buffer, Opcode opcode, List<ulong> numbers)
    {
        if (numbers.Count == 0) return;
        int start = Frame.Begin(buffer);
        NumbersNotice.Write(buffer, CollectionsMarshal.AsSpan(numbers));
        Frame.Complete(buffer, start, FrameKind.Notice, opcode, 0);
        numbers.Clear();
    }

    private void Queue(List<ulong> list, ulong number)
    {
        lock (gate)
        {
            if (closed) return;
            list.Add(number);
            int waiting = released.Count + aborted.Count;
            if (waiting == 1) flushTimer.Change(releaseDelay, Timeout.InfiniteTimeSpan);
            else if (waiting == releaseBatch) flushTimer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }
}

using KvTier.Client.Local;

namespace KvTier.Client;

/// <summary>
/// A slot in the silo's shared memory that is being written. Ends by <see cref="KvNamespace.CommitAsync"/> or by disposing it.
/// Copies of it are the same reservation.
/// </summary>
public readonly struct BlockReservation : IDisposable
{
    private readonly LocalSession? session;
    private readonly int place;
    private readonly int generation;
    private readonly long offset;
    private readonly long deadlineNs;

    internal BlockReservation(ReserveStatus status, int length)
    {
        Status = status;
        Length = length;
    }

    internal BlockReservation(
        LocalSession session, BlockId id, in ReserveBlock block, (int Place, int Generation) grant, long offset, long deadlineNs)
    {
        this.session = session;
        this.offset = offset;
        this.deadlineNs = deadlineNs;
        (place, generation) = grant;
        Id = id;
        Codec = block.Codec;
        Length = block.Length;
        Status = ReserveStatus.Reserved;
    }

    /// <summary>Reserved, present already, or refused.</summary>
    public ReserveStatus Status { get; }

    /// <summary>Bytes of the block.</summary>
    public int Length { get; }

    /// <summary>True while the slot may be written: reserved, not ended, not expired, and its connection stands.</summary>
    public bool IsValid => session is { IsOpen: true } && session.Reservations.IsLive(place, generation) && session.NowNs < deadlineNs;

    /// <summary>Where to write the block, <see cref="Length"/> bytes; empty when nothing is reserved.</summary>
    /// <exception cref="ObjectDisposedException">The reservation has ended.</exception>
    public Memory<byte> Memory
    {
        get
        {
            if (session is null || Length == 0) return default;
            ObjectDisposedException.ThrowIf(!session.Reservations.IsLive(place, generation), typeof(BlockReservation));
            return session.Slice(offset, Length);
        }
    }

    internal LocalSession? Session => session;

    internal BlockId Id { get; }

    internal byte Codec { get; }

    /// <summary>Gives the slot back unsealed; does nothing after a commit.</summary>
    public void Dispose()
    {
        if (TryEnd(out ulong number)) session!.AbortReservation(number);
    }

    /// <summary>Takes the number out, to be committed or aborted; the mapping reference goes with it.</summary>
    internal bool TryEnd(out ulong number)
    {
        number = 0;
        if (session is null || !session.Reservations.TryEnd(place, generation, out number)) return false;
        session.ReleaseMapping();
        return true;
    }
}

namespace KvTier.Client;

/// <summary>
/// A slot in the silo's shared memory that is being written. Ends by <see cref="KvNamespace.CommitAsync"/> or by disposing it.
/// Copies of it are the same reservation.
/// </summary>
public readonly struct BlockReservation : IDisposable
{
    /// <summary>Reserved, present already, or refused.</summary>
    public ReserveStatus Status { get; }

    /// <summary>Bytes of the block.</summary>
    public int Length { get; }

    /// <summary>True while the slot may be written: reserved, not ended, not expired, and its connection stands.</summary>
    public bool IsValid => throw new NotImplementedException();

    /// <summary>Where to write the block, <see cref="Length"/> bytes; empty when nothing is reserved.</summary>
    /// <exception cref="ObjectDisposedException">The reservation has ended.</exception>
    public Memory<byte> Memory => throw new NotImplementedException();

    /// <summary>Gives the slot back unsealed; does nothing after a commit.</summary>
    public void Dispose() => throw new NotImplementedException();
}

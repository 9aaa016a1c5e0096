namespace KvTier.Client;

/// <summary>
/// The right to read a block in the silo's shared memory until a deadline. Copies of it are the same lease; disposing one ends it, disposing
/// again does nothing.
/// </summary>
/// <remarks>After the deadline the silo may reuse the memory. Bytes count only if <see cref="IsValid"/> still holds after the last of them was
/// read: <see cref="TryCopyTo"/> and <see cref="TryRead"/> see to that.</remarks>
public readonly struct BlockLease : IDisposable
{
    /// <summary>Takes the block's bytes.</summary>
    /// <typeparam name="TState">Type of what is passed through.</typeparam>
    /// <param name="bytes">The bytes; valid during the call only.</param>
    /// <param name="state">What was passed through.</param>
    public delegate void Reader<in TState>(ReadOnlySpan<byte> bytes, TState state);

    /// <summary>Hit or miss.</summary>
    public BlockStatus Status { get; }

    /// <summary>Why it is a miss; <see cref="MissReason.None"/> on a hit.</summary>
    public MissReason Reason { get; }

    /// <summary>Bytes of the block.</summary>
    public int Length { get; }

    /// <summary>Stored form of the block; 0 is raw.</summary>
    public byte Codec { get; }

    /// <summary>True when there is a block to read.</summary>
    public bool IsHit => Status is BlockStatus.HostHit or BlockStatus.SsdHit;

    /// <summary>True while the lease is neither disposed nor expired and its connection stands: bytes read before now were the block's.</summary>
    public bool IsValid => throw new NotImplementedException();

    /// <summary>The block in shared memory; empty for a miss. Check <see cref="IsValid"/> after reading.</summary>
    /// <exception cref="ObjectDisposedException">The lease has been disposed.</exception>
    public ReadOnlyMemory<byte> Memory => throw new NotImplementedException();

    /// <summary>Reads every byte and compares with the check that came with the lease.</summary>
    /// <returns>True when the bytes are the block's and the lease is still valid after the last was read.</returns>
    public bool Verify() => throw new NotImplementedException();

    /// <summary>Copies the block.</summary>
    /// <param name="destination">At least <see cref="Length"/> bytes.</param>
    /// <returns>True when the lease was valid after the last byte; false makes the destination's bytes meaningless.</returns>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public bool TryCopyTo(Span<byte> destination) => throw new NotImplementedException();

    /// <summary>Passes the block to a callback.</summary>
    /// <returns>True when the lease was valid after the callback had returned; false makes what it saw meaningless.</returns>
    public bool TryRead<TState>(TState state, Reader<TState> reader) => throw new NotImplementedException();

    /// <summary>Gives the lease back. The silo is told soon, together with others.</summary>
    public void Dispose() => throw new NotImplementedException();
}

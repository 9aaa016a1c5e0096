using KvTier.Client.Local;

namespace KvTier.Client;

/// <summary>
/// The right to read a block in the silo's shared memory until a deadline. Copies of it are the same lease; disposing one ends it,
/// disposing again does nothing.
/// </summary>
/// <remarks>After the deadline the silo may reuse the memory. Bytes count only if <see cref="IsValid"/> still holds after the last of them
/// was read: <see cref="TryCopyTo"/> and <see cref="TryRead"/> see to that. A lease that is never disposed ends at its deadline or with its
/// connection; until then it counts in <see cref="KvTierClient.LeasesHeld"/>, and the mapping stays.</remarks>
public readonly struct BlockLease : IDisposable
{
    private readonly LocalSession? session;
    private readonly BlockId id;
    private readonly int place;
    private readonly int generation;
    private readonly long offset;
    private readonly long deadlineNs;
    private readonly uint check;

    internal BlockLease(BlockStatus status, MissReason reason)
    {
        Status = status;
        Reason = reason;
        place = -1;
    }

    internal BlockLease(LocalSession session, BlockId id, BlockStatus status, (int Place, int Generation) grant,
        in Protocol.LocalGetItem item, long deadlineNs)
    {
        this.session = session;
        this.id = id;
        this.deadlineNs = deadlineNs;
        (place, generation) = grant;
        offset = item.Offset;
        check = item.Check;
        Status = status;
        Length = item.Length;
        Codec = item.Codec;
    }

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

    /// <summary>
    /// True while the lease is neither disposed nor expired and its connection stands: bytes read before now were the block's.
    /// </summary>
    public bool IsValid => session is { IsOpen: true } && IsLive && session.NowNs < deadlineNs;

    /// <summary>The block in shared memory; empty for a miss. Check <see cref="IsValid"/> after reading.</summary>
    /// <exception cref="ObjectDisposedException">The lease has been disposed.</exception>
    public ReadOnlyMemory<byte> Memory
    {
        get
        {
            if (session is null || Length == 0) return default;
            ObjectDisposedException.ThrowIf(!IsLive, typeof(BlockLease));
            return session.Slice(offset, Length);
        }
    }

    private bool IsLive => place < 0 || session!.Leases.IsLive(place, generation);

    /// <summary>Reads every byte and compares with the check that came with the lease.</summary>
    /// <returns>True when the bytes are the block's and the lease is still valid after the last was read.</returns>
    public bool Verify()
    {
        uint crc = 0;
        if (!TryBegin()) return false;
        try
        {
            crc = Crc32C.Compute(Bytes);
        }
        finally
        {
            session!.ReleaseMapping();
        }

        return BlockCheck.Compute(id, Codec, 0, Length, crc) == check && IsValid;
    }

    /// <summary>Copies the block.</summary>
    /// <param name="destination">At least <see cref="Length"/> bytes.</param>
    /// <returns>True when the lease was valid after the last byte; false makes the destination's bytes meaningless.</returns>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public bool TryCopyTo(Span<byte> destination)
    {
        if (destination.Length < Length)
            throw new ArgumentException($"Needs room for {Length} bytes; has {destination.Length}.", nameof(destination));
        if (!TryBegin()) return false;
        try
        {
            Bytes.CopyTo(destination);
        }
        finally
        {
            session!.ReleaseMapping();
        }

        return IsValid;
    }

    /// <summary>Passes the block to a callback.</summary>
    /// <typeparam name="TState">Type of what is passed through.</typeparam>
    /// <param name="state">What is passed through.</param>
    /// <param name="reader">Takes the bytes.</param>
    /// <returns>True when the lease was valid after the callback had returned; false makes what it saw meaningless.</returns>
    public bool TryRead<TState>(TState state, Reader<TState> reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        if (!TryBegin()) return false;
        try
        {
            reader(Bytes, state);
        }
        finally
        {
            session!.ReleaseMapping();
        }

        return IsValid;
    }

    /// <summary>Gives the lease back. The silo is told soon, together with others.</summary>
    public void Dispose()
    {
        if (session is null || place < 0 || !session.Leases.TryEnd(place, generation, out ulong number)) return;
        session.Release(number);
        session.ReleaseMapping();
    }

    private ReadOnlySpan<byte> Bytes => Length == 0 ? default : session!.Slice(offset, Length).Span;

    /// <summary>Sees that the lease is valid and keeps the arena mapped while it is read, whoever disposes the lease meanwhile.</summary>
    private bool TryBegin() => IsValid && session!.TryAcquire();
}

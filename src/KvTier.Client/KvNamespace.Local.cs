namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Leases blocks in the silo's shared memory: no payload moves. Needs the local path.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="leases">Takes a lease, or the reason of a miss, for each block; at least as long as <paramref name="ids"/>. Each one that is a
    /// hit must be disposed.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait; leases that were granted all the same are given back.</param>
    /// <returns>How many are hits; <see cref="ErrorCode.Unsupported"/> when the arena is not mapped.</returns>
    public ValueTask<Result<int>> LeaseAsync(
        ReadOnlyMemory<BlockId> ids, Memory<BlockLease> leases, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Leases one block in the silo's shared memory. Needs the local path.</summary>
    /// <param name="id">The block.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The lease, which must be disposed when it is a hit; <see cref="ErrorCode.Unsupported"/> when the arena is not mapped.</returns>
    public ValueTask<Result<BlockLease>> LeaseAsync(BlockId id, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Reserves slots in the silo's shared memory to write blocks in place. Needs the local path.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="reservations">Takes a reservation for each; at least as long as <paramref name="blocks"/>. Each one must be committed or
    /// disposed.</param>
    /// <param name="options">Overwrite, time to live and timeout; the ack level is given with the commit.</param>
    /// <param name="cancellationToken">Ends the wait; slots that were reserved all the same are given back.</param>
    public ValueTask<Result<ReserveSummary>> ReserveAsync(
        ReadOnlyMemory<ReserveBlock> blocks, Memory<BlockReservation> reservations, PutOptions options = default,
        CancellationToken cancellationToken = default) => throw new NotImplementedException();

    /// <summary>Seals written reservations: from then on the blocks are found. Ends them whatever the outcome.</summary>
    /// <param name="reservations">Reservations with status <see cref="ReserveStatus.Reserved"/>, all of one <see cref="ReserveAsync"/> or several of
    /// the same connection; others are answered with <see cref="PutStatus.Refused"/>, those already present with <see cref="PutStatus.Present"/>.</param>
    /// <param name="statuses">Takes the outcome of each; empty when the caller does not care.</param>
    /// <param name="ack">How far the put must have come when it is acknowledged.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be stored all the same.</param>
    public ValueTask<Result<PutSummary>> CommitAsync(
        ReadOnlyMemory<BlockReservation> reservations, Memory<PutStatus> statuses = default, AckLevel ack = AckLevel.Memory,
        TimeSpan timeout = default, CancellationToken cancellationToken = default) => throw new NotImplementedException();
}

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>How many of these ordered blocks are in the silo without a gap from the first one on.</summary>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="tiers">Takes the tiers of each block counted; may be empty, or shorter than <paramref name="ids"/>.</param>
    /// <param name="touch">True to mark each block counted as used now.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public ValueTask<Result<int>> PrefixAsync(
        ReadOnlyMemory<BlockId> ids, Memory<TierSet> tiers = default, bool touch = false, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) => throw new NotImplementedException();

    /// <summary>Deletes blocks. Readers that hold a lease keep their bytes.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it was there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were there.</returns>
    public ValueTask<Result<int>> DeleteAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Keeps blocks from eviction for a time; a later pin replaces an earlier one.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="duration">How long, 1 ms to <see cref="Limits.PinMsMax"/>.</param>
    /// <param name="done">Takes for each whether it is there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are pinned.</returns>
    public ValueTask<Result<int>> PinAsync(
        ReadOnlyMemory<BlockId> ids, TimeSpan duration, Memory<bool> done = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) => throw new NotImplementedException();

    /// <summary>Ends pins.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it was pinned; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were pinned.</returns>
    public ValueTask<Result<int>> UnpinAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Marks blocks as used now.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it is there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are there.</returns>
    public ValueTask<Result<int>> TouchAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>Asks the silo to read blocks from SSD into host memory; does not wait for the reads.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it is there or its read has begun; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are there or being read.</returns>
    public ValueTask<Result<int>> PrefetchAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default, CancellationToken cancellationToken = default) =>
        throw new NotImplementedException();

    /// <summary>What the silo knows of blocks. Counts neither hits nor misses.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="descriptions">Takes the answers; at least as long as <paramref name="ids"/>.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are in some tier.</returns>
    public ValueTask<Result<int>> DescribeAsync(
        ReadOnlyMemory<BlockId> ids, Memory<BlockDescription> descriptions, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) => throw new NotImplementedException();
}

using KvTier.Client.Routing;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvClusterNamespace
{
    /// <summary>How many of these ordered blocks are in the cluster without a gap from the first one on.</summary>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="tiers">Takes the tiers of each block counted; may be empty, or shorter than <paramref name="ids"/>.</param>
    /// <param name="touch">True to mark each block counted as used now.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<int>> PrefixAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups = default, Memory<TierSet> tiers = default, bool touch = false,
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        CheckGroups(ids, groups);
        if (ids.IsEmpty) return 0;
        PrefixCall call = prefixes.Rent();
        try
        {
            return await call.PrefixAsync(this, ids, groups, tiers, touch, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            prefixes.Return(call);
        }
    }

    /// <summary>Deletes blocks. Readers that hold a lease keep their bytes.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="done">Takes for each whether it was there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were there.</returns>
    public ValueTask<Result<int>> DeleteAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups = default, Memory<bool> done = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Delete, ids, groups, done, 0, timeout, cancellationToken);

    /// <summary>Keeps blocks from eviction for a time; a later pin replaces an earlier one.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="duration">How long, 1 ms to <see cref="Limits.PinMsMax"/>.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="done">Takes for each whether it is there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are pinned.</returns>
    public ValueTask<Result<int>> PinAsync(
        ReadOnlyMemory<BlockId> ids, TimeSpan duration, ReadOnlyMemory<BlockId> groups = default, Memory<bool> done = default,
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
        return ForEachAsync(Opcode.Pin, ids, groups, done, (long)Math.Ceiling(duration.TotalMilliseconds), timeout, cancellationToken);
    }

    /// <summary>Ends pins.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="done">Takes for each whether it was pinned; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were pinned.</returns>
    public ValueTask<Result<int>> UnpinAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups = default, Memory<bool> done = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Unpin, ids, groups, done, 0, timeout, cancellationToken);

    /// <summary>Marks blocks as used now. A hint: blocks of a silo that is down count as not there.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="done">Takes for each whether it is there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are there.</returns>
    public ValueTask<Result<int>> TouchAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups = default, Memory<bool> done = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Touch, ids, groups, done, 0, timeout, cancellationToken);

    /// <summary>Asks silos to read blocks from SSD into host memory; does not wait for the reads. A hint, as with
    /// <see cref="TouchAsync"/>.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="done">Takes for each whether it is there or its read has begun; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are there or being read.</returns>
    public ValueTask<Result<int>> PrefetchAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups = default, Memory<bool> done = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Prefetch, ids, groups, done, 0, timeout, cancellationToken);

    /// <summary>What the owners know of blocks. Counts neither hits nor misses.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="descriptions">Takes the answers; at least as long as <paramref name="ids"/>.</param>
    /// <param name="groups">The group of each; empty when each is a group of its own.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are in some tier.</returns>
    public async ValueTask<Result<int>> DescribeAsync(
        ReadOnlyMemory<BlockId> ids, Memory<BlockDescription> descriptions, ReadOnlyMemory<BlockId> groups = default,
        TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        CheckRoom(descriptions.Length, ids.Length, nameof(descriptions), optional: false);
        CheckGroups(ids, groups);
        if (ids.IsEmpty) return 0;
        DescribeCall call = describes.Rent();
        try
        {
            return await call.DescribeAsync(this, ids, groups, descriptions, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            describes.Return(call);
        }
    }

    private async ValueTask<Result<int>> ForEachAsync(
        Opcode what, ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, Memory<bool> done, long pinMs, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        CheckRoom(done.Length, ids.Length, nameof(done), optional: true);
        CheckGroups(ids, groups);
        if (ids.IsEmpty) return 0;
        IdsCall call = idsCalls.Rent();
        try
        {
            return await call.RunAsync(this, what, ids, groups, done, pinMs, timeout, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            idsCalls.Return(call);
        }
    }

    private void CheckGroups(ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups)
    {
        if (!groups.IsEmpty && groups.Length != ids.Length)
            throw new ArgumentException($"One group for each of {ids.Length} blocks or none; there are {groups.Length}.", nameof(groups));
        Client.CheckOpen();
    }
}

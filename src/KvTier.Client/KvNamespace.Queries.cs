using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>How many of these ordered blocks are in the silo without a gap from the first one on.</summary>
    /// <param name="ids">Ids in the order of the sequence.</param>
    /// <param name="tiers">Takes the tiers of each block counted; may be empty, or shorter than <paramref name="ids"/>.</param>
    /// <param name="touch">True to mark each block counted as used now.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async ValueTask<Result<int>> PrefixAsync(
        ReadOnlyMemory<BlockId> ids, Memory<TierSet> tiers = default, bool touch = false, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        if (ids.IsEmpty) return 0;
        PrefixExchange prefix = client.Prefixes.Rent();
        try
        {
            prefix.Set(this, ids, default, tiers, touch);
            if (await client.ExecuteAsync(prefix, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return prefix.Count;
        }
        finally
        {
            client.Prefixes.Return(prefix);
        }
    }

    /// <summary>Deletes blocks. Readers that hold a lease keep their bytes.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it was there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were there.</returns>
    public ValueTask<Result<int>> DeleteAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default,
            CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Delete, ids, done, 0, timeout, cancellationToken);

    /// <summary>Keeps blocks from eviction for a time; a later pin replaces an earlier one.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="duration">How long, 1 ms to <see cref="Limits.PinMsMax"/>.</param>
    /// <param name="done">Takes for each whether it is there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are pinned.</returns>
    public ValueTask<Result<int>> PinAsync(
        ReadOnlyMemory<BlockId> ids, TimeSpan duration, Memory<bool> done = default, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(duration, TimeSpan.Zero);
        return ForEachAsync(Opcode.Pin, ids, done, (long)Math.Ceiling(duration.TotalMilliseconds), timeout, cancellationToken);
    }

    /// <summary>Ends pins.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it was pinned; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many were pinned.</returns>
    public ValueTask<Result<int>> UnpinAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default,
            CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Unpin, ids, done, 0, timeout, cancellationToken);

    /// <summary>Marks blocks as used now.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it is there; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are there.</returns>
    public ValueTask<Result<int>> TouchAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default,
            CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Touch, ids, done, 0, timeout, cancellationToken);

    /// <summary>Asks the silo to read blocks from SSD into host memory; does not wait for the reads.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="done">Takes for each whether it is there or its read has begun; empty when the caller does not care.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are there or being read.</returns>
    public ValueTask<Result<int>> PrefetchAsync(
        ReadOnlyMemory<BlockId> ids, Memory<bool> done = default, TimeSpan timeout = default,
            CancellationToken cancellationToken = default) =>
        ForEachAsync(Opcode.Prefetch, ids, done, 0, timeout, cancellationToken);

    /// <summary>What the silo knows of blocks. Counts neither hits nor misses.</summary>
    /// <param name="ids">The blocks.</param>
    /// <param name="descriptions">Takes the answers; at least as long as <paramref name="ids"/>.</param>
    /// <param name="timeout">How long it may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many are in some tier.</returns>
    public async ValueTask<Result<int>> DescribeAsync(
        ReadOnlyMemory<BlockId> ids, Memory<BlockDescription> descriptions, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        CheckRoom(descriptions.Length, ids.Length, nameof(descriptions), optional: false);
        if (ids.IsEmpty) return 0;
        DescribeExchange describe = client.Describes.Rent();
        try
        {
            describe.Set(this, ids, default, descriptions);
            if (await client.ExecuteAsync(describe, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return describe.Count;
        }
        finally
        {
            client.Describes.Return(describe);
        }
    }

    private async ValueTask<Result<int>> ForEachAsync(
        Opcode what, ReadOnlyMemory<BlockId> ids, Memory<bool> done, long pinMs, TimeSpan timeout, CancellationToken cancellationToken)
    {
        CheckRoom(done.Length, ids.Length, nameof(done), optional: true);
        if (ids.IsEmpty) return 0;
        IdsExchange exchange = client.Ids.Rent();
        try
        {
            exchange.Set(this, what, ids, done, pinMs);
            if (await client.ExecuteAsync(exchange, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return exchange.Count;
        }
        finally
        {
            client.Ids.Return(exchange);
        }
    }
}

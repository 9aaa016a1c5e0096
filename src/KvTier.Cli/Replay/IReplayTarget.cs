using KvTier.Client;

namespace KvTier.Cli;

/// <summary>Where a trace is replayed: one silo or a cluster.</summary>
internal interface IReplayTarget
{
    /// <summary>The id of a key.</summary>
    BlockId IdOf(ReadOnlySpan<byte> key);

    /// <summary>Counts a prefix and marks it as used.</summary>
    ValueTask<Result<int>> PrefixAsync(ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, CancellationToken cancel);

    /// <summary>Fetches blocks.</summary>
    ValueTask<Result<GetSummary>> GetAsync(ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, CancellationToken cancel);

    /// <summary>Stores blocks.</summary>
    ValueTask<Result<PutSummary>> PutAsync(ReadOnlyMemory<PutBlock> blocks, CancellationToken cancel);
}

/// <summary>One silo, which needs no groups.</summary>
internal sealed class SiloReplayTarget(KvNamespace blocks) : IReplayTarget
{
    public BlockId IdOf(ReadOnlySpan<byte> key) => blocks.IdOf(key);

    public ValueTask<Result<int>> PrefixAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, CancellationToken cancel) =>
        blocks.PrefixAsync(ids, touch: true, cancellationToken: cancel);

    public ValueTask<Result<GetSummary>> GetAsync(
        ReadOnlyMemory<GetBlock> gets, Memory<BlockResult> results, CancellationToken cancel) =>
        blocks.GetAsync(gets, results, cancellationToken: cancel);

    public ValueTask<Result<PutSummary>> PutAsync(ReadOnlyMemory<PutBlock> puts, CancellationToken cancel) =>
        blocks.PutAsync(puts, cancellationToken: cancel);
}

/// <summary>A cluster, through the client that routes.</summary>
internal sealed class ClusterReplayTarget(KvClusterNamespace blocks) : IReplayTarget
{
    public BlockId IdOf(ReadOnlySpan<byte> key) => blocks.IdOf(key);

    public ValueTask<Result<int>> PrefixAsync(
        ReadOnlyMemory<BlockId> ids, ReadOnlyMemory<BlockId> groups, CancellationToken cancel) =>
        blocks.PrefixAsync(ids, groups, touch: true, cancellationToken: cancel);

    public ValueTask<Result<GetSummary>> GetAsync(
        ReadOnlyMemory<GetBlock> gets, Memory<BlockResult> results, CancellationToken cancel) =>
        blocks.GetAsync(gets, results, cancellationToken: cancel);

    public ValueTask<Result<PutSummary>> PutAsync(ReadOnlyMemory<PutBlock> puts, CancellationToken cancel) =>
        blocks.PutAsync(puts, cancellationToken: cancel);
}

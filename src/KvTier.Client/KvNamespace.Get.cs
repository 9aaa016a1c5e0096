using System.Runtime.CompilerServices;
using KvTier.Client.Local;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Fetches blocks, or ranges of them, into buffers of the caller. Bytes that fail their check are a miss with reason
    /// <see cref="MissReason.Corrupt"/>; what the destination of a miss holds afterwards is undefined.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="results">Takes the answer to each block; at least as long as <paramref name="blocks"/>.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    public ValueTask<Result<GetSummary>> GetAsync(
        ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, TimeSpan timeout = default,
            CancellationToken cancellationToken = default)
    {
        CheckRoom(results.Length, blocks.Length, nameof(results), optional: false);
        return blocks.IsEmpty ? new(default(GetSummary)) : GetAsync(blocks, results, timeout, default, null, cancellationToken);
    }

    /// <summary>The same in a cluster: says what the route says, and takes what the silo says beside the blocks.</summary>
    internal ValueTask<Result<GetSummary>> GetAsync(
        ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, TimeSpan timeout, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        long bytes = 0;
        bool ranged = false;
        foreach (ref readonly GetBlock block in blocks.Span)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(block.Offset);
            ArgumentOutOfRangeException.ThrowIfNegative(block.Length);
            bytes += block.Destination.Length;
            ranged |= block.Offset != 0 || block.Length != 0;
        }

        // The check of a range is computed by the silo when it sends it: in shared memory there is only that of the whole block.
        return !ranged && client.PrefersLocal(bytes, blocks.Length)
            ? GetLocalAsync(blocks, results, timeout, route, answer, cancellationToken)
            : GetWireAsync(blocks, results, timeout, route, answer, cancellationToken);
    }

    /// <summary>Fetches one block, or a range of it, into a buffer of the caller.</summary>
    /// <param name="block">The block.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    public async ValueTask<Result<BlockResult>> GetAsync(GetBlock block, TimeSpan timeout = default,
        CancellationToken cancellationToken = default)
    {
        GetBlock[] blocks = [block];
        var results = new BlockResult[1];
        Result<GetSummary> answer = await GetAsync(blocks, results, timeout, cancellationToken).ConfigureAwait(false);
        if (answer.Error is { } error) return error;
        return results[0];
    }

    /// <summary>
    /// Fetches a block into a new array, for callers that do not know its length; takes two round trips in an opaque namespace.
    /// </summary>
    /// <param name="id">The block.</param>
    /// <param name="timeout">How long the get may take; zero for the client's default.</param>
    /// <param name="cancellationToken">Ends the get.</param>
    /// <returns>The answer, and the bytes when it is a hit (empty otherwise).</returns>
    public async ValueTask<Result<(BlockResult Answer, byte[] Bytes)>> GetArrayAsync(
        BlockId id, TimeSpan timeout = default, CancellationToken cancellationToken = default)
    {
        // In an opaque namespace the first get tells the length: an empty range of a block is answered without its bytes.
        byte[] bytes = new byte[BlockBytes];
        Result<BlockResult> result = await GetAsync(new GetBlock(id, bytes), timeout, cancellationToken).ConfigureAwait(false);
        if (!result.TryGet(out BlockResult answer, out KvError? error)) return error;
        if (answer.Status == BlockStatus.DestinationTooSmall)
        {
            bytes = new byte[answer.BlockLength];
            result = await GetAsync(new GetBlock(id, bytes), timeout, cancellationToken).ConfigureAwait(false);
            if (!result.TryGet(out answer, out error)) return error;
        }

        return (answer, answer.IsHit ? bytes : []);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Result<GetSummary>> GetWireAsync(
        ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, TimeSpan timeout, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        GetExchange get = client.Gets.Rent();
        try
        {
            get.Set(this, blocks, results);
            get.Route = route;
            if (await client.ExecuteAsync(get, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            if (answer is not null) (answer.Epoch, answer.Copies) = (get.AnsweredEpoch, get.Copies);
            for (int i = 0; i < get.CorruptCount; i++) client.Metrics.Corrupt();
            return Summarize(results.Span[..blocks.Length]);
        }
        finally
        {
            client.Gets.Return(get);
        }
    }

    /// <summary>Leases the blocks, copies them out and gives the leases back.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Result<GetSummary>> GetLocalAsync(
        ReadOnlyMemory<GetBlock> blocks, Memory<BlockResult> results, TimeSpan timeout, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        LocalGetExchange get = client.LocalGets.Rent();
        try
        {
            BlockId[] ids = get.RentIds(blocks.Length);
            bool grouped = FillIds(blocks.Span, ids);
            get.Set(this, ids.AsMemory(0, blocks.Length), grouped ? ids.AsMemory(blocks.Length, blocks.Length) : default);
            get.Route = route;
            if (await client.ExecuteAsync(get, timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            if (answer is not null) (answer.Epoch, answer.Copies) = (get.AnsweredEpoch, get.Copies);
            CopyLeased(get, blocks.Span, results.Span);
            return Summarize(results.Span[..blocks.Length]);
        }
        finally
        {
            client.LocalGets.Return(get);
        }
    }

    /// <summary>Writes ids and after them groups.</summary>
    /// <returns>True when a block is not a group of its own.</returns>
    private static bool FillIds(ReadOnlySpan<GetBlock> blocks, Span<BlockId> ids)
    {
        bool grouped = false;
        for (int i = 0; i < blocks.Length; i++)
        {
            ids[i] = blocks[i].Id;
            ids[blocks.Length + i] = blocks[i].Group == default ? blocks[i].Id : blocks[i].Group;
            grouped |= blocks[i].Group != default;
        }

        return grouped;
    }

    private void CopyLeased(LocalGetExchange get, ReadOnlySpan<GetBlock> blocks, Span<BlockResult> results)
    {
        LocalSession session = get.Session;
        bool mapped = session.TryAcquire();
        try
        {
            for (int i = 0; i < blocks.Length; i++)
            {
                LocalGetItem item = get.Items[i];
                results[i] = item.Status.IsHit()
                    ? CopyOne(session, mapped, blocks[i], item, get.LeaseDeadlineNs)
                    : BlockResult.Miss(item.Status.Reason());
                if (item.Lease != 0) session.Release(item.Lease);
            }
        }
        finally
        {
            if (mapped) session.ReleaseMapping();
        }
    }

    private BlockResult CopyOne(LocalSession session, bool mapped, in GetBlock block, in LocalGetItem item, long deadlineNs)
    {
        if (block.Destination.Length < item.Length)
            return new(BlockStatus.DestinationTooSmall, MissReason.None, item.Length, item.Length, item.Codec);
        if (!mapped) return BlockResult.Miss(MissReason.Deadline);
        Span<byte> destination = block.Destination.Span[..item.Length];
        uint crc = item.Length == 0 ? 0 : PieceCopy.Copy(session.Slice(item.Offset, item.Length).Span, destination);
        // Only now is it known whether what was copied was still the block.
        if (!session.IsOpen || session.NowNs >= deadlineNs) return BlockResult.Miss(MissReason.Deadline);
        if (BlockCheck.Compute(block.Id, item.Codec, 0, item.Length, crc) != item.Check)
        {
            client.Metrics.Corrupt();
            return BlockResult.Miss(MissReason.Corrupt);
        }

        BlockStatus status = item.Status == GetStatus.SsdHit ? BlockStatus.SsdHit : BlockStatus.HostHit;
        return new(status, MissReason.None, item.Length, item.Length, item.Codec);
    }

    private GetSummary Summarize(ReadOnlySpan<BlockResult> results)
    {
        int host = 0, ssd = 0, misses = 0;
        long bytes = 0;
        foreach (ref readonly BlockResult result in results)
        {
            if (result.Status == BlockStatus.HostHit) host++;
            else if (result.Status == BlockStatus.SsdHit) ssd++;
            else misses++;
            if (result.IsHit) bytes += result.Length;
            if (result.Status == BlockStatus.Miss) client.Metrics.Missed(result.Reason);
        }

        var summary = new GetSummary(host, ssd, misses, bytes);
        client.Metrics.Fetched(summary);
        return summary;
    }
}

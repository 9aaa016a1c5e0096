using System.Runtime.CompilerServices;
using KvTier.Client.Local;
using KvTier.Client.Requests;

namespace KvTier.Client;

public sealed partial class KvNamespace
{
    /// <summary>Stores blocks.</summary>
    /// <param name="blocks">The blocks.</param>
    /// <param name="statuses">Takes the outcome of each block; empty when the caller does not care, else at least as long as
    /// <paramref name="blocks"/>.</param>
    /// <param name="options">How; the default value asks for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait. The blocks may be stored all the same.</param>
    public ValueTask<Result<PutSummary>> PutAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses = default, PutOptions options = default,
            CancellationToken cancellationToken = default)
    {
        CheckRoom(statuses.Length, blocks.Length, nameof(statuses), optional: true);
        return blocks.IsEmpty ? new(default(PutSummary)) : PutAsync(blocks, statuses, options, default, null, cancellationToken);
    }

    /// <summary>The same in a cluster: says what the route says, and takes what the silo says beside the blocks.</summary>
    internal ValueTask<Result<PutSummary>> PutAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses, PutOptions options, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        long bytes = 0;
        foreach (ref readonly PutBlock block in blocks.Span) bytes += block.Payload.Length;
        return client.PrefersLocal(bytes, blocks.Length)
            ? PutLocalAsync(blocks, statuses, options, route, answer, cancellationToken)
            : PutWireAsync(blocks, statuses, options, route, answer, cancellationToken);
    }

    /// <summary>Stores one block.</summary>
    /// <param name="key">The key, 1 to <see cref="Limits.KeyBytesMax"/> bytes.</param>
    /// <param name="payload">The bytes.</param>
    /// <param name="options">How; the default value asks for the defaults.</param>
    /// <param name="cancellationToken">Ends the wait. The block may be stored all the same.</param>
    /// <returns>Stored or present; the error when it was refused or is not as durable as was asked.</returns>
    public async ValueTask<Result<PutStatus>> PutAsync(
        ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> payload, PutOptions options = default, CancellationToken cancellationToken = default)
    {
        PutBlock[] blocks = [new PutBlock(key, payload)];
        Result<PutSummary> result = await PutAsync(blocks, default, options, cancellationToken).ConfigureAwait(false);
        if (!result.TryGet(out PutSummary summary, out KvError? error)) return error;
        if (summary.Error is { } refused) return refused;
        if (summary.Moved > 0) return PutStatus.Moved;
        return summary.Stored > 0 ? PutStatus.Stored : PutStatus.Present;
    }

    private static void CheckRoom(int room, int needed, string name, bool optional)
    {
        if (room < needed && !(optional && room == 0)) throw new ArgumentException($"Needs room for {needed}; has {room}.", name);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Result<PutSummary>> PutWireAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses, PutOptions options, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        PutExchange put = client.Puts.Rent();
        try
        {
            put.Set(this, blocks, statuses, options);
            put.Route = route;
            if (await client.ExecuteAsync(put, options.Timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            if (answer is not null) answer.Epoch = put.AnsweredEpoch;
            return put.Summary;
        }
        finally
        {
            client.Puts.Return(put);
        }
    }

    /// <summary>Reserves, writes in place and commits.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Result<PutSummary>> PutLocalAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses, PutOptions options, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        LocalReserveExchange reserve = client.LocalReserves.Rent();
        LocalCommitExchange commit = client.LocalCommits.Rent();
        try
        {
            reserve.Set(this, blocks, options);
            reserve.Route = route;
            if (await client.ExecuteAsync(reserve, options.Timeout, cancellationToken).ConfigureAwait(false) is { } refused) return refused;
            if (answer is not null) answer.Epoch = reserve.AnsweredEpoch;
            LocalSession session = reserve.Session;
            commit.Set(session, options.Ack, blocks.Length);
            if (!WriteReserved(reserve, commit, blocks.Span))
                return new KvError(ErrorCode.Unavailable, "connection", "closed", "an open connection");
            if (commit.ItemCount == 0 && options.Ack == AckLevel.Memory) return PutSummaries.Merge(reserve, commit, statuses);
            bool committed = false;
            try
            {
                if (await client.ExecuteAsync(commit, options.Timeout, cancellationToken).ConfigureAwait(false) is { } failed)
                    return failed;
                committed = true;
            }
            finally
            {
                if (!committed) AbortAll(session, commit);
            }

            return PutSummaries.Merge(reserve, commit, statuses);
        }
        finally
        {
            client.LocalReserves.Return(reserve);
            client.LocalCommits.Return(commit);
        }
    }

    private static void AbortAll(LocalSession session, LocalCommitExchange commit)
    {
        foreach (Protocol.CommitItem item in commit.Items) session.AbortReservation(item.Reservation);
    }

    /// <summary>Copies payloads into their slots, computing each check while the bytes are in the processor's cache.</summary>
    /// <returns>False when the arena is not mapped any more.</returns>
    private bool WriteReserved(LocalReserveExchange reserve, LocalCommitExchange commit, ReadOnlySpan<PutBlock> blocks)
    {
        LocalSession session = reserve.Session;
        if (!session.TryAcquire()) return false;
        try
        {
            for (int i = 0; i < blocks.Length; i++)
            {
                Protocol.ReservedItem item = reserve.Items[i];
                if (item.Status != Protocol.ReserveStatus.Reserved) continue;
                ReadOnlySpan<byte> payload = blocks[i].Payload.Span;
                uint crc = payload.IsEmpty ? 0 : PieceCopy.Copy(payload, session.Slice(item.Offset, payload.Length).Span);
                BlockId id = BlockId.Compute(Id, blocks[i].Key.Span);
                commit.Add(item.Reservation, BlockCheck.Compute(id, blocks[i].Codec, 0, payload.Length, crc));
            }

            return true;
        }
        finally
        {
            session.ReleaseMapping();
        }
    }
}

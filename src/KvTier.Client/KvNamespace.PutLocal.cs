using System.Runtime.CompilerServices;
using KvTier.Client.Local;
using KvTier.Client.Requests;

namespace KvTier.Client;

/// <content>Putting blocks through shared memory.</content>
public sealed partial class KvNamespace
{
    /// <summary>
    /// Stores blocks part by part, each so small that the arena has room for it: what is reserved can't be evicted to make room for the
    /// rest, what is committed can.
    /// </summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Result<PutSummary>> PutLocalAsync(
        ReadOnlyMemory<PutBlock> blocks, Memory<PutStatus> statuses, PutOptions options, RouteContext route, RouteAnswer? answer,
        CancellationToken cancellationToken)
    {
        // The first request of a client: only the connection tells how large the arena is.
        if (client.Silo is null && await client.PingAsync(options.Timeout, cancellationToken).ConfigureAwait(false) is { } unreachable)
            return unreachable;
        int count = PutParts.FirstOf(blocks.Span, client.Silo);
        if (count == blocks.Length) return await PutPartAsync(blocks, statuses, options, route, answer, cancellationToken)
            .ConfigureAwait(false);
        long deadline = client.DeadlineOf(options.Timeout);
        PutSummary sum = default;
        while (true)
        {
            TimeSpan left = client.Until(deadline);
            if (left <= TimeSpan.Zero)
                return new KvError(ErrorCode.DeadlineExceeded, "timeout", $"passed, {blocks.Length} blocks left", "all parts before it");
            Result<PutSummary> part = await PutPartAsync(
                blocks[..count], statuses.IsEmpty ? default : statuses[..count], options with { Timeout = left }, route, answer,
                cancellationToken).ConfigureAwait(false);
            if (!part.TryGet(out PutSummary stored, out KvError? error)) return error;
            sum = PutSummaries.Add(sum, stored);
            blocks = blocks[count..];
            if (blocks.IsEmpty) return sum;
            if (!statuses.IsEmpty) statuses = statuses[count..];
            count = PutParts.FirstOf(blocks.Span, client.Silo);
        }
    }

    /// <summary>Reserves, writes in place and commits.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Result<PutSummary>> PutPartAsync(
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

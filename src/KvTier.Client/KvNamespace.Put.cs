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
}

using System.Runtime.CompilerServices;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>Fetches blocks from their owners, or from other holders where the owner does not answer in time.</summary>
internal sealed class GetCall : RoutedCall<GetPart>
{
    private ReadOnlyMemory<GetBlock> blocks;
    private Memory<BlockResult> results;

    protected override bool IsRead => true;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<GetSummary>> GetAsync(
        KvClusterNamespace ns, ReadOnlyMemory<GetBlock> get, Memory<BlockResult> answers, TimeSpan timeout,
        CancellationToken cancellationToken)
    {
        (blocks, results) = (get, answers);
        Begin(ns, get.Length);
        for (int i = 0; i < get.Length; i++)
        {
            ref readonly GetBlock block = ref get.Span[i];
            ArgumentOutOfRangeException.ThrowIfNegative(block.Offset);
            ArgumentOutOfRangeException.ThrowIfNegative(block.Length);
            SetGroup(i, block.Group == default ? block.Id : block.Group);
        }

        try
        {
            if (await RunAsync(timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return Summarize(answers.Span[..get.Length]);
        }
        finally
        {
            Clear();
        }
    }

    protected override void Add(GetPart part, int place)
    {
        GetBlock block = blocks.Span[place];
        part.Blocks[part.Add(place)] = block;
        part.Bytes += block.Destination.Length;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<KvError?> SendAsync(GetPart part, TimeSpan timeout, CancellationToken cancellationToken)
    {
        Client.Budget.Earn();
        if (DelayOf(part) is not { } delay || delay >= timeout)
            return await part.FetchAsync(Namespace, timeout, cancellationToken).ConfigureAwait(false);
        Task<KvError?> first = part.FetchAsync(Namespace, timeout, cancellationToken).AsTask();
        if (first.IsCompleted) return await first.ConfigureAwait(false);
        Task inTime = first.WaitAsync(delay, Client.Time, CancellationToken.None);
        await inTime.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (first.IsCompleted || !Client.Budget.TrySpend()) return await first.ConfigureAwait(false);
        var hedge = new Hedge(Namespace, Table, part, Groups);
        return await hedge.RunAsync(first, timeout, cancellationToken).ConfigureAwait(false);
    }

    protected override void Settle(GetPart part)
    {
        if (part.Answer.Epoch > 0 && part.Route.Role == RouteRole.Client) Client.NoteCopies(Groups[part.Places[0]], part.Answer.Copies);
        for (int i = 0; i < part.Count; i++)
        {
            int place = part.Places[i];
            BlockResult result = part.Results[i];
            bool miss = result.Status == BlockStatus.Miss;
            if (miss && result.Reason == MissReason.Moved) Moved(part);
            else if (miss && part.Route.Role == RouteRole.Hedge) TryNext(place);
            else End(place, result);
        }
    }

    protected override void Lost(int place) => End(place, BlockResult.Miss(MissReason.OwnerLost));

    protected override void Clear()
    {
        base.Clear();
        blocks = default;
        results = default;
    }

    /// <summary>When a second silo is to be asked; null for never: values that may be replaced are only right with their owner.</summary>
    private TimeSpan? DelayOf(GetPart part)
    {
        bool alone = part.Route.Role == RouteRole.Hedge || Namespace.Descriptor.IsMutable || HoldersOf(Groups[part.Places[0]]) == 1;
        return alone ? null : Client.HedgeDelay(part.Link, part.Bytes);
    }

    private void End(int place, BlockResult result)
    {
        results.Span[place] = result;
        Done(place);
    }

    private static GetSummary Summarize(ReadOnlySpan<BlockResult> results)
    {
        int host = 0, ssd = 0, misses = 0;
        long bytes = 0;
        foreach (ref readonly BlockResult result in results)
        {
            if (result.Status == BlockStatus.HostHit) host++;
            else if (result.Status == BlockStatus.SsdHit) ssd++;
            else misses++;
            if (result.IsHit) bytes += result.Length;
        }

        return new GetSummary(host, ssd, misses, bytes);
    }
}

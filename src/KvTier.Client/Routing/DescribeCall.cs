using System.Runtime.CompilerServices;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>Ids for one silo, with what it knows of them.</summary>
internal sealed class DescribePart : IdsPart
{
    public BlockDescription[] Descriptions { get; private set; } = [];

    protected override void Grow(int room)
    {
        base.Grow(room);
        Descriptions = new BlockDescription[room];
    }
}

/// <summary>Asks owners what they know of blocks.</summary>
internal sealed class DescribeCall : RoutedCall<DescribePart>
{
    private ReadOnlyMemory<BlockId> ids;
    private Memory<BlockDescription> descriptions;
    private int here;

    protected override bool IsRead => true;

    public async ValueTask<Result<int>> DescribeAsync(
        KvClusterNamespace ns, ReadOnlyMemory<BlockId> blocks, ReadOnlyMemory<BlockId> groupsOf, Memory<BlockDescription> answers,
        TimeSpan timeout, CancellationToken cancellationToken)
    {
        (ids, descriptions, here) = (blocks, answers, 0);
        Begin(ns, blocks.Length);
        for (int i = 0; i < blocks.Length; i++) SetGroup(i, groupsOf.IsEmpty ? blocks.Span[i] : groupsOf.Span[i]);
        try
        {
            if (await RunAsync(timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return here;
        }
        finally
        {
            Clear();
        }
    }

    protected override void Add(DescribePart part, int place)
    {
        int at = part.Add(place);
        part.Ids[at] = ids.Span[place];
        part.Groups[at] = Groups[place];
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<KvError?> SendAsync(DescribePart part, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (part.Link.NamespaceOf(Namespace) is not { } ns || part.Link.Client is not { } client) return part.Link.Left();
        DescribeExchange exchange = client.Describes.Rent();
        try
        {
            exchange.Set(ns, part.Ids.AsMemory(0, part.Count), part.Groups.AsMemory(0, part.Count), part.Descriptions);
            exchange.Route = part.Route;
            KvError? error = await part.Link.ExecuteAsync(exchange, timeout, cancellationToken).ConfigureAwait(false);
            part.Answer.Epoch = exchange.AnsweredEpoch;
            return error;
        }
        finally
        {
            client.Describes.Return(exchange);
        }
    }

    protected override void Settle(DescribePart part)
    {
        for (int i = 0; i < part.Count; i++)
        {
            int place = part.Places[i];
            BlockDescription found = part.Descriptions[i];
            if (found.Tiers == TierSet.None && found.Reason == MissReason.Moved) Moved(part);
            else if (found.Tiers == TierSet.None && part.Route.Role == RouteRole.Hedge) TryNext(place);
            else End(place, found);
        }
    }

    protected override void Lost(int place) => End(place, default(BlockDescription) with { Reason = MissReason.OwnerLost });

    protected override void Clear()
    {
        base.Clear();
        ids = default;
        descriptions = default;
    }

    private void End(int place, BlockDescription found)
    {
        if (found.Tiers != TierSet.None) here++;
        descriptions.Span[place] = found;
        Done(place);
    }
}

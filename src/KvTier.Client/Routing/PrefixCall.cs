using System.Runtime.CompilerServices;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>Ids of a prefix that lie on one silo, in their order.</summary>
internal sealed class PrefixPart : IdsPart
{
    public TierSet[] Tiers { get; private set; } = [];

    /// <summary>How many of them are there without a gap.</summary>
    public int Here { get; set; }

    /// <summary>True when the next one is not this silo's to have.</summary>
    public bool IsMoved { get; set; }

    protected override void Grow(int room)
    {
        base.Grow(room);
        Tiers = new TierSet[room];
    }
}

/// <summary>Counts a prefix over all silos: it ends at the first block that any of them lacks.</summary>
internal sealed class PrefixCall : RoutedCall<PrefixPart>
{
    private ReadOnlyMemory<BlockId> ids;
    private Memory<TierSet> tiers;
    private bool touch;
    private int end;

    protected override bool IsRead => true;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<int>> PrefixAsync(
        KvClusterNamespace ns, ReadOnlyMemory<BlockId> blocks, ReadOnlyMemory<BlockId> groupsOf, Memory<TierSet> where, bool use,
        TimeSpan timeout, CancellationToken cancellationToken)
    {
        (ids, tiers, touch, end) = (blocks, where, use, blocks.Length);
        Begin(ns, blocks.Length);
        for (int i = 0; i < blocks.Length; i++) SetGroup(i, groupsOf.IsEmpty ? blocks.Span[i] : groupsOf.Span[i]);
        try
        {
            if (await RunAsync(timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return end;
        }
        finally
        {
            Clear();
        }
    }

    protected override void Add(PrefixPart part, int place)
    {
        int at = part.Add(place);
        part.Ids[at] = ids.Span[place];
        part.Groups[at] = Groups[place];
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<KvError?> SendAsync(PrefixPart part, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (part.Link.NamespaceOf(Namespace) is not { } ns || part.Link.Client is not { } client) return part.Link.Left();
        PrefixExchange exchange = client.Prefixes.Rent();
        try
        {
            exchange.Set(ns, part.Ids.AsMemory(0, part.Count), part.Groups.AsMemory(0, part.Count), part.Tiers, touch);
            exchange.Route = part.Route;
            KvError? error = await part.Link.ExecuteAsync(exchange, timeout, cancellationToken).ConfigureAwait(false);
            (part.Here, part.IsMoved, part.Answer.Epoch) = (exchange.Count, exchange.Moved, exchange.AnsweredEpoch);
            return error;
        }
        finally
        {
            client.Prefixes.Return(exchange);
        }
    }

    protected override void Settle(PrefixPart part)
    {
        for (int i = 0; i < part.Here; i++)
        {
            int place = part.Places[i];
            if (place < tiers.Length) tiers.Span[place] = part.Tiers[i];
            Done(place);
        }

        if (part.Here == part.Count) return;
        if (part.IsMoved) Moved(part);
        else if (part.Route.Role == RouteRole.Hedge) TryNext(part.Places[part.Here]);
        else end = Math.Min(end, part.Places[part.Here]);
    }

    protected override void Lost(int place) => end = Math.Min(end, place);

    /// <summary>What comes after the first that is lacking need not be known.</summary>
    protected override void EndRound()
    {
        for (int i = end; i < ids.Length; i++) Done(i);
    }

    protected override void Clear()
    {
        base.Clear();
        ids = default;
        tiers = default;
    }
}

using System.Runtime.CompilerServices;
using KvTier.Client.Requests;
using KvTier.Protocol;

namespace KvTier.Client.Routing;

/// <summary>Ids for one silo.</summary>
internal class IdsPart : RoutedPart
{
    public BlockId[] Ids { get; private set; } = [];

    public BlockId[] Groups { get; private set; } = [];

    public ItemStatus[] Statuses { get; private set; } = [];

    protected override void Grow(int room)
    {
        Ids = new BlockId[room];
        Groups = new BlockId[room];
        Statuses = new ItemStatus[room];
    }
}

/// <summary>Delete, pin, unpin, touch or prefetch.</summary>
internal sealed class IdsCall : RoutedCall<IdsPart>
{
    private Opcode opcode;
    private ReadOnlyMemory<BlockId> ids;
    private Memory<bool> outcomes;
    private long pinMs;
    private int yes;

    /// <summary>Touch and prefetch are hints: what can't be told at once is not here.</summary>
    protected override bool IsRead => opcode is Opcode.Touch or Opcode.Prefetch;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<int>> RunAsync(
        KvClusterNamespace ns, Opcode what, ReadOnlyMemory<BlockId> blocks, ReadOnlyMemory<BlockId> groupsOf, Memory<bool> done,
        long pinFor, TimeSpan timeout, CancellationToken cancellationToken)
    {
        (opcode, ids, outcomes, pinMs, yes) = (what, blocks, done, pinFor, 0);
        Begin(ns, blocks.Length);
        for (int i = 0; i < blocks.Length; i++) SetGroup(i, groupsOf.IsEmpty ? blocks.Span[i] : groupsOf.Span[i]);
        try
        {
            if (await RunAsync(timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return yes;
        }
        finally
        {
            Clear();
        }
    }

    protected override void Add(IdsPart part, int place)
    {
        int at = part.Add(place);
        part.Ids[at] = ids.Span[place];
        part.Groups[at] = Groups[place];
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<KvError?> SendAsync(IdsPart part, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (part.Link.NamespaceOf(Namespace) is not { } ns || part.Link.Client is not { } client) return part.Link.Left();
        IdsExchange exchange = client.Ids.Rent();
        try
        {
            exchange.Set(ns, opcode, part.Ids.AsMemory(0, part.Count), default, pinMs);
            exchange.SetRouted(part.Groups.AsMemory(0, part.Count), part.Statuses);
            exchange.Route = part.Route;
            KvError? error = await part.Link.ExecuteAsync(exchange, timeout, cancellationToken).ConfigureAwait(false);
            part.Answer.Epoch = exchange.AnsweredEpoch;
            return error;
        }
        finally
        {
            client.Ids.Return(exchange);
        }
    }

    protected override void Settle(IdsPart part)
    {
        for (int i = 0; i < part.Count; i++)
        {
            int place = part.Places[i];
            if (part.Statuses[i] == ItemStatus.Moved) Moved(part);
            else if (part.Statuses[i] == ItemStatus.NotHere && part.Route.Role == RouteRole.Hedge) TryNext(place);
            else End(place, part.Statuses[i] == ItemStatus.Done);
        }
    }

    protected override void Lost(int place) => End(place, false);

    protected override void Clear()
    {
        base.Clear();
        ids = default;
        outcomes = default;
    }

    private void End(int place, bool was)
    {
        if (was) yes++;
        if (!outcomes.IsEmpty) outcomes.Span[place] = was;
        Done(place);
    }
}

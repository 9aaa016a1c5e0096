using System.Runtime.CompilerServices;
using KvTier.Client.Requests;

namespace KvTier.Client.Routing;

/// <summary>Blocks to store on one silo.</summary>
internal sealed class PutPart : RoutedPart
{
    public PutBlock[] Blocks { get; private set; } = [];

    public PutStatus[] Statuses { get; private set; } = [];

    public PutSummary Summary { get; set; }

    public override void Clear()
    {
        base.Clear();
        Array.Clear(Blocks, 0, Count);
        Summary = default;
    }

    protected override void Grow(int room)
    {
        Blocks = new PutBlock[room];
        Statuses = new PutStatus[room];
    }
}

/// <summary>Stores blocks on their owners.</summary>
internal sealed class PutCall : RoutedCall<PutPart>
{
    private ReadOnlyMemory<PutBlock> blocks;
    private Memory<PutStatus> statuses;
    private PutOptions options;
    private PutSummary summary;
    private bool[] stored = [];

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Result<PutSummary>> PutAsync(
        KvClusterNamespace ns, ReadOnlyMemory<PutBlock> put, Memory<PutStatus> outcome, PutOptions how, CancellationToken cancellationToken)
    {
        (blocks, statuses, options, summary) = (put, outcome, how, default);
        Begin(ns, put.Length);
        if (stored.Length < put.Length) stored = new bool[put.Length];
        Array.Clear(stored, 0, put.Length);
        for (int i = 0; i < put.Length; i++)
        {
            PutBlock block = put.Span[i];
            SetGroup(i, block.Group == default ? BlockId.Compute(ns.Id, block.Key.Span) : block.Group);
        }

        try
        {
            if (await RunAsync(how.Timeout, cancellationToken).ConfigureAwait(false) is { } error) return error;
            return summary;
        }
        finally
        {
            Clear();
        }
    }

    protected override void Add(PutPart part, int place) => part.Blocks[part.Add(place)] = blocks.Span[place];

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected override async ValueTask<KvError?> SendAsync(PutPart part, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (part.Link.NamespaceOf(Namespace) is not { } ns) return part.Link.Left();
        try
        {
            Result<PutSummary> answer = await ns.PutAsync(
                part.Blocks.AsMemory(0, part.Count), part.Statuses.AsMemory(0, part.Count), options with { Timeout = timeout }, part.Route,
                part.Answer, cancellationToken).ConfigureAwait(false);
            if (!answer.TryGet(out PutSummary stored, out KvError? error)) return error;
            part.Summary = stored;
            return null;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Request.Cancelled;
        }
        catch (ObjectDisposedException)
        {
            return part.Link.Left();
        }
    }

    protected override void Settle(PutPart part)
    {
        KvError? error = part.Summary.Error;
        bool again = error is not null && IsPassing(error);
        if (!again) summary = summary with { Error = summary.Error ?? error };
        for (int i = 0; i < part.Count; i++)
        {
            PutStatus status = part.Statuses[i];
            int place = part.Places[i];
            stored[place] |= status == PutStatus.Stored;
            if (status == PutStatus.Moved) Moved(part);
            else if (again && (status == PutStatus.Refused || options.Ack == AckLevel.Replica)) NotYet(error!);
            else End(place, status == PutStatus.Present && stored[place] ? PutStatus.Stored : status);
        }
    }

    protected override void Clear()
    {
        base.Clear();
        blocks = default;
        statuses = default;
    }

    private void End(int place, PutStatus status)
    {
        summary = status switch
        {
            PutStatus.Stored => summary with { Stored = summary.Stored + 1 },
            PutStatus.Present => summary with { Present = summary.Present + 1 },
            _ => summary with { Refused = summary.Refused + 1 },
        };
        if (!statuses.IsEmpty) statuses.Span[place] = status;
        Done(place);
    }
}

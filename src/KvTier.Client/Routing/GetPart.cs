using System.Runtime.CompilerServices;
using KvTier.Client.Requests;

namespace KvTier.Client.Routing;

/// <summary>Blocks to fetch from one silo.</summary>
internal sealed class GetPart : RoutedPart
{
    private CancellationTokenSource ended = new();

    public GetBlock[] Blocks { get; private set; } = [];

    public BlockResult[] Results { get; private set; } = [];

    /// <summary>Bytes that the destinations have room for.</summary>
    public long Bytes { get; set; }

    /// <summary>Ends the get from within, when another silo has answered.</summary>
    public void End() => ended.Cancel();

    /// <summary>Fetches the blocks.</summary>
    /// <returns>Null when the results are there; <see cref="Request.Cancelled"/> when the token was cancelled or the get ended.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<KvError?> FetchAsync(KvClusterNamespace of, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (Link.NamespaceOf(of) is not { } ns) return Link.Left();
        if (!ended.TryReset()) ended = new CancellationTokenSource();
        long begin = of.Client.Time.GetTimestamp();
        CancellationTokenRegistration outer = cancellationToken.UnsafeRegister(
            static source => ((CancellationTokenSource)source!).Cancel(), ended);
        try
        {
            Result<GetSummary> answer = await ns.GetAsync(
                Blocks.AsMemory(0, Count), Results.AsMemory(0, Count), timeout, Route, Answer, ended.Token).ConfigureAwait(false);
            if (answer.Error is null) Link.Latency.Add(Bytes, of.Client.Time.GetElapsedTime(begin));
            return answer.Error;
        }
        catch (OperationCanceledException)
        {
            // It took at least so long.
            Link.Latency.Add(Bytes, of.Client.Time.GetElapsedTime(begin));
            return Request.Cancelled;
        }
        catch (ObjectDisposedException)
        {
            return Link.Left();
        }
        finally
        {
            outer.Dispose();
        }
    }

    public override void Clear()
    {
        base.Clear();
        Array.Clear(Blocks, 0, Count);
        Bytes = 0;
    }

    protected override void Grow(int room)
    {
        Blocks = new GetBlock[room];
        Results = new BlockResult[room];
    }
}

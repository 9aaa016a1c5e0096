using System.Diagnostics;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary>One caller that recalls from one layer again and again, with another query each time.</summary>
internal sealed class RecallCaller
{
    private readonly RecallTensors tensors;
    private readonly Selector selector;
    private readonly KvSequence sequence;
    private readonly RecallMode mode;
    private readonly float[] output;
    private readonly float[] lse;

    /// <summary>A caller.</summary>
    public RecallCaller(RecallTensors tensors, Selector selector, KvSequence sequence, RecallMode mode)
    {
        this.tensors = tensors;
        this.selector = selector;
        this.sequence = sequence;
        this.mode = mode;
        output = new float[tensors.QueryHeads * tensors.HeadDim];
        lse = new float[tensors.QueryHeads];
    }

    /// <summary>The attention of the latest recall, <c>[Hq, D]</c>.</summary>
    public ReadOnlyMemory<float> Output => output;

    /// <summary>Recalls for a time, once at least.</summary>
    public async Task<PeerTimes> RunAsync(TimeSpan time, CancellationToken cancel)
    {
        var times = new LatencyHistogram();
        long start = Stopwatch.GetTimestamp();
        while (times.Count == 0 || Stopwatch.GetElapsedTime(start) < time)
        {
            long begin = Stopwatch.GetTimestamp();
            await RecallAsync((int)(times.Count % tensors.Steps), cancel);
            times.Record((long)Stopwatch.GetElapsedTime(begin).TotalNanoseconds);
        }

        return new PeerTimes(times.Count, times.Percentile(0.5) / 1e9, times.Percentile(0.99) / 1e9);
    }

    /// <summary>Recalls once.</summary>
    /// <param name="step">Whose queries.</param>
    /// <param name="cancel">Ends it early.</param>
    /// <returns>What it cost.</returns>
    public async Task<RecallCost> RecallAsync(int step, CancellationToken cancel)
    {
        var item = new RecallQueryItem
        {
            Sequence = sequence.Name,
            Layer = 0,
            Queries = tensors.QueriesOf(step),
            Output = output,
            Lse = lse,
        };
        var query = new RecallQuery { Mode = mode, Selector = selector, QueryHeads = tensors.QueryHeads, Items = [item] };
        RecallItemResult result = (await sequence.Namespace.RecallAsync(query, cancellationToken: cancel)).OrFail()[0];
        return result.Missing.Count == 0
            ? result.Cost
            : throw new CliException(ExitCodes.Fault, $"bench: tokens are missing: {result.Missing[0].Reason.Name()}");
    }
}

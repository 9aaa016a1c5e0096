using KvTier.Client;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>Whole recalls over the local path, from queries to ids or attention, against NumPy in a process of its own.</summary>
internal sealed class RecallBench : IBenchGroup
{
    private const double Goal = 3;

    /// <summary>What the baseline does too: mean digests, the best of the group counts, no softmax, nothing always in.</summary>
    private static readonly Selector selector = new()
    {
        Name = "mean",
        Digest = new DigestSpec { Kind = DigestKind.Mean, ChunkTokens = RecallArrays.ChunkTokens },
        Softmax = false,
        SinkChunks = 0,
        RecentChunks = 0,
    };

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } =
        ["recall_end_to_end_p50", "recall_end_to_end_p99", "recall_ids_p50", "recall_ids_p99"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        RecallSetup setup = await context.RecallAsync();
        RecallTensors tensors = setup.Arrays.Tensors;
        var blocks = new TensorBlocks("bench", tensors);
        SiloOptions options = SiloOptions.Default with { HostBytes = Math.Max(64L << 20, (blocks.Bytes * 5 / 4) + (64 << 20)) };
        await using RecallSilo silo = await RecallSilo.StartAsync(blocks, options, demotes: false, context.Folder, context.Cancel);
        Selector chosen = selector with { Budget = RecallBudget.OfTokens(setup.BudgetChunks * RecallArrays.ChunkTokens) };
        KvSequence sequence = await silo.OpenAsync(chosen, context.Cancel);
        var rows = new List<BenchRow>();
        if (names.Contains(Names[0]) || names.Contains(Names[1]))
            rows.AddRange(await RowsAsync(context, setup, new RecallCaller(tensors, chosen, sequence, RecallMode.Attend), "recall", Goal));
        if (names.Contains(Names[2]) || names.Contains(Names[3]))
            rows.AddRange(await RowsAsync(context, setup, new RecallCaller(tensors, chosen, sequence, RecallMode.Ids), "ids", null));
        return [.. rows.Where(row => names.Contains(row.Name))];
    }

    /// <summary>Median and 99th percentile of both, in rounds one after the other; the median of the rounds counts.</summary>
    private async Task<IEnumerable<BenchRow>> RowsAsync(
        BenchContext context, RecallSetup setup, RecallCaller caller, string work, double? goal)
    {
        var ours = new List<PeerTimes>();
        var theirs = new List<PeerTimes>();
        for (int round = 0; round <= context.Settings.Rounds; round++)
        {
            context.Progress.Say($"recall, {work}");
            PeerTimes own = await caller.RunAsync(context.Settings.Slice, context.Cancel);
            PeerTimes? other = await setup.TimesAsync(work, context.Settings.Slice, context.Cancel);
            // The first round warms code, connections and memory.
            if (round == 0) continue;
            ours.Add(own);
            if (other is not null) theirs.Add(other);
        }

        string note = $"{setup.Arrays.Tensors.Tokens} tokens, {RecallArrays.KvHeads} KV heads, {setup.BudgetChunks} chunks of each, "
            + (theirs.Count == 0 ? "there is no Python with NumPy" : await setup.TorchNoteAsync(work, context));
        string name = work == "ids" ? "recall_ids" : "recall_end_to_end";
        string what = work == "ids" ? "numpy matmul and argpartition" : "numpy matmul, argpartition, gather, attention";
        return
        [
            Row($"{name}_p50", ours, theirs, times => times.P50, what, goal, note),
            Row($"{name}_p99", ours, theirs, times => times.P99, what, null, note),
        ];
    }

    private static BenchRow Row(
        string name, List<PeerTimes> ours, List<PeerTimes> theirs, Func<PeerTimes, double> figure, string what, double? goal, string note)
    {
        double? baseline = theirs.Count == 0 ? null : 1e6 * Median.Of(theirs.Select(figure));
        return BenchRow.Cost(name, 1e6 * Median.Of(ours.Select(figure)), "us", what, baseline, goal, note);
    }
}

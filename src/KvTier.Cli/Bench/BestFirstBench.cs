using KvTier.Client;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>How many leaves best-first search judges: on keys that cluster in place, and on the synthetic keys of the evaluation, whose
/// rotated fast channels make bounds wide.</summary>
internal sealed class BestFirstBench : IBenchGroup
{
    private const double LeavesGoalPercent = 25;
    private const int KvHeads = 2;
    private const int Steps = 32;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["best_first_leaves_clustered", "best_first_leaves_synthetic"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        var rows = new List<BenchRow>();
        int tokens = context.Settings.RecallTokens;
        if (names.Contains(Names[0]))
            rows.Add(await MeasureAsync(context, Names[0], ClusteredKeys.Make(tokens, KvHeads, Steps, seed: 1), LeavesGoalPercent));
        if (names.Contains(Names[1]))
        {
            var made = new SyntheticOptions { Tokens = tokens, KvHeads = KvHeads, QueryHeads = KvHeads, Steps = Steps, NeedleDepths = [] };
            rows.Add(await MeasureAsync(context, Names[1], RecallTensors.Of(SyntheticKv.Generate(made)), goalPercent: null));
        }

        return rows;
    }

    private static async Task<BenchRow> MeasureAsync(BenchContext context, string name, RecallTensors exact, double? goalPercent)
    {
        RecallTensors tensors = exact.RoundTo(Dtype.Float16);
        var blocks = new TensorBlocks("leaves", tensors);
        SiloOptions options = SiloOptions.Default with { HostBytes = Math.Max(64L << 20, (blocks.Bytes * 5 / 4) + (64 << 20)) };
        await using RecallSilo silo = await RecallSilo.StartAsync(blocks, options, demotes: false, context.Folder, context.Cancel);
        int budget = Math.Max(256, tensors.Tokens / 64);
        Selector selector = Selectors.LeoAm with { Budget = RecallBudget.OfTokens(budget) };
        var caller = new RecallCaller(tensors, selector, await silo.OpenAsync(selector, context.Cancel), RecallMode.Ids);
        double leaves = (double)tensors.KvHeads * tensors.Tokens / selector.Digest.ChunkTokens;
        double scored = 0;
        for (int step = 0; step < tensors.Steps; step++) scored += (await caller.RecallAsync(step, context.Cancel)).UnitsScored;
        double share = 100 * scored / tensors.Steps / leaves;
        string note = $"{leaves:0} leaves, budget {budget} of {tensors.Tokens} tokens; nodes above the leaves counted as leaves";
        string baseline = goalPercent is null ? "every leaf" : "goal";
        return BenchRow.Cost(name, share, "% of the leaves", baseline, goalPercent ?? 100, goalPercent is null ? null : 1, note);
    }
}

using KvTier.Client;
using KvTier.Silo;

namespace KvTier.Cli;

/// <summary>How many leaves best-first search judges, on keys that cluster as real ones do.</summary>
internal sealed class BestFirstBench : IBenchGroup
{
    private const double LeavesGoalPercent = 25;

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; } = ["best_first_leaves"];

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BenchRow>> RunAsync(BenchContext context, IReadOnlySet<string> names)
    {
        var made = new SyntheticOptions { Tokens = context.Settings.RecallTokens, KvHeads = 2, QueryHeads = 2, NeedleDepths = [] };
        RecallTensors tensors = RecallTensors.Of(SyntheticKv.Generate(made)).RoundTo(Dtype.Float16);
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
        return [BenchRow.Cost(Names[0], share, "% of the leaves", "budget", LeavesGoalPercent, 1, note)];
    }
}

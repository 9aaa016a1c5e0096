namespace KvTier.Cli;

/// <summary>All presets and references at several budgets.</summary>
internal sealed class RecallComparison
{
    /// <summary>The budgets that are compared when none are named.</summary>
    public static IReadOnlyList<int> StandardBudgets { get; } = [256, 512, 1024, 2048, 4096];

    private readonly RecallSilo silo;
    private readonly ExactAttention exact;
    private readonly IReadOnlyList<Selector> presets;
    private readonly IReadOnlyList<int> budgets;
    private readonly List<RecallRow> rows = [];

    /// <summary>A comparison.</summary>
    public RecallComparison(RecallSilo silo, ExactAttention exact, IReadOnlyList<Selector> presets, IReadOnlyList<int> budgets)
    {
        this.silo = silo;
        this.exact = exact;
        this.presets = presets;
        this.budgets = budgets;
    }

    /// <summary>Steps that <see cref="RunAsync"/> reports.</summary>
    public int Steps => presets.Count + Enum.GetValues<ReferenceKind>().Length;

    /// <summary>Runs everything: presets in the order of tables, then the references.</summary>
    public async Task<IReadOnlyList<RecallRow>> RunAsync(CliProgress progress, CancellationToken cancel)
    {
        foreach (Selector preset in presets)
        {
            progress.Say(preset.Name);
            foreach (int budget in budgets)
            {
                Selector selector = preset with { Budget = RecallBudget.OfTokens(budget) };
                var source = new ServiceRecall(exact.Tensors, selector, await silo.OpenAsync(selector, cancel));
                RecallFigures figures = await RecallRunner.RunAsync(exact, source, budget, selector.Estimate, cancel);
                rows.Add(new RecallRow(preset.Name, preset.Digest.ChunkTokens, budget, figures));
            }

            // Only one sequence's digests are held at one time, unless the next preset wants the same.
            if (NextOf(preset)?.Digest != preset.Digest) await silo.CloseAsync(preset.Digest, cancel);
            progress.Add(1);
        }

        foreach (ReferenceKind kind in Enum.GetValues<ReferenceKind>())
        {
            foreach (int budget in budgets)
            {
                var source = new ReferenceRecall(exact, kind, budget);
                RecallFigures figures = await RecallRunner.RunAsync(exact, source, budget, estimates: false, cancel);
                rows.Add(new RecallRow(ReferenceRecall.NameOf(kind), ReferenceRecall.ChunkTokensOf(kind), budget, figures));
            }

            progress.Add(1);
        }

        return rows;
    }

    private Selector? NextOf(Selector preset) => presets.SkipWhile(each => each != preset).Skip(1).FirstOrDefault();
}

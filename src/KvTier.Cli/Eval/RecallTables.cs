using Spectre.Console;

namespace KvTier.Cli;

/// <summary>Evaluations as tables.</summary>
internal static class RecallTables
{
    /// <summary>One selector at one budget.</summary>
    public static void Show(CliOutput output, RecallCase about, RecallRow row)
    {
        RecallFigures figures = row.Figures;
        Table table = new Table().Title(Title(about)).AddColumns("figure", "value")
            .AddRow("selector", $"{row.Selector}, chunks of {row.ChunkTokens}, budget {row.Budget}")
            .AddRow("recall@K", Share(figures.RecallAtK))
            .AddRow("mass recall", Share(figures.MassRecall))
            .AddRow("mass recall of best", Share(figures.MassRecallOfBest))
            .AddRow("output relative L2", Share(figures.OutputRelativeL2))
            .AddRow("output cosine", Share(figures.OutputCosine))
            .AddRow("chunks scored a step", $"{figures.ChunksScored:#,0}")
            .AddRow("bytes read a step", $"{Units.Bytes(figures.BytesRead)} ({figures.BytesReadShare:0.0 %} of all K and V)")
            .AddRow("bytes from the SSD a step", Units.Bytes(figures.SsdBytes))
            .AddRow("tokens chosen", $"{figures.TokensChosen:#,0.#}")
            .AddRow("jaccard", Share(figures.Jaccard))
            .AddRow("steps that used a choice again", $"{figures.ReusedSteps}");
        foreach (NeedleFigures depth in figures.Needles)
            table.AddRow($"needles at {depth.DepthPercent} %", $"{depth.Accuracy:0.00} of {depth.Count}");
        output.Table(table);
    }

    /// <summary>All selectors and budgets.</summary>
    public static void Compare(CliOutput output, RecallCase about, IReadOnlyList<RecallRow> rows)
    {
        Table table = new Table().Title(Title(about)).AddColumn("selector");
        string[] headings =
        [
            "budget", "output error", "cosine", "mass", "of best", "recall@K", "read", "share", "scored", "jaccard", "needles",
        ];
        foreach (string heading in headings) table.AddColumn(new TableColumn(heading).RightAligned());
        foreach (RecallRow row in rows)
        {
            RecallFigures figures = row.Figures;
            table.AddRow(
                row.Selector, $"{row.Budget}", Share(figures.OutputRelativeL2), Share(figures.OutputCosine), Share(figures.MassRecall),
                Share(figures.MassRecallOfBest), Share(figures.RecallAtK), Units.Bytes(figures.BytesRead),
                $"{figures.BytesReadShare:0.0 %}", $"{figures.ChunksScored:#,0}", Share(figures.Jaccard), Needles(figures));
        }

        output.Table(table);
        IEnumerable<int> depths = rows.SelectMany(row => row.Figures.Needles).Select(depth => depth.DepthPercent).Distinct().Order();
        if (depths.Any()) output.Table(Depths(rows, [.. depths]));
    }

    private static Table Depths(IReadOnlyList<RecallRow> rows, int[] depths)
    {
        Table table = new Table().Title("needles found, by depth").AddColumn("selector");
        table.AddColumn(new TableColumn("budget").RightAligned());
        foreach (int depth in depths) table.AddColumn(new TableColumn($"{depth} %").RightAligned());
        foreach (RecallRow row in rows)
        {
            var found = row.Figures.Needles.ToDictionary(needle => needle.DepthPercent, needle => needle.Accuracy);
            IEnumerable<string> shares = depths.Select(depth => found.TryGetValue(depth, out double share) ? $"{share:0.00}" : "");
            table.AddRow([row.Selector, $"{row.Budget}", .. shares]);
        }

        return table;
    }

    private static string Title(RecallCase about) =>
        Markup.Escape($"{about.Source}: {about.Tokens:#,0} tokens, {about.KvHeads} KV heads, {about.QueryHeads} query heads, "
            + $"{about.Steps} steps, {about.Dtype}, tier {about.Tier}");

    private static string Needles(RecallFigures figures)
    {
        int count = figures.Needles.Sum(depth => depth.Count);
        return count == 0 ? "" : $"{figures.Needles.Sum(depth => depth.Accuracy * depth.Count) / count:0.00}";
    }

    private static string Share(double? value) => value is { } known ? $"{known:0.0000}" : "-";
}

using System.CommandLine;
using KvTier.Client;

namespace KvTier.Cli;

/// <summary><c>kvtier eval recall</c>: how much of the attention a selector finds, through the real API of an embedded silo.</summary>
internal static class EvalRecallCommand
{
    /// <summary>The service's attention over the chosen tokens may differ from the judge's by so much, where it stores what it is
    /// given.</summary>
    private const double AttendTolerance = 1e-2;

    public static Command Create(CliOutput output)
    {
        var command = new Command(
            "recall",
            "Recall from an embedded silo and judge the choice by exact attention. Exit code 1 when the attention over it is wrong.");
        var input = new RecallInput(command);
        var flags = new SelectorFlags(command);
        var tier = new Option<string>("--tier")
        {
            Description = "Where the blocks lie: host, ssd or device.",
            DefaultValueFactory = _ => "host",
        };
        var compare = new Option<bool>("--compare") { Description = "One table over all presets and budgets." };
        var budgets = new Option<string?>("--budgets")
        {
            Description = $"With --compare: budgets; default those of {string.Join(',', RecallComparison.StandardBudgets)} that fit.",
        };
        var presets = new Option<string?>("--presets") { Description = "With --compare: names separated by commas; default all." };
        var svg = new Option<string?>("--svg") { Description = "With --compare: write a picture of output error against bytes read." };
        var markdown = new Option<string?>("--markdown") { Description = "With --compare: write a table in Markdown." };
        var folder = new Option<string?>("--data-folder")
        {
            Description = "Parent of the folder that the run makes and removes; default the system's.",
        };
        Option<bool> json = JsonOption.AddTo(command);
        foreach (Option option in (Option[])[tier, compare, budgets, presets, svg, markdown, folder]) command.Options.Add(option);
        command.Run(output, async (parsed, cancel) =>
        {
            RecallTier where = ParseTier(parsed.GetValue(tier)!);
            (RecallTensors tensors, string source) = input.Read(parsed);
            RecallCase about = RecallCase.Of(tensors, source, where);
            using var work = new TempFolder(parsed.GetValue(folder));
            if (!parsed.GetValue(compare))
            {
                Selector selector = flags.Read(parsed, tensors.Tokens);
                RecallRow row = await RunOneAsync(tensors, selector, where, work, cancel);
                if (parsed.GetValue(json)) output.Json(RecallJson.Of(about, selector, row));
                else RecallTables.Show(output, about, row);
                return CodeOf(tensors, [row]);
            }

            Selector[] chosen = ParsePresets(parsed.GetValue(presets));
            int[] limits = ParseBudgets(parsed.GetValue(budgets), tensors.Tokens);
            IReadOnlyList<RecallRow> rows = await CompareAsync(output, tensors, chosen, limits, where, work, cancel);
            if (parsed.GetValue(svg) is { } file) await File.WriteAllTextAsync(file, RecallPlot.Draw(about, rows), cancel);
            if (parsed.GetValue(markdown) is { } page) await File.WriteAllTextAsync(page, RecallMarkdown.Table(rows), cancel);
            if (parsed.GetValue(json)) output.Json(RecallJson.Of(about, rows));
            else RecallTables.Compare(output, about, rows);
            return CodeOf(tensors, rows);
        });
        return command;
    }

    private static async Task<RecallRow> RunOneAsync(
        RecallTensors tensors, Selector selector, RecallTier tier, TempFolder work, CancellationToken cancel)
    {
        await using RecallSilo silo = await RecallSilo.StartAsync(tensors, tier, work, cancel);
        KvSequence sequence = await silo.OpenAsync(selector, cancel);
        var source = new ServiceRecall(tensors, selector, sequence);
        int budget = (int)selector.Budget.Value;
        ExactAttention exact = ExactAttention.Compute(tensors, budget, cancel).OrFail();
        RecallFigures figures = await RecallRunner.RunAsync(exact, source, budget, selector.Estimate, cancel);
        SequenceDescription after = (await sequence.DescribeAsync(cancellationToken: cancel)).OrFail();
        figures = figures with { QuarantinedChunks = after.QuarantinedChunks, DeviceBytes = after.DeviceBytes };
        return new RecallRow(selector.Name, selector.Digest.ChunkTokens, budget, figures);
    }

    private static async Task<IReadOnlyList<RecallRow>> CompareAsync(
        CliOutput output, RecallTensors tensors, Selector[] presets, int[] budgets, RecallTier tier, TempFolder work,
        CancellationToken cancel)
    {
        ExactAttention exact = ExactAttention.Compute(tensors, budgets.Max(), cancel).OrFail();
        await using RecallSilo silo = await RecallSilo.StartAsync(tensors, tier, work, cancel);
        var comparison = new RecallComparison(silo, exact, presets, budgets);
        return await CliProgress.RunAsync(output, "compare", comparison.Steps, progress => comparison.RunAsync(progress, cancel));
    }

    private static RecallTier ParseTier(string name) => name switch
    {
        "host" => RecallTier.Host,
        "ssd" => RecallTier.Ssd,
        "device" => RecallTier.Device,
        _ => throw CliException.Usage("--tier", name, "host, ssd or device"),
    };

    private static Selector[] ParsePresets(string? text) => text is null
        ? [.. Selectors.BuiltIn]
        : [.. text.Split(',').Select(name => Selectors.Find(name)
            ?? throw CliException.Usage("--presets", name, string.Join(", ", Selectors.BuiltIn.Select(known => known.Name))))];

    private static int[] ParseBudgets(string? text, int tokens)
    {
        int[] budgets = text is null
            ? [.. RecallComparison.StandardBudgets.Where(budget => budget <= tokens)]
            : NumberList.Parse("--budgets", text);
        if (budgets.Length == 0) budgets = [tokens];
        int wrong = Array.FindIndex(budgets, budget => budget < 1 || budget > tokens);
        return wrong < 0 ? budgets : throw CliException.Usage("--budgets", budgets[wrong], $"1 to {tokens}, the tokens of the sequence");
    }

    private static int CodeOf(RecallTensors tensors, IEnumerable<RecallRow> rows) =>
        !tensors.StoredExactly || rows.All(row => row.Figures.AttendError is null or <= AttendTolerance) ? ExitCodes.Ok : ExitCodes.Found;
}

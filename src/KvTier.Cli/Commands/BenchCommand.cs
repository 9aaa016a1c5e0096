using System.CommandLine;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier bench</c>: figures beside the baselines they are judged by, measured in the same run.</summary>
internal static class BenchCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("bench", "Measure against Redis, the raw device and the budgets, all in one run.");
        var names = new Argument<string[]>("names")
        {
            Description = "all, names of rows, or beginnings of them such as tcp.",
            DefaultValueFactory = _ => ["all"],
            Arity = ArgumentArity.ZeroOrMore,
        };
        var quick = new Option<bool>("--quick")
        {
            Description = "Small sizes and short times, to see that all rows work; the figures mean little.",
        };
        var folder = new Option<string?>("--data-folder")
        {
            Description = "Parent of the folder that the run makes and removes; default the system's.",
        };
        var python = new Option<string?>("--python")
        {
            Description = "The Python of the baselines and of the Python client's rows; default KVTIER_TEST_PYTHON, python3 or "
                + "/usr/bin/python3, whichever first has what they need.",
        };
        var list = new Option<bool>("--list") { Description = "List the names of the rows." };
        Option<bool> json = JsonOption.AddTo(command);
        command.Arguments.Add(names);
        command.Subcommands.Add(BenchDecodeCommand.Create(output));
        foreach (Option option in (Option[])[quick, folder, python, list]) command.Options.Add(option);
        command.Run(output, async (parsed, cancel) =>
        {
            if (parsed.GetValue(list))
            {
                if (parsed.GetValue(json)) output.Json(BenchRunner.Names);
                else foreach (string name in BenchRunner.Names) output.Line(name);
                return ExitCodes.Ok;
            }

            IReadOnlySet<string> chosen = BenchRunner.Choose(parsed.GetValue(names)!);
            var settings = new BenchSettings { DataFolder = parsed.GetValue(folder), Python = parsed.GetValue(python) };
            if (parsed.GetValue(quick)) settings = Quick(settings);
            using var work = new TempFolder(settings.DataFolder);
            IReadOnlyList<BenchRow> rows = await CliProgress.RunAsync(output, "bench", BenchRunner.Names.Count, async progress =>
            {
                await using var context = new BenchContext(settings, work, progress, cancel);
                return await BenchRunner.RunAsync(context, chosen);
            });
            if (parsed.GetValue(json)) output.Json(rows);
            else output.Table(TableOf(rows));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static BenchSettings Quick(BenchSettings settings) => settings with
    {
        Rounds = 1,
        Slice = TimeSpan.FromMilliseconds(50),
        HotBlocks = 16,
        SsdBlocks = 256,
        IndexBlocks = 200_000,
        RecoverBlocks = 20_000,
        RecallTokens = 4096,
        PythonTokens = 4096,
        RecallBudget = 512,
        ScoreBytes = 16 << 20,
    };

    private static Table TableOf(IReadOnlyList<BenchRow> rows)
    {
        Table table = new Table()
            .AddColumn("row").AddColumn(new TableColumn("value").RightAligned()).AddColumn("unit").AddColumn("baseline")
            .AddColumn(new TableColumn("its value").RightAligned()).AddColumn(new TableColumn("ratio").RightAligned())
            .AddColumn(new TableColumn("goal").RightAligned()).AddColumn("note");
        foreach (BenchRow row in rows)
        {
            table.AddRow(
                row.Name, $"{row.Value:#,0.###}", row.Unit, row.BaselineName, row.Baseline is { } b ? $"{b:#,0.###}" : "-",
                row.Ratio is { } r ? $"{r:0.00}" : "-", row.Goal is { } goal ? $"{goal:0.00}" : "", Markup.Escape(row.Note ?? ""));
        }

        return table;
    }
}

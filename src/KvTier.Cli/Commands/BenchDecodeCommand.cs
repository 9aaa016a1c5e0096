using System.CommandLine;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier bench decode</c>: a decode loop over a sequence that is mostly on the SSD.</summary>
internal static class BenchDecodeCommand
{
    public static Command Create(CliOutput output)
    {
        var standard = new DecodeOptions();
        var command = new Command("decode", "Decode over a long sequence most of which is on the SSD, with and without reuse and hot set.");
        Option<int> tokens = Number("--tokens", "Tokens of the sequence.", standard.Tokens);
        Option<int> steps = Number("--steps", "Decode steps.", standard.Steps);
        Option<int> fullSteps = Number("--full-steps", "Steps of full attention.", standard.FullSteps);
        Option<int> layers = Number("--layers", "Layers.", standard.Layers);
        var selector = new Option<string>("--selector") { Description = "Preset.", DefaultValueFactory = _ => standard.Selector };
        var folder = new Option<string?>("--data-folder")
        {
            Description = "Parent of the folder that the run makes and removes; default the system's.",
        };
        Option<bool> json = JsonOption.AddTo(command);
        foreach (Option option in (Option[])[tokens, steps, fullSteps, layers, selector, folder]) command.Options.Add(option);
        command.Run(output, async (parsed, cancel) =>
        {
            DecodeOptions options = standard with
            {
                Tokens = parsed.GetValue(tokens),
                Steps = parsed.GetValue(steps),
                FullSteps = parsed.GetValue(fullSteps),
                Layers = parsed.GetValue(layers),
                Selector = parsed.GetValue(selector)!,
            };
            Check(options);
            using var work = new TempFolder(parsed.GetValue(folder));
            CheckRoom(work.Path, (options.KvBytes * 5 / 2) + (512L << 20));
            DecodeReport report = await CliProgress.RunAsync(
                output, "decode", DecodeBench.StepsOf(options), progress => new DecodeBench(options, work, progress, cancel).RunAsync());
            if (parsed.GetValue(json)) output.Json(report);
            else output.Table(TableOf(report));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static void Check(DecodeOptions options)
    {
        if (options.Tokens is < 512 or > 1 << 20) throw CliException.Usage("--tokens", options.Tokens, $"512 to {1 << 20}");
        if (options.Steps is < 2 or > 4096) throw CliException.Usage("--steps", options.Steps, "2 to 4096");
        if (options.FullSteps < 2 || options.FullSteps > options.Steps)
            throw CliException.Usage("--full-steps", options.FullSteps, $"2 to the steps, {options.Steps}");
        if (options.Layers is < 1 or > 128) throw CliException.Usage("--layers", options.Layers, "1 to 128");
        if (Selectors.Find(options.Selector) is null)
            throw CliException.Usage("--selector", options.Selector, string.Join(", ", Selectors.BuiltIn.Select(known => known.Name)));
    }

    private static void CheckRoom(string folder, long needed)
    {
        long free = new DriveInfo(folder).AvailableFreeSpace;
        if (free >= needed) return;
        string atLeast = $"at least {Units.Bytes(needed)}; see --data-folder";
        throw CliException.Of(new KvError(ErrorCode.DiskFull, $"free space at {folder}", Units.Bytes(free), atLeast));
    }

    private static Table TableOf(DecodeReport report)
    {
        string what = $"{report.Tokens:#,0} tokens, {report.Layers} layers, {report.Dtype}, {Units.Bytes(report.KvBytes)} of K and V, "
            + $"{Units.Bytes(report.DigestBytes)} of digests, {report.Selector}, {report.BudgetShare:0.#%} of the tokens";
        Table table = new Table().Title(what).AddColumns("step", "reuse");
        string[] headings = ["hot set", "first", "p50", "p99", "from SSD", "K and V read", "sent", "hot hits", "reused"];
        foreach (string heading in headings) table.AddColumn(new TableColumn(heading).RightAligned());
        foreach (DecodeRow row in report.Rows)
        {
            table.AddRow(
                row.Name, row.Reuse, Units.Bytes(row.HotSetBytes), $"{row.FirstStepMs:0.0} ms", $"{row.StepMsP50:0.0} ms",
                $"{row.StepMsP99:0.0} ms", Units.Bytes(row.SsdBytesPerStep), Units.Bytes(row.KvBytesPerStep),
                Units.Bytes(row.SentBytesPerStep), row.HotHitRatio is { } ratio ? $"{ratio:0.000}" : "-", $"{row.ReusedShare:0.000}");
        }

        return table;
    }

    private static Option<int> Number(string name, string description, int standard) =>
        new(name) { Description = description, DefaultValueFactory = _ => standard };
}

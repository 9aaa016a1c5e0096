using System.CommandLine;
using System.Diagnostics;
using KvTier.Client;
using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier demo</c>: an embedded silo under chats of a Llama-3.1-8B, every byte checked.</summary>
internal static class DemoCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command(
            "demo",
            "Run chats of a Llama-3.1-8B against an embedded silo and check every byte. Exit code 1 on a wrong or lost block or needle.");
        var chats = new Option<int>("--chats")
        {
            Description = "Conversations.",
            DefaultValueFactory = _ => DemoOptions.Default.Shape.Chats,
        };
        var turns = new Option<int>("--turns")
        {
            Description = "Turns of each.",
            DefaultValueFactory = _ => DemoOptions.Default.Shape.Turns,
        };
        var host = new Option<int>("--host-mib")
        {
            Description = "Host memory of the silo in MiB.",
            DefaultValueFactory = _ => (int)(DemoOptions.Default.HostBytes >> 20),
        };
        var folder = new Option<string?>("--data-folder")
        {
            Description = "Parent of the folder that the run makes and removes; default the system's.",
        };
        Option<bool> json = JsonOption.AddTo(command);
        foreach (Option option in (Option[])[chats, turns, host, folder]) command.Options.Add(option);
        command.Run(output, async (parsed, cancel) =>
        {
            DemoOptions options = DemoOptions.Default with
            {
                Shape = DemoOptions.Default.Shape with { Chats = parsed.GetValue(chats), Turns = parsed.GetValue(turns) },
                HostBytes = (long)parsed.GetValue(host) << 20,
            };
            if (options.Shape.Chats is < 1 or > 1024) throw CliException.Usage("--chats", options.Shape.Chats, "1 to 1024");
            if (options.Shape.Turns is < 1 or > 256) throw CliException.Usage("--turns", options.Shape.Turns, "1 to 256");
            if (options.HostBytes is < 64L << 20 or > 1L << 44)
                throw CliException.Usage("--host-mib", options.HostBytes >> 20, "64 to 16777216");
            DemoReport report = await RunAsync(output, options, parsed.GetValue(folder), cancel);
            if (parsed.GetValue(json)) output.Json(report);
            else DemoTables.Show(output, report);
            return report is { WrongBlocks: 0, LostBlocks: 0, NeedleFound: true } ? ExitCodes.Ok : ExitCodes.Found;
        });
        return command;
    }

    /// <summary>Runs the demo in a folder of its own and removes it.</summary>
    private static async Task<DemoReport> RunAsync(CliOutput output, DemoOptions options, string? parent, CancellationToken cancel)
    {
        using var folder = new TempFolder(parent);
        CheckRoom(folder.Path, options.WorkloadBytes * 2);
        long start = Stopwatch.GetTimestamp();
        using ILoggerFactory logs = SiloRunner.Logs(LogLevel.Error);
        await using SiloRunner silo = await SiloRunner.StartAsync(options.ToSiloOptions(folder.Path), logs, cancel);
        await using KvTierClient client = await silo.ConnectAsync(TransportMode.Auto, cancel);
        KvNamespace blocks = (await client.OpenNamespaceAsync(new NamespaceDescriptor("demo", options.Profile), cancel)).OrFail();
        NeedleStep needle = await NeedleStep.PlantAsync(silo, client, cancel);
        var runner = new DemoRunner(blocks, options);
        await CliProgress.RunAsync(output, "chats", runner.Steps, async progress =>
        {
            await runner.RunAsync(progress, cancel);
            return 0;
        });
        NeedleReport found = await needle.FindAsync(cancel);
        return runner.Report(TierFigures.Parse((await client.StatAsync(cancel)).OrFail()), found, Stopwatch.GetElapsedTime(start));
    }

    private static void CheckRoom(string folder, long needed)
    {
        long free = new DriveInfo(folder).AvailableFreeSpace;
        if (free < needed)
            throw CliException.Of(new KvError(
                ErrorCode.DiskFull, $"free space at {folder}", Units.Bytes(free), $"at least {Units.Bytes(needed)}; see --data-folder"));
    }
}

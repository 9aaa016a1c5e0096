using System.CommandLine;
using KvTier.Silo;
using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier serve</c>: one silo until SIGTERM or SIGINT, which drain it.</summary>
internal static class ServeCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command(
            "serve", "Run a silo until SIGTERM or SIGINT; each option may also stand in the config file or the environment.");
        var check = new Option<bool>("--check-config") { Description = "Check the options, print them, and stop." };
        var level = new Option<LogLevel>("--log-level")
        {
            Description = "Least level that is logged to stderr.",
            DefaultValueFactory = _ => LogLevel.Warning,
        };
        Option<bool> json = JsonOption.AddTo(command);
        command.Options.Add(check);
        command.Options.Add(level);
        var sources = new ServeOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            SiloOptions options = sources.Load(parsed, SiloOptionsLoader.ProcessEnvironment()).OrFail();
            if (parsed.GetValue(check))
            {
                ShowOptions(output, options, parsed.GetValue(json));
                return ExitCodes.Ok;
            }

            return await ServeAsync(output, options, parsed.GetValue(level), parsed.GetValue(json), cancel);
        });
        return command;
    }

    private static async Task<int> ServeAsync(CliOutput output, SiloOptions options, LogLevel level, bool json, CancellationToken cancel)
    {
        using ILoggerFactory logs = SiloRunner.Logs(level);
        await using SiloRunner silo = await SiloRunner.StartAsync(options, logs, cancel);
        if (json)
        {
            output.Json(new { ready = true, pid = Environment.ProcessId, endpoints = silo.Endpoints });
        }
        else
        {
            foreach ((string protocol, string endpoint) in silo.Endpoints) output.Line($"listening {protocol} {endpoint}");
            output.Line("ready");
        }

        output.Flush();
        await silo.WaitAsync(cancel);
        if (await silo.StopAsync() is not { } error) return ExitCodes.Ok;
        output.Error($"kvtier: not all could be drained: {error.Message}");
        return ExitCodes.Of(error.Code);
    }

    private static void ShowOptions(CliOutput output, SiloOptions options, bool json)
    {
        var rows = SiloOptionTable.All.Select(option => (option.Name, Value: Shown(option, options))).ToList();
        if (json)
        {
            output.Json(rows.ToDictionary(row => row.Name, row => row.Value));
            return;
        }

        Table table = new Table().AddColumns("option", "value");
        foreach ((string name, string value) in rows) table.AddRow(Markup.Escape(name), Markup.Escape(value));
        output.Table(table);
    }

    private static string Shown(SiloOption option, SiloOptions options)
    {
        string value = option.Show(options);
        return option.Secret && value.Length > 0 ? "(set)" : value;
    }
}

using System.CommandLine;
using System.Text.Json;
using KvTier.Client;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier stat</c>: the silo's figures and limits.</summary>
internal static class StatCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("stat", "Show a silo's figures, limits and options.");
        Option<bool> json = JsonOption.AddTo(command);
        var connection = new ConnectionOptions(command);
        command.Run(output, async (parsed, cancel) =>
        {
            await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
            string stat = (await client.StatAsync(cancel)).OrFail();
            if (parsed.GetValue(json)) output.JsonText(stat);
            else output.Table(TableOf(stat));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static Table TableOf(string stat)
    {
        Table table = new Table().AddColumn("figure").AddColumn("value");
        using JsonDocument document = JsonDocument.Parse(stat);
        foreach ((string name, string value) in Leaves("", document.RootElement)) table.AddRow(Markup.Escape(name), Markup.Escape(value));
        return table;
    }

    private static IEnumerable<(string Name, string Value)> Leaves(string path, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                return element.EnumerateObject().SelectMany(
                    member => Leaves(path.Length == 0 ? member.Name : $"{path}.{member.Name}", member.Value));
            case JsonValueKind.Array:
                return element.EnumerateArray().SelectMany((item, i) => Leaves($"{path}[{i}]", item));
            case JsonValueKind.Number when element.TryGetInt64(out long number):
                if (path == "pid") return [(path, $"{number}")];
                bool bytes = path.Contains("bytes", StringComparison.OrdinalIgnoreCase) && number >= 1024;
                return [(path, bytes ? $"{Units.Count(number)} ({Units.Bytes(number)})" : Units.Count(number))];
            default:
                return [(path, element.ToString())];
        }
    }
}

using System.Text.Json;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary>The answer to a rebalance: its moves as a table, one a row, how many there are, and which silos could not be asked.</summary>
internal static class RebalanceTable
{
    public static void Show(CliOutput output, string answer)
    {
        using JsonDocument document = JsonDocument.Parse(answer);
        JsonElement moves = document.RootElement.GetProperty("moves");
        if (moves.GetArrayLength() > 0)
        {
            string[] columns = [.. moves[0].EnumerateObject().Select(field => field.Name)];
            Table table = new Table().AddColumns(columns);
            foreach (JsonElement move in moves.EnumerateArray())
                table.AddRow([.. columns.Select(column => Markup.Escape(move.GetProperty(column).ToString()))]);
            output.Table(table);
        }

        int failed = moves.EnumerateArray().Count(move => move.GetProperty("error").GetString()!.Length > 0);
        string verb = document.RootElement.GetProperty("dryRun").GetBoolean() ? "to move" : "moved";
        string not = failed > 0 ? $", {failed} not" : "";
        output.Line($"{moves.GetArrayLength() - failed} groups {verb}{not} (epoch {document.RootElement.GetProperty("epoch")})");
        foreach (JsonProperty silo in document.RootElement.GetProperty("unasked").EnumerateObject())
            output.Line($"{silo.Name} could not be asked: {silo.Value}");
    }
}

using System.Text.Json;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary>The answer to a rebalance as a table: its moves, one a row, then its other figures.</summary>
internal static class RebalanceTable
{
    public static void Show(CliOutput output, string answer)
    {
        using JsonDocument document = JsonDocument.Parse(answer);
        if (document.RootElement.TryGetProperty("moves", out JsonElement moves) && moves.GetArrayLength() > 0)
        {
            string[] columns = [.. moves[0].EnumerateObject().Select(field => field.Name)];
            Table table = new Table().AddColumns(columns);
            foreach (JsonElement move in moves.EnumerateArray())
                table.AddRow([.. columns.Select(column => Markup.Escape(move.GetProperty(column).ToString()))]);
            output.Table(table);
        }

        foreach (JsonProperty figure in document.RootElement.EnumerateObject())
        {
            if (figure.Name != "moves") output.Line($"{figure.Name} {figure.Value}");
        }
    }
}

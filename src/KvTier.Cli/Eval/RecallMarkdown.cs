using System.Globalization;
using System.Text;

namespace KvTier.Cli;

/// <summary>A comparison as a table in Markdown: a line a selector, a column a budget, in each cell output error, share of bytes read and
/// share of needles found.</summary>
internal static class RecallMarkdown
{
    /// <summary>Writes the table.</summary>
    public static string Table(IReadOnlyList<RecallRow> rows)
    {
        int[] budgets = [.. rows.Select(row => row.Budget).Distinct().Order()];
        var text = new StringBuilder();
        text.Append("| selector |");
        foreach (int budget in budgets) text.Append(CultureInfo.InvariantCulture, $" {budget:#,0} |");
        text.Append("\n|---|").Insert(text.Length, "---|", budgets.Length).Append('\n');
        foreach (IGrouping<string, RecallRow> selector in rows.GroupBy(row => row.Selector))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {selector.Key} |");
            foreach (int budget in budgets)
            {
                RecallRow? row = selector.FirstOrDefault(each => each.Budget == budget);
                text.Append(' ').Append(Cell(row)).Append(" |");
            }

            text.Append('\n');
        }

        return text.ToString();
    }

    private static string Cell(RecallRow? row)
    {
        if (row is not { Figures: { OutputRelativeL2: { } error } figures }) return "-";
        int count = figures.Needles.Sum(depth => depth.Count);
        string needles = count == 0
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $" · {figures.Needles.Sum(depth => depth.Accuracy * depth.Count) / count:0 %}");
        return string.Create(CultureInfo.InvariantCulture, $"{error:0.000} · {figures.BytesReadShare:0.0 %}{needles}");
    }
}

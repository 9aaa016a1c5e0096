using System.Globalization;
using System.Text;

namespace KvTier.Cli;

/// <summary>A comparison as an SVG picture: output error against bytes read, one line a selector, one point a budget.</summary>
internal sealed class RecallPlot
{
    private const int Width = 1000;
    private const int Height = 620;
    private const int Left = 80;
    private const int Right = 850;
    private const int Top = 64;
    private const int Bottom = 550;
    private const int LabelHeight = 15;

    private static readonly string[] colours =
    [
        "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#3b528b", "#5ec962", "#a0522d",
    ];

    private readonly StringBuilder svg = new();
    private readonly RecallCase about;
    private readonly List<Line> lines;
    private readonly LogAxis x;
    private readonly LogAxis y;

    private RecallPlot(RecallCase about, IEnumerable<RecallRow> rows)
    {
        this.about = about;
        IEnumerable<IGrouping<string, RecallRow>> groups =
            rows.Where(row => row.Figures is { OutputRelativeL2: > 0, BytesRead: > 0 }).GroupBy(row => row.Selector);
        lines = [.. groups.Select((group, i) => new Line(group.Key, i, [.. group.OrderBy(row => row.Budget).Select(PointOf)]))];
        x = LogAxis.Over([.. lines.SelectMany(line => line.Points).Select(point => point.Bytes)], Left, Right);
        y = LogAxis.Over([.. lines.SelectMany(line => line.Points).Select(point => point.Error)], Bottom, Top);
    }

    /// <summary>True when a comparison has something to draw.</summary>
    public static bool Fits(IReadOnlyList<RecallRow> rows) => rows.Any(row => row.Figures is { OutputRelativeL2: > 0, BytesRead: > 0 });

    /// <summary>Draws a comparison.</summary>
    /// <param name="about">What was evaluated.</param>
    /// <param name="rows">Its rows; those without an error to show are left out.</param>
    /// <returns>The text of an SVG file.</returns>
    public static string Draw(RecallCase about, IReadOnlyList<RecallRow> rows)
    {
        var plot = new RecallPlot(about, rows);
        return plot.Draw();
    }

    private string Draw()
    {
        svg.Append(CultureInfo.InvariantCulture, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" """);
        svg.AppendLine("""font-family="Helvetica, Arial, sans-serif" font-size="13">""");
        svg.AppendLine(CultureInfo.InvariantCulture, $"""<rect width="{Width}" height="{Height}" fill="#ffffff"/>""");
        string title = $"Output error against bytes read a step: {about.Tokens:#,0} tokens, {about.KvHeads} KV heads, {about.Dtype}";
        Text(Left, 26, title, "font-size=\"17\" font-weight=\"bold\"");
        Text(Left, 46, $"{about.Source}; digests, K and V counted; budgets grow to the right", "fill=\"#555555\"");
        DrawAxes();
        foreach (Line line in lines) DrawLine(line);
        DrawEndLabels();
        svg.AppendLine("</svg>");
        return svg.ToString();
    }

    private void DrawAxes()
    {
        foreach (double tick in x.Ticks())
        {
            double at = x.At(tick);
            Stroke(at, Top, at, Bottom, "#e6e6e6");
            Text(at, Bottom + 20, Size(tick), "text-anchor=\"middle\"");
        }

        foreach (double tick in y.Ticks())
        {
            double at = y.At(tick);
            Stroke(Left, at, Right, at, "#e6e6e6");
            Text(Left - 8, at + 4, $"{tick:0.####}", "text-anchor=\"end\"");
        }

        Stroke(Left, Top, Left, Bottom, "#333333");
        Stroke(Left, Bottom, Right, Bottom, "#333333");
        Text((Left + Right) / 2.0, Bottom + 46, "bytes of digests, K and V read a step", "text-anchor=\"middle\"");
        Text(24, (Top + Bottom) / 2.0, "‖o − o_S‖ / ‖o‖",
            FormattableString.Invariant($"text-anchor=\"middle\" transform=\"rotate(-90 24 {(Top + Bottom) / 2})\""));
    }

    private void DrawLine(Line line)
    {
        string points = string.Join(" ", line.Points.Select(point => $"{Pixel(x.At(point.Bytes))},{Pixel(y.At(point.Error))}"));
        svg.Append(CultureInfo.InvariantCulture, $"""<polyline fill="none" stroke="{line.Colour}" stroke-width="{line.Width}" """);
        svg.AppendLine(CultureInfo.InvariantCulture, $"""{line.Dash}points="{points}"/>""");
        foreach ((double bytes, double error) in line.Points)
        {
            svg.Append(CultureInfo.InvariantCulture, $"""<circle cx="{Pixel(x.At(bytes))}" cy="{Pixel(y.At(error))}" """);
            svg.AppendLine(CultureInfo.InvariantCulture, $"""r="{(line.IsOurs ? 4.5 : 2.6)}" fill="{line.Colour}"/>""");
        }
    }

    /// <summary>Names at the right edge, in the order of the lines' ends, moved apart, each with a thin line to its end.</summary>
    private void DrawEndLabels()
    {
        double lowest = Top;
        var ordered = lines.OrderBy(line => y.At(line.Points[^1].Error)).ToList();
        double room = Bottom - (ordered.Count * LabelHeight);
        foreach (Line line in ordered)
        {
            (double bytes, double error) = line.Points[^1];
            double at = Math.Max(lowest, Math.Min(y.At(error), room));
            lowest = at + LabelHeight;
            room += LabelHeight;
            Stroke(x.At(bytes), y.At(error), Right + 12, at, line.Colour, "stroke-width=\"0.6\" stroke-dasharray=\"2 2\"");
            string weight = line.IsOurs ? "font-weight=\"bold\" " : "";
            Text(Right + 16, at + 4, line.Name, $"{weight}fill=\"{line.Colour}\"");
        }
    }

    private void Stroke(double x1, double y1, double x2, double y2, string colour, string more = "") => svg.AppendLine(
        $"""<line x1="{Pixel(x1)}" y1="{Pixel(y1)}" x2="{Pixel(x2)}" y2="{Pixel(y2)}" stroke="{colour}" {more}/>""");

    private void Text(double atX, double atY, string text, string more) => svg.AppendLine(
        $"""<text x="{Pixel(atX)}" y="{Pixel(atY)}" {more}>{System.Security.SecurityElement.Escape(text)}</text>""");

    private static (double Bytes, double Error) PointOf(RecallRow row) => (row.Figures.BytesRead, row.Figures.OutputRelativeL2!.Value);

    private static string Size(double bytes) => bytes >= 1e6 ? $"{bytes / 1e6:0.##} MB" : $"{bytes / 1e3:0.##} kB";

    private static string Pixel(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);

    private sealed record Line(string Name, int Index, IReadOnlyList<(double Bytes, double Error)> Points)
    {
        public bool IsOurs => Name == Selectors.Moments.Name;

        public bool IsReference => Enum.GetValues<ReferenceKind>().Any(kind => ReferenceRecall.NameOf(kind) == Name);

        public string Colour => IsReference ? "#777777" : colours[Index % colours.Length];

        public string Width => IsOurs ? "3.5" : "1.6";

        public string Dash => IsReference ? "stroke-dasharray=\"6 4\" " : "";
    }
}

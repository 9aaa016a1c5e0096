using System.Globalization;
using System.Xml.Linq;

namespace KvTier.Cli.Tests;

public class RecallPlotTests
{
    private static readonly XNamespace svg = "http://www.w3.org/2000/svg";

    private static readonly RecallCase about = new()
    {
        Source = "a < b & c",
        Tokens = 32_768,
        KvHeads = 8,
        QueryHeads = 32,
        HeadDim = 128,
        Steps = 4,
        Dtype = "fp16",
        Tier = "host",
        KvBytes = 1,
    };

    [Fact]
    public void Draw_ThreeSelectors_HasALineAndALabelForEach()
    {
        RecallRow[] rows = [.. Rows("moments", 0.2), .. Rows("quest", 0.7), .. Rows("oracle", 0.3)];
        XElement plot = XDocument.Parse(RecallPlot.Draw(about, rows)).Root!;
        Assert.Equal(3, plot.Elements(svg + "polyline").Count());
        Assert.Equal(9, plot.Elements(svg + "circle").Count());
        string[] texts = [.. plot.Elements(svg + "text").Select(text => text.Value)];
        Assert.Superset(new HashSet<string> { "moments", "quest", "oracle", "1 MB", "0.2" }, texts.ToHashSet());
    }

    [Fact]
    public void Draw_PointsInOrderOfBudget_GoRightAndDown()
    {
        XElement plot = XDocument.Parse(RecallPlot.Draw(about, Rows("quest", 0.7))).Root!;
        (double X, double Y)[] points = [.. plot.Element(svg + "polyline")!.Attribute("points")!.Value.Split(' ').Select(Point)];
        Assert.Equal(3, points.Length);
        Assert.True(points[0].X < points[1].X && points[1].X < points[2].X);
        Assert.True(points[0].Y < points[1].Y && points[1].Y < points[2].Y);
        // On logarithmic axes each budget of the example is as far from the next.
        Assert.Equal(points[1].X - points[0].X, points[2].X - points[1].X, 0.3);
        Assert.Equal(points[1].Y - points[0].Y, points[2].Y - points[1].Y, 0.3);
    }

    [Fact]
    public void Draw_LinesThatEndTogether_HaveLabelsApart()
    {
        IReadOnlyList<RecallRow> rows = [.. Enumerable.Range(0, 12).SelectMany(i => Rows($"s{i}", 0.5))];
        XElement plot = XDocument.Parse(RecallPlot.Draw(about, rows)).Root!;
        double[] heights =
        [
            .. plot.Elements(svg + "text").Where(text => text.Value.StartsWith('s') && text.Value.Length <= 3)
                .Select(text => double.Parse(text.Attribute("y")!.Value, CultureInfo.InvariantCulture)).Order(),
        ];
        Assert.Equal(12, heights.Length);
        for (int i = 1; i < heights.Length; i++) Assert.True(heights[i] - heights[i - 1] >= 14);
        Assert.InRange(heights[^1], 0, 560);
    }

    [Fact]
    public void Ticks_OfThreeDecades_AreOneTwoFive() => Assert.Equal(
        [1, 2, 5, 10, 20, 50, 100], new LogAxis(0.9, 110, 0, 100).Ticks().Select(tick => Math.Round(tick, 9)));

    private static RecallRow[] Rows(string name, double error) =>
        [.. new[] { 1, 2, 4 }.Select(factor => new RecallRow(name, 16, 256 * factor, Figures(error / factor, 1e6 * factor)))];

    private static RecallFigures Figures(double error, double bytes) => new()
    {
        RecallAtK = 0,
        MassRecall = 0,
        MassRecallOfBest = 0,
        OutputRelativeL2 = error,
        OutputCosine = 1,
        ChunksScored = 0,
        BytesRead = bytes,
        BytesReadShare = 0,
        Jaccard = null,
        TokensChosen = 0,
        SsdBytes = 0,
        ReusedSteps = 0,
        AttendError = null,
        Needles = [],
    };

    private static (double X, double Y) Point(string text)
    {
        string[] parts = text.Split(',');
        return (double.Parse(parts[0], CultureInfo.InvariantCulture), double.Parse(parts[1], CultureInfo.InvariantCulture));
    }
}

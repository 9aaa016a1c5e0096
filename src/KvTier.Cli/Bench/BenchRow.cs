namespace KvTier.Cli;

/// <summary>One row of <c>kvtier bench</c>.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Value">The figure; the median of the rounds.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="BaselineName">What it is compared with.</param>
/// <param name="Baseline">The baseline's figure in the same unit; null when it could not be measured.</param>
/// <param name="Ratio">How many times better than the baseline, higher is better; against a physical limit the share of it; null without
/// a baseline.</param>
/// <param name="Goal">The ratio that the design asks for; null when it names none.</param>
/// <param name="Note">What else is worth knowing; null for nothing.</param>
internal sealed record BenchRow(
    string Name, double Value, string Unit, string BaselineName, double? Baseline, double? Ratio, double? Goal = null, string? Note = null)
{
    /// <summary>A row where more is better.</summary>
    public static BenchRow Rate(string name, double value, string unit, string baselineName, double? baseline, double? goal,
        string? note = null) =>
        new(name, Round(value), unit, baselineName, Round(baseline), Round(value / baseline), goal, note);

    /// <summary>A row where less is better, such as a time or a size.</summary>
    public static BenchRow Cost(string name, double value, string unit, string baselineName, double? baseline, double? goal,
        string? note = null) =>
        new(name, Round(value), unit, baselineName, Round(baseline), Round(baseline / value), goal, note);

    private static double? Round(double? value) => value is { } known && double.IsFinite(known) ? Round(known) : null;

    private static double Round(double value) =>
        value == 0 ? 0 : Math.Round(value, Math.Clamp(3 - (int)Math.Floor(Math.Log10(Math.Abs(value))), 0, 6));
}

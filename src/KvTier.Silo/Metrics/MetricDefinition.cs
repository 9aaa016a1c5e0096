namespace KvTier.Silo.Metrics;

/// <summary>What a metric is.</summary>
internal enum MetricKind : byte
{
    /// <summary>A number that only grows.</summary>
    Counter,

    /// <summary>A number that goes up and down.</summary>
    Gauge,

    /// <summary>Counts of observations by size.</summary>
    Histogram,
}

/// <summary>One sample: a label and its value (both empty for none), and the number.</summary>
internal readonly record struct MetricSample(string Label, string LabelValue, double Value);

/// <summary>One metric of the silo.</summary>
/// <param name="Name">OpenTelemetry's form, such as <c>kvtier.block.hits</c>.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Unit"><c>By</c>, <c>s</c>, or a thing in braces such as <c>{block}</c>.</param>
/// <param name="Help">One sentence.</param>
/// <param name="Label">The label that its samples differ in; empty for none.</param>
/// <param name="Collect">The samples at this moment; unused for a histogram.</param>
internal sealed record MetricDefinition(
    string Name, MetricKind Kind, string Unit, string Help, string Label, Func<IEnumerable<MetricSample>> Collect)
{
    /// <summary>Prometheus' form, such as <c>kvtier_block_hits_total</c>: unit and <c>_total</c> at the end.</summary>
    public string PrometheusName { get; } = MakePrometheusName(Name, Kind, Unit);

    private static string MakePrometheusName(string name, MetricKind kind, string unit)
    {
        string suffix = unit switch { "By" => "_bytes", "s" => "_seconds", _ => "" };
        string text = name.Replace('.', '_');
        if (suffix.Length > 0 && !text.EndsWith(suffix, StringComparison.Ordinal)) text += suffix;
        return kind == MetricKind.Counter ? text + "_total" : text;
    }
}

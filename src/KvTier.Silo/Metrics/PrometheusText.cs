using System.Globalization;
using System.Text;
using KvTier.Protocol;

namespace KvTier.Silo.Metrics;

/// <summary>Writes a catalogue in the Prometheus text format, version 0.0.4.</summary>
internal static class PrometheusText
{
    /// <summary>The content type that scrapers expect.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Every metric with its samples at this moment.</summary>
    public static string Write(MetricCatalog catalog)
    {
        var text = new StringBuilder(16 << 10);
        foreach (MetricDefinition definition in catalog.Definitions)
        {
            string name = definition.PrometheusName;
            text.Append("# HELP ").Append(name).Append(' ').Append(EscapeHelp(definition.Help)).Append('\n');
            text.Append("# TYPE ").Append(name).Append(' ').Append(TypeName(definition.Kind)).Append('\n');
            if (definition.Kind == MetricKind.Histogram)
            {
                foreach (Opcode opcode in SiloMetrics.Opcodes) WriteHistogram(text, name, definition.Label, opcode,
                    catalog.Source.Durations(opcode));
                continue;
            }

            foreach (MetricSample sample in definition.Collect()) WriteSample(text, name, sample.Label, sample.LabelValue, sample.Value);
        }

        return text.ToString();
    }

    /// <summary>A help text as the format wants it: backslash and line feed escaped.</summary>
    internal static string EscapeHelp(string help) => help.Replace("\\", "\\\\").Replace("\n", "\\n");

    /// <summary>A label's value as the format wants it: backslash, quote and line feed escaped.</summary>
    internal static string EscapeLabel(string value) => value.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");

    private static void WriteHistogram(StringBuilder text, string name, string label, Opcode opcode, LatencyHistogram histogram)
    {
        Span<long> counts = stackalloc long[LatencyHistogram.BoundsSeconds.Length + 1];
        double sum = histogram.Read(counts);
        string value = OpcodeName(opcode);
        long total = 0;
        for (int i = 0; i < counts.Length; i++)
        {
            total += counts[i];
            string bound = i < LatencyHistogram.BoundsSeconds.Length ? Number(LatencyHistogram.BoundsSeconds[i]) : "+Inf";
            text.Append(name).Append("_bucket{").Append(label).Append("=\"").Append(value).Append("\",le=\"").Append(bound).Append("\"} ")
                .Append(total.ToString(CultureInfo.InvariantCulture)).Append('\n');
        }

        WriteSample(text, name + "_sum", label, value, sum);
        WriteSample(text, name + "_count", label, value, total);
    }

    private static void WriteSample(StringBuilder text, string name, string label, string labelValue, double value)
    {
        text.Append(name);
        if (label.Length > 0) text.Append('{').Append(label).Append("=\"").Append(EscapeLabel(labelValue)).Append("\"}");
        text.Append(' ').Append(Number(value)).Append('\n');
    }

    /// <summary>An opcode in snake case, such as <c>namespace_open</c>.</summary>
    internal static string OpcodeName(Opcode opcode)
    {
        var name = new StringBuilder();
        foreach (char c in opcode.ToString())
        {
            if (char.IsAsciiLetterUpper(c) && name.Length > 0) name.Append('_');
            name.Append(char.ToLowerInvariant(c));
        }

        return name.ToString();
    }

    private static string TypeName(MetricKind kind) => kind switch
    {
        MetricKind.Counter => "counter",
        MetricKind.Gauge => "gauge",
        _ => "histogram",
    };

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}

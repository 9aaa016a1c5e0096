using System.Diagnostics.Metrics;

namespace KvTier.Silo.Metrics;

/// <summary>Shows the catalogue as a <see cref="Meter"/>, so that OpenTelemetry and <c>dotnet-counters</c> can attach to a silo.</summary>
internal sealed class SiloMeter : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string Name = "KvTier.Silo";

    private readonly Meter meter = new(Name);

    /// <summary>Makes one observable instrument for every counter and gauge; durations are only in <c>/metrics</c>.</summary>
    public SiloMeter(MetricCatalog catalog)
    {
        foreach (MetricDefinition definition in catalog.Definitions)
        {
            if (definition.Kind == MetricKind.Counter)
                meter.CreateObservableCounter(definition.Name, () => Measure(definition), definition.Unit, definition.Help);
            else if (definition.Kind == MetricKind.Gauge)
                meter.CreateObservableGauge(definition.Name, () => Measure(definition), definition.Unit, definition.Help);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();

    private static IEnumerable<Measurement<double>> Measure(MetricDefinition definition) =>
        definition.Collect().Select(sample => sample.Label.Length == 0
        ? new Measurement<double>(sample.Value)
        : new Measurement<double>(sample.Value, new KeyValuePair<string, object?>(sample.Label, sample.LabelValue)));
}

using System.Text;
using KvTier.Engine;
using KvTier.Recall;
using KvTier.Silo.Metrics;

namespace KvTier.Silo.Tests;

/// <summary>
/// The reference pages say what the tables in the code say. With <c>KVTIER_TEST_WRITE_DOCS=1</c> they are written instead.
/// </summary>
public sealed class ReferencePageTests
{
    [Fact]
    public void OptionsPage_AndTheOptionTable_Agree()
    {
        var page = new StringBuilder("""
            # Options

            Options come from four sources; a later one wins: the defaults, a YAML or JSON file, the environment, the command line.
            In a file, dots may be nesting: `resp: { port: 6379 }` is `resp.port: 6379`. On the command line that is `--resp-port 6379`.
            An unknown name is refused with the nearest known one; a value that is not allowed is refused with field, value and limit.
            Sizes are plain bytes or have `KiB`, `MiB`, `GiB`, `TiB`.

            This page is made of the table in `src/KvTier.Silo/Options/SiloOptionTable.cs`; a test compares the two.

            | option | environment | default | allowed | |
            |---|---|---|---|---|

            """);
        foreach (SiloOption option in SiloOptionTable.All)
        {
            string value = option.Show(SiloOptions.Default);
            string shown = value.Length == 0 ? "none" : $"`{value}`";
            page.Append($"| `{option.Name}` | `{option.EnvironmentName}` | {shown} | {option.Allowed} | {option.Help} |\n");
        }

        page.Append("""

            ## Namespaces in a file

            `namespaces` is a list. An item is `tenant/profile` with a built-in profile, or a map with `tenant`, `profile` (the name)
            and any of `kind` (`gqa`, `mla`, `opaque`), `layers`, `kvHeads`, `headDim`, `dtype`, `blockTokens`, `ropeTheta`,
            `ropeScaling`, `preRotation`; what is left out is as in the built-in profile of that name, if there is one.

            ```yaml
            hostBytes: 8GiB
            dataDirectory: /var/lib/kvtier
            ssdBytes: 200GiB
            namespaces:
              - acme/llama-3.1-8b
              - { tenant: acme, profile: mine, layers: 2, kvHeads: 1, headDim: 64, dtype: bf16, blockTokens: 16 }
            ```

            """);
        AssertPage("options.md", page.ToString());
    }

    [Fact]
    public void MetricsPage_AndTheCatalogue_Agree()
    {
        var page = new StringBuilder("""
            # Metrics

            What `/metrics` shows, in the Prometheus text format. Counters and gauges are also instruments of the .NET meter
            `KvTier.Silo`, under the names of the second column. All counters begin at 0 when the silo starts.

            This page is made of `src/KvTier.Silo/Metrics/MetricCatalog.cs`; a test compares the two.

            | metric | instrument | kind | unit | label | |
            |---|---|---|---|---|---|

            """);
        var catalog = new MetricCatalog(new SiloMetrics(), () => new EngineStats(), () => new RecallStats(), () => null, () => true);
        foreach (MetricDefinition metric in catalog.Definitions)
        {
            string label = metric.Label.Length == 0 ? "" : $"`{metric.Label}`";
            string kind = metric.Kind.ToString().ToLowerInvariant();
            page.Append($"| `{metric.PrometheusName}` | `{metric.Name}` | {kind} | `{metric.Unit}` | {label} | {metric.Help} |\n");
        }

        page.Append($"\nBuckets of the histogram, in seconds: {string.Join(", ", LatencyHistogram.BoundsSeconds)}.\n");
        AssertPage("metrics.md", page.ToString());
    }

    private static void AssertPage(string name, string expected)
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "KvTier.sln")))
            root = Path.GetDirectoryName(root) ?? throw new InvalidOperationException("KvTier.sln is not above the tests");
        string path = Path.Combine(root, "docs", "reference", name);
        if (Environment.GetEnvironmentVariable("KVTIER_TEST_WRITE_DOCS") == "1") File.WriteAllText(path, expected);
        Assert.Equal(expected, File.ReadAllText(path));
    }
}

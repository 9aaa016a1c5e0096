using Spectre.Console;

namespace KvTier.Cli;

/// <summary>A demo's report as tables.</summary>
internal static class DemoTables
{
    /// <summary>Writes the tables.</summary>
    public static void Show(CliOutput output, DemoReport report)
    {
        output.Table(new Table().Title("tiers").AddColumns("tier", "blocks", "bytes", "hits", "get p50", "get p99")
            .AddRow(
                "host", Units.Count(report.HostBlocks), Units.Bytes(report.HostBytes), Units.Count(report.HostHits),
                Units.Duration(report.HostGet.P50Us * 1e3), Units.Duration(report.HostGet.P99Us * 1e3))
            .AddRow(
                "ssd", Units.Count(report.SsdBlocks), Units.Bytes(report.SsdBytes), Units.Count(report.SsdHits),
                Units.Duration(report.SsdGet.P50Us * 1e3), Units.Duration(report.SsdGet.P99Us * 1e3)));
        Table misses = new Table().Title("misses").AddColumns("reason", "blocks");
        foreach ((string reason, long count) in report.Misses.OrderByDescending(pair => pair.Value))
            misses.AddRow(reason, Units.Count(count));
        output.Table(misses);
        double read = report.BlocksRead * (double)report.BlockBytes;
        output.Table(new Table().Title("run").AddColumns("figure", "value")
            .AddRow("requests", Units.Count(report.Requests))
            .AddRow("prefix hit ratio", $"{report.PrefixHitRatio:0.0000}")
            .AddRow("blocks written", $"{Units.Count(report.BlocksWritten)} of {Units.Bytes(report.BlockBytes)}")
            .AddRow("blocks read, every byte compared", $"{Units.Count(report.BlocksRead)} ({Units.Bytes(read)})")
            .AddRow("wrong blocks", Units.Count(report.WrongBlocks))
            .AddRow("lost blocks", Units.Count(report.LostBlocks))
            .AddRow("put rate", $"{report.PutGBs:0.00} GB/s")
            .AddRow("get rate, comparison included", $"{report.GetGBs:0.00} GB/s")
            .AddRow("put of a turn, p50", Units.Duration(report.Put.P50Us * 1e3))
            .AddRow("put of a turn, p99", Units.Duration(report.Put.P99Us * 1e3))
            .AddRow(
                $"needle in {Units.Count(report.Needle.Tokens)} tokens, its block on {report.NeedleTier}",
                $"{(report.NeedleFound ? "found" : "not found")} in {report.Needle.RecallMs:0.0} ms, "
                    + $"{Units.Bytes(report.Needle.ReadBytes)} read")
            .AddRow("time", $"{report.Seconds:0.0} s"));
    }
}

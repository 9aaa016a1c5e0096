using System.CommandLine;
using KvTier.Client;
using Microsoft.Extensions.Logging;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier replay TRACE</c>: a trace of real requests through an embedded silo.</summary>
internal static class ReplayCommand
{
    private static readonly string[] policies = ["lru", "s3fifo"];
    private static readonly NamespaceDescriptor descriptor = new("replay", Profiles.Opaque);

    public static Command Create(CliOutput output)
    {
        var command = new Command(
            "replay",
            "Replay a trace of requests through an embedded silo, or a cluster, and say how many blocks hit. Exit code 1 on a wrong byte.");
        var trace = new Argument<string>("trace") { Description = "JSON lines with hash_ids, as in the Mooncake traces." };
        var policy = new Option<string>("--policy") { Description = "Victim order: lru or s3fifo.", DefaultValueFactory = _ => "lru" };
        var hostBlocks = new Option<long>("--host-blocks")
        {
            Description = "Most blocks in host memory.",
            DefaultValueFactory = _ => 10_000,
        };
        var ssdBlocks = new Option<long>("--ssd-blocks") { Description = "Blocks that the SSD tier has room for; 0 for no SSD tier." };
        var blockBytes = new Option<int>("--block-bytes") { Description = "Bytes of a block.", DefaultValueFactory = _ => 4096 };
        var only = new Option<bool>("--only") { Description = "Run the policy asked for and no other beside it." };
        var folder = new Option<string?>("--data-folder")
        {
            Description = "Parent of the folder that the run makes and removes; default the system's.",
        };
        var cluster = new Option<int>("--cluster")
        {
            Description = "Silos of a cluster to start for it, which share the room evenly; needs etcd on the PATH. 0 for one silo alone.",
        };
        var endpoints = new Option<string[]>("--endpoints")
        {
            Description = "Silos of a running cluster to replay through instead, as tcp://host:port; their room is what they have.",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<bool> json = JsonOption.AddTo(command);
        command.Arguments.Add(trace);
        foreach (Option option in (Option[])[policy, hostBlocks, ssdBlocks, blockBytes, only, folder, cluster, endpoints])
            command.Options.Add(option);
        command.Run(output, async (parsed, cancel) =>
        {
            var options = new ReplayOptions(
                parsed.GetValue(policy)!, parsed.GetValue(hostBlocks), parsed.GetValue(ssdBlocks), parsed.GetValue(blockBytes));
            Check(options);
            int silos = parsed.GetValue(cluster);
            string[] running = parsed.GetValue(endpoints) ?? [];
            if (silos is < 0 or > LocalClusterOptions.SilosMax)
                throw CliException.Usage("--cluster", silos, $"0 to {LocalClusterOptions.SilosMax}");
            if (silos > options.HostBlocks)
                throw CliException.Usage("--host-blocks", options.HostBlocks, $"at least one for each of {silos} silos");
            if (silos > 0 && running.Length > 0) throw CliException.Usage("--endpoints", running[0], "either this or --cluster");
            List<TraceRequest> requests = TraceReader.Read(parsed.GetValue(trace)!);
            IEnumerable<string> names = parsed.GetValue(only) || running.Length > 0
                ? [options.Policy]
                : policies.OrderBy(name => name == options.Policy ? 0 : 1);
            var reports = new List<ReplayReport>();
            foreach (string name in names)
            {
                ReplayOptions named = options with { Policy = name };
                reports.Add(silos > 0 || running.Length > 0
                    ? await RunClusterAsync(output, named, silos, running, requests, parsed.GetValue(folder), cancel)
                    : await RunAsync(output, named, requests, parsed.GetValue(folder), cancel));
            }

            if (parsed.GetValue(json)) output.Json(reports[0] with { Others = [.. reports.Skip(1)] });
            else output.Table(TableOf(reports));
            return reports.TrueForAll(report => report is { WrongBlocks: 0, LostBlocks: 0 }) ? ExitCodes.Ok : ExitCodes.Found;
        });
        return command;
    }

    private static void Check(ReplayOptions options)
    {
        if (!policies.Contains(options.Policy)) throw CliException.Usage("--policy", options.Policy, string.Join(" or ", policies));
        if (options.HostBlocks is < 1 or > 1L << 32) throw CliException.Usage("--host-blocks", options.HostBlocks, $"1 to {1L << 32}");
        if (options.SsdBlocks is < 0 or > 1L << 32) throw CliException.Usage("--ssd-blocks", options.SsdBlocks, $"0 to {1L << 32}");
        if (options.BlockBytes < 1 || options.BlockBytes > Limits.Default.BlockBytesMax)
            throw CliException.Usage("--block-bytes", options.BlockBytes, $"1 to {Limits.Default.BlockBytesMax}");
    }

    private static async Task<ReplayReport> RunAsync(
        CliOutput output, ReplayOptions options, List<TraceRequest> requests, string? parent, CancellationToken cancel)
    {
        using var folder = new TempFolder(parent);
        using ILoggerFactory logs = SiloRunner.Logs(LogLevel.Error);
        await using SiloRunner silo = await SiloRunner.StartAsync(options.ToSiloOptions(folder.Path), logs, cancel);
        // Bytes take the wire on purpose: a replay shows client, protocol and engine together.
        await using KvTierClient client = await silo.ConnectAsync(TransportMode.Wire, cancel);
        KvNamespace blocks = (await client.OpenNamespaceAsync(descriptor, cancel)).OrFail();
        var runner = new ReplayRunner(new SiloReplayTarget(blocks), options);
        return await CliProgress.RunAsync(
            output, $"replay {options.Policy}", requests.Count, progress => runner.RunAsync(requests, progress, cancel));
    }

    private static async Task<ReplayReport> RunClusterAsync(
        CliOutput output, ReplayOptions options, int silos, string[] endpoints, List<TraceRequest> requests, string? parent,
        CancellationToken cancel)
    {
        using var folder = new TempFolder(parent);
        using ILoggerFactory logs = SiloRunner.Logs(LogLevel.Error);
        await using ReplayCluster cluster = endpoints.Length > 0
            ? await ReplayCluster.ConnectToAsync(endpoints, cancel)
            : await ReplayCluster.StartAsync(options, silos, folder.Path, logs, cancel);
        var runner = new ReplayRunner(await cluster.OpenAsync(descriptor, cancel), options);
        ReplayReport report = await CliProgress.RunAsync(
            output, $"replay {options.Policy} on {cluster.Silos} silos", requests.Count,
            progress => runner.RunAsync(requests, progress, cancel));
        return report with { Silos = await cluster.BytesAsync(descriptor, options.BlockBytes, cancel) };
    }

    private static Table TableOf(List<ReplayReport> reports)
    {
        Table table = new Table().AddColumn("");
        foreach (ReplayReport report in reports) table.AddColumn(new TableColumn(report.Policy).RightAligned());
        void Row(string name, Func<ReplayReport, string> value) => table.AddRow([name, .. reports.Select(value)]);
        Row("prefix hit ratio", report => $"{report.PrefixHitRatio:0.0000}");
        Row("wrong blocks", report => Units.Count(report.WrongBlocks));
        Row("requests", report => Units.Count(report.Requests));
        Row("block references", report => Units.Count(report.BlockReferences));
        Row("distinct blocks", report => Units.Count(report.DistinctBlocks));
        Row("host hits", report => Units.Count(report.HostHits));
        Row("ssd hits", report => Units.Count(report.SsdHits));
        Row("blocks written", report => Units.Count(report.BlocksWritten));
        Row("requests/s", report => Units.Count((long)report.RequestsPerSecond));
        Row("request p50", report => Units.Duration(report.RequestP50Us * 1e3));
        Row("request p99", report => Units.Duration(report.RequestP99Us * 1e3));
        if (reports[0].Silos is null) return table;
        for (int i = 0; i < reports[0].Silos!.Count; i++)
            Row($"bytes on {reports[0].Silos![i].Name}", report => Units.Bytes(report.Silos![i].Bytes));
        Row("farthest from even", report => $"{report.BytesDeviation:P1}");
        return table;
    }
}

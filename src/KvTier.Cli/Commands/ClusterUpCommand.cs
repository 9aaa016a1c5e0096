using System.CommandLine;
using System.Diagnostics;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster up</c>: a real etcd and silos on the loopback, left running.</summary>
internal static class ClusterUpCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("up", "Start etcd and silos on this machine, wait until the map has all, print where they are.");
        var silos = new Option<int>("--silos") { Description = "Silos.", DefaultValueFactory = _ => new LocalClusterOptions().Silos };
        var replicas = new Option<int>("--replicas") { Description = "Silos that hold each group.", DefaultValueFactory = _ => 1 };
        var hostBytes = new Option<string>("--host-bytes")
        {
            Description = "Host memory of each silo.",
            DefaultValueFactory = _ => new LocalClusterOptions().HostBytes,
        };
        var ssdBytes = new Option<string>("--ssd-bytes")
        {
            Description = "Bytes of each silo's log.",
            DefaultValueFactory = _ => new LocalClusterOptions().SsdBytes,
        };
        var portBase = new Option<int>("--port-base")
        {
            Description = "Port of etcd; silo N listens on the port N above it (RESP2 100, HTTP 200 more). 0 for free ports.",
            DefaultValueFactory = _ => 0,
        };
        var config = new Option<string?>("--config") { Description = "A file of options for every silo." };
        Option<string> folder = ClusterCommand.FolderOption();
        Option<bool> json = JsonOption.AddTo(command);
        Option[] all = [silos, replicas, hostBytes, ssdBytes, portBase, config, folder];
        foreach (Option option in all) command.Options.Add(option);
        command.Run(output, async (parsed, cancel) =>
        {
            var options = new LocalClusterOptions
            {
                Silos = parsed.GetValue(silos),
                Replicas = parsed.GetValue(replicas),
                HostBytes = parsed.GetValue(hostBytes)!,
                SsdBytes = parsed.GetValue(ssdBytes)!,
                PortBase = parsed.GetValue(portBase),
                Config = parsed.GetValue(config),
            };
            var clock = Stopwatch.StartNew();
            using LocalClusterFolder opened = LocalClusterFolder.Open(parsed.GetValue(folder)!);
            LocalCluster cluster = await CliProgress.RunAsync(
                output, "cluster", options.Silos + 1, progress => LocalClusterStart.RunAsync(opened, options, progress, cancel));
            Show(output, opened, cluster, clock.Elapsed, parsed.GetValue(json));
            return ExitCodes.Ok;
        });
        return command;
    }

    private static void Show(CliOutput output, LocalClusterFolder folder, LocalCluster cluster, TimeSpan took, bool json)
    {
        if (json)
        {
            output.Json(new
            {
                cluster.Name,
                Folder = folder.FullPath,
                Etcd = new { Endpoint = cluster.Etcd!.Endpoint.GetLeftPart(UriPartial.Authority), cluster.Etcd.Process.Pid },
                Silos = cluster.Silos.Select(silo => new { silo.Name, silo.Process.Pid, silo.Endpoints }),
                Seconds = took.TotalSeconds,
            });
            return;
        }

        Table table = new Table().AddColumns("process", "pid", "endpoint", "unix", "resp", "http");
        foreach (LocalSilo silo in cluster.Silos)
        {
            string Endpoint(string protocol) => Markup.Escape(silo.Endpoints.GetValueOrDefault(protocol, ""));
            table.AddRow(silo.Name, $"{silo.Process.Pid}", Endpoint("tcp"), Endpoint("unix"), Endpoint("resp"), Endpoint("http"));
        }

        table.AddRow("etcd", $"{cluster.Etcd!.Process.Pid}", cluster.Etcd.Endpoint.GetLeftPart(UriPartial.Authority), "", "", "");
        output.Table(table);
        output.Line($"up in {took.TotalSeconds:0.0} s; folder {folder.FullPath}; kvtier cluster down stops it");
    }
}

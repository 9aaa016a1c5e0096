using System.CommandLine;
using System.Globalization;
using KvTier.Client;
using KvTier.Silo;
using Spectre.Console;

namespace KvTier.Cli;

/// <summary><c>kvtier cluster status</c>: the view, the load and who owns how much.</summary>
internal static class ClusterStatusCommand
{
    public static Command Create(CliOutput output)
    {
        var command = new Command("status", "Show a cluster's map, load and ownership, as one of its silos sees them.");
        Option<bool> json = JsonOption.AddTo(command);
        var connection = new ClusterConnection(command);
        command.Run(output, async (parsed, cancel) =>
        {
            await using KvTierClient client = await connection.ConnectAsync(parsed, cancel);
            string text = (await client.ClusterStatusAsync(cancellationToken: cancel)).OrFail();
            if (parsed.GetValue(json))
            {
                output.JsonText(text);
                return ExitCodes.Ok;
            }

            ClusterStatus status = ClusterStatus.Parse(text)
                ?? throw new CliException(ExitCodes.Refused, "the silo's answer can't be read; use the kvtier that it runs");
            Show(output, status);
            return ExitCodes.Ok;
        });
        return command;
    }

    private static void Show(CliOutput output, ClusterStatus status)
    {
        output.Line($"cluster {status.Cluster}, epoch {status.Epoch} (members {status.MembersEpoch}), as {status.Self} sees it");
        string several = string.Concat(status.NamespaceReplicas.Select(each => $", {each.Key} {each.Value}"));
        output.Line($"replicas {status.Replicas}{several}; {status.MovedGroups} groups moved");
        if (status.Problem is { } problem) output.Line($"problem: {problem}");
        if (!status.MayWrite) output.Line($"{status.Self} can't show that it still owns its groups: it takes no changes");
        Table table = new Table().AddColumns(
            "silo", "state", "zone", "endpoint", "capacity", "used", "host", "blocks", "share", "req/s", "settled");
        foreach (ClusterStatusSilo silo in status.Silos) table.AddRow([.. Cells(silo).Select(Markup.Escape)]);
        output.Table(table);
        foreach ((string group, string silo) in status.Moved) output.Line($"moved {group} to {silo}");
        if (status.MovedGroups > status.Moved.Count) output.Line($"and {status.MovedGroups - status.Moved.Count} more");
    }

    private static IEnumerable<string> Cells(ClusterStatusSilo silo)
    {
        yield return silo.Name;
        yield return StateOf(silo);
        yield return silo.Zone;
        yield return silo.Endpoint;
        yield return Units.Bytes(silo.CapacityBytes);
        double percent = 100.0 * silo.UsedBytes / Math.Max(1, silo.CapacityBytes);
        yield return string.Create(CultureInfo.InvariantCulture, $"{Units.Bytes(silo.UsedBytes)} ({percent:0} %)");
        yield return Units.Bytes(silo.HostBytes);
        yield return Units.Count(silo.Blocks);
        yield return string.Create(CultureInfo.InvariantCulture, $"{100 * silo.Share:0.0} %");
        yield return string.Create(CultureInfo.InvariantCulture, $"{silo.RequestsPerSecond:0}");
        yield return silo.Settled ? "yes" : string.Create(CultureInfo.InvariantCulture, $"epoch {silo.SettledEpoch}");
    }

    private static string StateOf(ClusterStatusSilo silo) => (silo.Member, silo.Alive) switch
    {
        (true, true) => silo.Draining ? "draining" : "member",
        (true, false) => "lost",
        (false, true) => "joining",
        _ => "gone",
    };
}
